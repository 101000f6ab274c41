"""Learning algorithms, all of them starting from the prior."""
