"""One tune of ABC 2.1, as real collections write it: its fields, voices and lines of music."""
