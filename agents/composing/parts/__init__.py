"""Composing of several voices: counterpoint to a cantus firmus."""
