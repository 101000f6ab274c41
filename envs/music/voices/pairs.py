"""Pairs of voices: intervals between them and their motion, cell by cell.

Cells are written frame by frame, from the first voice to the last. What two voices do together is
known at the cell of the later one, and is a fact of that cell. The first voice is the highest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array

OCTAVE = 12  # semitones
NAMES = {
    1: ("melody",),
    2: ("upper voice", "lower voice"),
    3: ("upper voice", "middle voice", "lower voice"),
    4: ("soprano", "alto", "tenor", "bass"),
}


def voice_name(voices: int, voice: int) -> str:
    """Return the name of a voice among `voices`, numbered from 0: 'bass' for 3 of 4."""
    return NAMES[voices][voice] if voices in NAMES else f"voice {voice + 1}"


class Moves(NamedTuple):
    """Sound and motion of a voice and of an earlier one, the other; arrays as a score's facts."""

    judged: Array  # bool: the cell is written, and its voice is later than the other
    both: Array  # bool: judged, and both sound
    both_before: Array  # bool: judged, and both sound in the cell before
    begins: Array  # bool: judged, and a note begins in one of them, or in both
    pitch: Array  # int16: that sounds, -1 for silence
    other_pitch: Array
    before: Array  # int16: pitch that sounds in the cell before, -1 for silence
    other_before: Array
    interval: Array  # int16: semitones up to the other, negative if they cross; 0 unless both sound
    interval_before: Array  # int16: in the cell before; 0 unless both sound there
    move: Array  # int16: semitones from the cell before; 0 unless both sound there and here
    other_move: Array
    similar: Array  # bool: both move in one direction, by equal steps or not
    contrary: Array  # bool: both move, in opposite directions


def _moves(score: Score, other: int) -> Moves:
    there = score.beside(other)
    pitch, other_pitch = score.sounding, there.sounding
    before, other_before = score.sounded, there.sounded
    judged = score.written & (score.voice > other)
    both = judged & (pitch >= 0) & (other_pitch >= 0)
    both_before = judged & (before >= 0) & (other_before >= 0)
    none, stay = np.int16(0), both & both_before
    move = np.where(stay, pitch - before, none)
    other_move = np.where(stay, other_pitch - other_before, none)
    ways = move * other_move
    return Moves(
        judged,
        both,
        both_before,
        judged & (score.onset | there.onset),
        pitch,
        other_pitch,
        before,
        other_before,
        np.where(both, other_pitch - pitch, none),
        np.where(both_before, other_before - before, none),
        move,
        other_move,
        ways > 0,
        ways < 0,
    )


class Pair:
    """A voice at the cells of a score or of a view, against another that is written before it.

    Args:
        score: finished or not, whole or seen at one cell.
        other: number of the other voice.

    Attributes:
        score, other: those given.
        there: the view of the other voice.
        moves: see `Moves`.
    """

    def __init__(self, score: Score, other: int) -> None:
        self.score = score
        self.other = other
        self.there = score.beside(other)
        self.moves: Moves = score.kept(_moves, other)

    @property
    def voices(self) -> int:
        """Number of voices of the piece."""
        return self.score.task.voices

    @property
    def adjacent(self) -> Array:
        """bool: no voice lies between the two."""
        return np.equal(self.score.voice, self.other + 1)

    @property
    def with_bass(self) -> Array:
        """bool: the voice is the last one, the bass."""
        return np.equal(self.score.voice, self.voices - 1)

    @property
    def outer(self) -> Array:
        """bool: the two are the first and the last voice."""
        return self.with_bass & (self.other == 0)

    @property
    def oblique(self) -> Array:
        """bool: one of the two moves."""
        one: Array = np.not_equal(self.moves.move == 0, self.moves.other_move == 0)
        return one

    @property
    def parallel(self) -> Array:
        """bool: both move by the same number of semitones in one direction."""
        equally: Array = self.moves.similar & (self.moves.move == self.moves.other_move)
        return equally

    def forms(self, size: int) -> Array:
        """Return True where both sound an interval of `size` semitones, or octaves wider.

        It is counted from the lower pitch, in whatever voice that is.
        """
        now: Array = self.moves.both & (np.abs(self.moves.interval) % OCTAVE == size)
        return now

    def formed(self, size: int) -> Array:
        """Return True where the two sound that interval in the cell before."""
        size_then = np.abs(self.moves.interval_before) % OCTAVE
        then: Array = self.moves.both_before & (size_then == size)
        return then


def pairs(score: Score) -> Iterator[Pair]:
    """Yield the pairs of the voices that a score, or a view of one cell, has to be asked for."""
    last = score.task.voices - 1 if score.is_whole else int(score.voice.item())
    for other in range(last):
        yield Pair(score, other)
