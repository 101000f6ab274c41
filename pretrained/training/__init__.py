"""Fitting a network to a corpus."""
