"""Pieces in and out of files: text, MIDI, MusicXML, ABC, pictures and sound."""

from envs.music.piece import notes_of, score_of
from envs.notation.converting import convert
from envs.notation.reading.readers import READERS, from_music21, read_piece
from envs.notation.text_line import parse_notes, score_from_text, text
from envs.notation.writing.abc import abc
from envs.notation.writing.engrave import svg
from envs.notation.writing.midi import midi_bytes, write_midi
from envs.notation.writing.musicxml import musicxml
from envs.notation.writing.writers import WRITERS, write_piece, written

__all__ = [
    "READERS",
    "WRITERS",
    "abc",
    "convert",
    "from_music21",
    "midi_bytes",
    "musicxml",
    "notes_of",
    "parse_notes",
    "read_piece",
    "score_from_text",
    "score_of",
    "svg",
    "text",
    "write_midi",
    "write_piece",
    "written",
]
