"""Pieces in and out of files: text, MIDI, MusicXML, ABC, pictures and sound."""
