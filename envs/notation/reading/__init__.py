"""Readers: a file's bytes become a Piece."""
