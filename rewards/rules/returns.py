"""The rule of a form that is kept: phrases come back as the letters of the plan ask."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from envs.music.codec import REST
from envs.music.phrases import Phrase, cells_before_ending
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.rule import rule
from rewards.rules.rhythm import sounding


def _heard(score: Score) -> Array:
    """Return the token of each cell, a rest for every cell of silence."""
    return np.where(score.hold & (sounding(score)[0] < 0), np.int16(REST), score.tokens)


def _others(plan: tuple[Phrase, ...], number: int) -> list[Phrase]:
    """Return the first phrase of each other letter, if a phrase is the first of its letter."""
    letter = plan[number].letter
    firsts: dict[str, Phrase] = {}
    for phrase in plan[:number]:
        firsts.setdefault(phrase.letter, phrase)
    return [] if letter in firsts or not letter else [firsts[other] for other in firsts if other]


def _copies(here: Score) -> Array:
    """Return True where a phrase of a new letter now has all notes of another up to its ending."""
    task, plan, cell = here.task, here.task.phrase_plan, int(here.cell.item())
    number = next(i for i, p in enumerate(plan) if cell < (p.first_bar + p.bars) * task.bar_cells)
    start = plan[number].first_bar * task.bar_cells
    copied = np.zeros(here.onset.shape, bool)
    for other in _others(plan, number):
        cells = cells_before_ending(min(plan[number].bars, other.bars), task.bar_cells)
        if cell - start != cells - 1:
            continue
        ours, theirs = (
            here.earlier((first + np.arange(cells))[None, None])
            for first in (start, other.first_bar * task.bar_cells)
        )
        alike = np.where(ours.onset, ours.tokens, 0) == np.where(theirs.onset, theirs.tokens, 0)
        copied = copied | alike.all(axis=2, keepdims=True)
    return copied


def _follow_return(state: tuple[Array, ...], here: Score) -> Any:
    """Scan where a phrase departs first from the plan."""
    (departed,) = state
    source = int(here.task.returning_cells[int(here.cell.item())])
    if source >= 0:
        differs = _heard(here) != _heard(here.earlier(np.full((1, 1, 1), source)))
        return (departed | differs,), (differs & ~departed,)
    none = np.zeros(here.onset.shape, bool)
    return (none,), (_copies(here) if here.task.voices == 1 else none,)


@functools.lru_cache(maxsize=256)
def _begins_return(task: Task) -> Array:
    """True (cells,) in the first cell of each phrase that comes back."""
    begins = np.zeros(task.cells, bool)
    begins[[phrase.first_bar * task.bar_cells for phrase in task.phrase_plan]] = True
    return begins & np.isin(np.arange(task.cells), task.returning_cells)


def phrase_return_lost(score: Score) -> Array:
    """True where `phrase_return` may fail later: a note is held into a phrase that comes back."""
    lost: Array = _begins_return(score.task)[score.cell] & score.hold
    return lost


def phrase_return_forced(score: Score) -> Array:
    """Return the one token (B,) by which the plan is kept in the next cell, -1 if it is free."""
    cell, voice = divmod(score.n_written, score.task.voices)
    source = int(score.task.returning_cells[cell])
    if source < 0:
        return np.full(score.batch, -1)
    return score.written_since(source * score.task.voices + voice)[:, 0]


@rule(
    source="Green, Form in Tonal Music (1979): a letter for a phrase and its repeats, which may "
    "end otherwise; a prime for a varied one",
    says="the phrase does not go on as its letter in the plan asks",
    needs="phrases",
    lost=phrase_return_lost,
    forced=phrase_return_forced,
)
def phrase_return(score: Score) -> Array:
    """A phrase returns as it was if its letter does, and copies none of another letter.

    Of a phrase with the letter of an earlier one the notes are the same but for the ending, the
    last quarter of its bars, at least one, and the second half of a phrase of one bar. A variant,
    as A' after A, begins alike: the first half of the shorter one is the same. The violation is at
    the first cell that differs. In a melody of one voice a phrase of a new letter has other notes
    before its ending than the first phrase of each letter before it; the violation is where it has
    copied the last of these cells.

    >>> from envs.notation.text_line import parse_notes, score_of
    >>> from envs.music.task import Task
    >>> from rewards.remarks import explain
    >>> task = Task(bars=2, phrases="AA")
    >>> explain(phrase_return, score_of(parse_notes("C4 E4 F4 D4 C4 E4 D4 C4"), task))
    >>> explain(phrase_return, score_of(parse_notes("C4 E4 F4 D4 C4 D4 E4 C4"), task))
    bar 2, beat 2: the phrase does not go on as its letter in the plan asks
    """
    if len(score.task.phrase_plan) == 1:
        return np.zeros(score.tokens.shape, np.float32)
    (departs,) = score.scan(_follow_return, (np.False_,))
    return departs.astype(np.float32)
