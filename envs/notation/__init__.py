"""Pieces in and out of files: text, MIDI, MusicXML, ABC, pictures and sound."""

from envs.notation.text import score_from_text, text

__all__ = ["score_from_text", "text"]
