"""Masked diffusion: a network that fills free cells around known ones, in any order."""
