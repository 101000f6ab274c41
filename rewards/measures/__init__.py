"""Measures of sets of pieces: statistics, diversity, novelty, likeness, hacking."""
