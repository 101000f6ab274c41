"""Composing of several voices: counterpoint, harmony, chords and a bass for a melody."""
