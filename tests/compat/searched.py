"""Algorithms whose presets come from a search of 0.8."""

ANEW = ("ppo",)
