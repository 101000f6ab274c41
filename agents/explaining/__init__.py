"""Why each note is there, or what is wrong with it."""
