"""Traits of a line that no textbook calls good or bad: terms of a taste.

They are no rules. A weight above 0 asks for more of one, a weight below 0 for less.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from rewards.rule import term
from rewards.rules.contour import at_end, extremes

HURON = "Huron (1996), The melodic arch in Western folksongs"
FANTASTIC = "Muellensiefen (2009), FANTASTIC: feature analysis technology accessing statistics"


def _each_beat(score: Score, counted: Array) -> Array:
    """Return counts of cells as numbers per beat of the piece, which sum to their rate."""
    return (counted * (score.task.beat_cells / score.task.cells)).astype(np.float32)


@term(source=f"{FANTASTIC}: note density")
def note_rate(score: Score) -> Array:
    """The number of notes per beat; each note pays its share.

    >>> from rewards.remarks import paid
    >>> paid(note_rate, "C4:8 E4:8")  # two notes in four beats
    bar 1, beat 1: C4 +0.25
    bar 1, beat 3: E4 +0.25
    """
    return _each_beat(score, score.onset)


@term(source=f"{FANTASTIC}: note density")
def silent_share(score: Score) -> Array:
    """The share of the piece that is silent.

    >>> from rewards.remarks import paid
    >>> paid(silent_share, "C4:8 r:4 E4:4")
    bar 1, beat 3: silence +0.25
    """
    return ((score.sounding < 0) & score.written).astype(np.float32) / score.task.cells


@term(source="Narmour (1990), The Analysis and Cognition of Basic Melodic Structures: a large move")
def leap_rate(score: Score, *, least: int = 5) -> Array:
    """The number of leaps per beat; each pays at its second note.

    least: semitones from which a move is a leap; 5 is a fourth.

    >>> from rewards.remarks import paid
    >>> paid(leap_rate, "C4 E4 A4 C4")
    bar 1, beat 3: A4 +0.25
    bar 1, beat 4: C4 +0.25
    """
    return _each_beat(score, np.abs(score.interval) >= least)


@term(source="Simonton (1984), Melodic structure and note transition probabilities")
def repeat_rate(score: Score) -> Array:
    """The number of notes per beat that repeat the pitch before them.

    >>> from rewards.remarks import paid
    >>> paid(repeat_rate, "C4 C4 E4 C4")
    bar 1, beat 2: C4 +0.25
    """
    return _each_beat(score, score.onset & (score.previous_pitch >= 0) & (score.interval == 0))


@term(source=f"{HURON}: ascending and descending contours")
def overall_rise(score: Score) -> Array:
    """The octaves from the first note of the line up to the last; below 0 if it falls.

    >>> from rewards.remarks import paid
    >>> paid(overall_rise, "C4 A4 G4")
    bar 1, beat 2: A4 +0.75
    bar 1, beat 3: G4 -0.167
    """
    return (score.interval / 12).astype(np.float32)


@term(source="von Hippel (2000), Redefining pitch proximity: tessitura and mobility")
def compass_width(score: Score) -> Array:
    """The octaves from the lowest to the highest note of the line; paid at its last cell.

    >>> from rewards.remarks import paid
    >>> paid(compass_width, "C4 A4 G4")
    bar 1, beat 4: silence +0.75
    """
    span, *_ = extremes(score)
    return np.where(at_end(score) & (span >= 0), span / 12, 0).astype(np.float32)


@term(source="Toch, The Shaping Forces in Music (1948): a long way up, a short way down")
def climax_place(score: Score) -> Array:
    """The share of the piece before the first highest note; paid at the last cell.

    >>> from rewards.remarks import paid
    >>> paid(climax_place, "C4 E4 G4 E4")
    bar 1, beat 4: E4 +0.5
    """
    _, _, _, at, _ = extremes(score)
    return np.where(at_end(score) & (at > 0), at / score.task.cells, 0).astype(np.float32)


def _follow_height(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the number of notes and the sum of their pitches."""
    notes, total = state
    notes, total = notes + here.onset, total + np.where(here.onset, here.pitch, np.int16(0))
    return (notes, total), (notes, total)


@term(source=f"{HURON}: the height of the arch")
def climax_height(score: Score) -> Array:
    """The octaves that the highest note lies above the mean of all; paid at the last cell.

    >>> from rewards.remarks import paid
    >>> paid(climax_height, "C4 C4 C5 C4")
    bar 1, beat 4: C4 +0.75
    """
    *_, high = extremes(score)
    notes, total = score.scan(_follow_height, (np.int32(0), np.int32(0)))
    above = (high * notes - total) / (12 * np.maximum(notes, 1))
    return np.where(at_end(score) & (notes > 0), above, 0).astype(np.float32)
