"""Variational autoencoders: a window of a melody as a point of a space, and back."""
