"""Evaluating an agent beside its prior."""
