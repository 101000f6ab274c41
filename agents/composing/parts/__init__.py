"""Several voices on request: chords for a melody, and a bass under it."""
