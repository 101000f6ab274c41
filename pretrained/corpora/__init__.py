"""Corpora of tunes, and how they are split."""
