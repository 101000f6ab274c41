"""Singing: the notes that voices have sung, how a network hears them, and what it remembers."""
