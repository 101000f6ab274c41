"""Checks of a reward: its promises, its cost, and what it pays for."""
