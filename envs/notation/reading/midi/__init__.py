"""MIDI files: their events, metres and parts."""
