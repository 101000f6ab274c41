"""Judges of the readers: other programs read the same music, and every difference is listed."""
