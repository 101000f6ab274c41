"""Preferences: comparisons of two pieces, the taste that explains them, and what to ask next."""
