"""Melodies in a line of words, and the same in other keys."""

from dataclasses import replace

from envs.music.key import Key
from envs.music.piece import Piece, notes_of, score_of
from envs.notation.text_line import score_from_text

TWINKLE = "C4 C4 G4 G4 A4 A4 G4:8 F4 F4 E4 E4 D4 D4 C4:8"
NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def melody(line, key="C major", meter="4/4", **fields):
    """Return a score of one voice with other fields of a task, such as phrases."""
    score = score_from_text(line, key, meter)
    return Piece.of(score).score_for(replace(score.task, **fields))


def moved(score, semitones):
    """Return a melody and its key that many semitones higher."""
    task, key = score.task, score.task.key
    other = Key(NAMES[(key.pitch_class + semitones) % 12], key.mode)
    notes = [replace(note, pitch=note.pitch + semitones) for note in notes_of(score)]
    return score_of(notes, replace(task, key=other, low=task.low - 12, high=task.high + 12))
