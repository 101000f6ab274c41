"""Ways to write a reward: of facts, of a piece's notes, of a note and the one before."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.music.codec import Note
from envs.music.score import Score
from rewards.rule import Rule, as_rule

OfNotes = Callable[..., float]


def _decorator(make: Callable[[Callable[..., Any]], Rule]) -> Callable[..., Rule]:
    """Return a decorator that may be written with parentheses too."""

    @functools.wraps(make)
    def decorate(fn: Callable[..., Any] | None = None) -> Any:
        return decorate if fn is None else make(fn)

    return decorate


@_decorator
def cellwise(fn: Callable[..., Any]) -> Rule:
    """Promise that a reward function works through the Score's facts and scans alone.

    It may then be asked at the newest cell only, seeing facts (B, 1, 1), which makes a step cost
    the same however long the piece is. Without the promise it gets the whole piece so far.
    """
    made = as_rule(fn)
    return made if made.cellwise else replace(made, cellwise=True)


def _number(paid: Any, what: str) -> float:
    """Return a function's number as a float; TypeError if it returned none."""
    if paid is None:
        raise TypeError(f"returned None for {what}; expected a number: is a return missing?")
    return float(paid)


@_decorator
def per_piece(fn: OfNotes) -> Rule:
    """Turn a function of one finished piece's notes into a reward function.

    Keyword arguments of the function are parameters of the reward.

    >>> @per_piece
    ... def density(notes):
    ...     return float(len(notes))
    """

    @functools.wraps(fn)
    def reward(score: Score, **parameters: Any) -> npt.NDArray[np.float32]:
        decode = score.task.codec.decode
        values = []
        for row, piece in enumerate(score.tokens):
            notes = sorted(note for v, voice in enumerate(piece) for note in decode(voice, v))
            values.append(_number(fn(notes, **parameters), f"piece {row}"))
        return np.asarray(values, np.float32)

    return as_rule(reward)


@dataclass(frozen=True)
class Onset:
    """A note at the moment it begins. It has no duration: how long it lasts is yet to be written.

    Attributes:
        start: time index of its first cell.
        pitch: MIDI number.
        voice: from 0.
        bar: from 0; -1 in a pickup.
        beat: of the bar, from 0; 0.5 is half-way to the second beat.
        degree: semitones above the tonic, 0..11.
    """

    start: int
    pitch: int
    voice: int
    bar: int
    beat: float
    degree: int

    @property
    def duration(self) -> int:
        """Not known yet.

        Raises:
            AttributeError: always, and says what to ask instead.
        """
        raise AttributeError(
            "a note's duration is not known when it begins; ask previous.duration, or use "
            "rewards.functions.per_piece"
        )


@_decorator
def per_note(fn: OfNotes) -> Rule:
    """Turn a function of a note and the one before it into a reward function.

    `fn(note, previous)` is asked once for each note of a voice, and what it gives is paid in the
    cell where the note begins. `note` is an Onset, of which all is known then but its duration;
    `previous` is the Note before it in its voice, None at the first. The reward is cellwise, so
    it serves step by step, in a search and as a mask alike. Keyword arguments of the function are
    parameters of the reward.

    >>> @per_note
    ... def steps(note, previous):
    ...     return float(previous is not None and 1 <= abs(note.pitch - previous.pitch) <= 2)
    """

    @functools.wraps(fn)
    def reward(score: Score, **parameters: Any) -> npt.NDArray[np.float32]:
        onset = score.onset
        value = np.zeros(onset.shape, np.float32)
        if not onset.any():
            return value
        (stop,) = score.scan(_follow_stops, (np.int16(-1),))
        new = (score.cell, score.pitch, score.voice, score.bar, score.beat, score.degree)
        old = (score.previous_onset, stop, score.previous_pitch)
        columns = [np.broadcast_to(fact, onset.shape)[onset].tolist() for fact in (*new, *old)]
        paid = []
        for *facts, begun, ended, pitch in zip(*columns, strict=True):
            note = Onset(*facts)
            length = (note.start if ended < 0 else ended) - begun
            previous = Note(begun, length, pitch, note.voice) if begun >= 0 else None
            given = fn(note, previous, **parameters)
            paid.append(_number(given, f"the note at cell {note.start}"))
        value[onset] = paid
        return value

    return cellwise(reward)


def _follow_stops(state: tuple[Any, ...], here: Score) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Time at which the last note ended before each cell, -1 if it sounds or there is none."""
    (stop,) = state
    ended = here.rest & (here.previous_onset >= 0) & (stop < 0)
    after = np.where(here.onset, np.int16(-1), np.where(ended, here.cell.astype(np.int16), stop))
    return (after,), (stop,)
