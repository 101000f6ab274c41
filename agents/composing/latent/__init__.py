"""Melodies at points of a space: near a theme, between two, and where a reward is high."""
