"""Demands that a request makes in words: the key, the chords and the form."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from envs.music.codec import FIRST_PITCH, HOLD, REST, UNWRITTEN
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.rules.harmony import chord_tones
from rewards.rules.melody import in_key
from rewards.rules.returns import phrase_return
from rewards.rules.rhythm import levels_at
from rewards.term import Term

RULES = {"key": in_key, "chords": chord_tones, "phrases": phrase_return}  # what each demands


def give_up(name: str) -> str:
    """Return advice on a demand that cannot be kept."""
    word = name.removeprefix("--")
    if name == word:
        return f"leave {name} out"
    return f"let it be weighed only: --wish {word}, wish=[{word!r}]"


def asked_demands(names: Collection[str], must: Mapping[str, Term], task: Task) -> dict[str, Term]:
    """Return the rules that every melody keeps, by name.

    Args:
        names: of RULES. Their demands have the names of the flags, such as --key.
        must: other demands, see `agents.composing.masks.read_demands`.
        task: must make all demands possible.

    Raises:
        ValueError: the task contradicts a demand; the message says which to give up.
    """
    _require_possible(names, task)
    asked = {f"--{name}": Term(f"--{name}", RULES[name]) for name in RULES if name in names}
    rules = [term.rule for term in asked.values()]
    demands = asked | {name: term for name, term in must.items() if term.rule not in rules}
    if any(term.rule.name == phrase_return.name for term in demands.values()):
        return {name: _as_it_returns(term, task) for name, term in demands.items()}
    return demands


def in_words(demands: Collection[str], task: Task) -> tuple[str, ...]:
    """Return what is demanded of a task, such as 'key D minor' and 'leap_size'."""
    return tuple(
        f"{name[2:]} {getattr(task, name[2:])}" if name.startswith("--") else name
        for name in demands
    )


def _as_it_returns(term: Term, task: Task) -> Term:
    """Return a demand of chord tones that is lost where a note would be foreign when it returns."""
    if term.rule.name != chord_tones.name:
        return term
    tones = task.chord_tones.copy()
    for cell, first in enumerate(task.returning_cells.tolist()):
        if first >= 0:
            tones[first] &= tones[cell]
    strong = term.rule.defaults["strong"]
    lost = functools.partial(_foreign, tones=tones, strong=strong)
    return replace(term, rule=replace(term.rule, lost=lost))


def _foreign(score: Score, *, tones: Array, strong: int) -> Array:
    """True where a note begins on a strong place outside the pitch classes `tones` (cells, 12)."""
    foreign: Array = score.onset & (score.level <= strong) & ~tones[score.cell, score.pitch % 12]
    return foreign


# -- what contradicts itself -----------------------------------------------------------------------


def _require_possible(names: Collection[str], task: Task) -> None:
    """Raise ValueError if the key, the chords and the given notes of a task contradict each other.

    Args:
        names: of RULES: what is demanded.
        task: what is asked for.
    """
    key, chords = "key" in names, "chords" in names
    name, admitted = task.key.pitch_name, task.key.admitted
    for low, high in task.spans if key else ():
        if not any(pitch % 12 in admitted for pitch in range(low, high + 1)):
            raise ValueError(
                f"--key: no note of {task.key} lies in the range {name(low)} to {name(high)}; ask "
                f"for a wider range, or {give_up('--key')}"
            )
    for bar, row in enumerate(task.harmony if key and chords else ()):
        for chord in row:
            if not chord.pitch_classes & admitted:
                raise ValueError(
                    f"--chords: no note of {chord.name} (bar {bar + 1}) is in {task.key}; ask for "
                    f"a chord with a note of the scale, or let one of them be weighed only: --wish "
                    "chords or --wish key, wish=['chords'] or wish=['key']"
                )
    strong = levels_at(task, np.arange(task.cells)) <= chord_tones.defaults["strong"]
    for voice, cell in zip(*np.nonzero(task.page >= FIRST_PITCH), strict=True):
        pitch = task.codec.pitch(int(task.page[voice, cell]))
        note = f"{name(pitch)} in bar {_bar(task, int(cell))} is given and not in"
        if key and pitch % 12 not in admitted:
            raise ValueError(
                f"--key: {note} {task.key}; have the bar written anew, or {give_up('--key')}"
            )
        if chords and strong[cell] and not task.chord_tones[cell, pitch % 12]:
            raise ValueError(
                f"--chords: {note} the chord there; have the bar written anew, or "
                f"{give_up('--chords')}"
            )


def _bar(task: Task, cell: int) -> int:
    """Return the number of the bar of a time index; a pickup is bar 0."""
    return (cell - task.pickup) // task.bar_cells + 1


def _silence_as_rests(page: Array) -> Array:
    """Return a page (V, T) with a rest in each cell of silence, as `phrase_return` hears it."""
    page = page.copy()
    for cell in range(1, page.shape[1]):
        page[(page[:, cell] == HOLD) & (page[:, cell - 1] == REST), cell] = REST
    return page


def given_as_it_returns(task: Task) -> Task:
    """Return a task in which given cells are given wherever they come back by the plan.

    Raises:
        ValueError: cells that are given contradict the plan.
    """
    if not task.given:
        return task
    page, returns = _silence_as_rests(task.page), task.returning_cells
    for first in np.unique(returns[returns >= 0]).tolist():
        cells = np.array([first, *np.flatnonzero(returns == first)])
        for voice in range(task.voices):
            given = cells[page[voice, cells] != UNWRITTEN]
            if len(given) and np.ptp(page[voice, given]):
                bars = [_bar(task, int(cell)) for cell in given]
                raise ValueError(
                    f"--phrases: bars {bars[0]} and {bars[-1]} are given and differ, where "
                    f"{task.phrases} asks for the same notes; give another plan, or "
                    f"{give_up('--phrases')}"
                )
            if len(given):
                page[voice, cells] = page[voice, given[0]]
    try:
        return replace(task, given=tuple(tuple(row) for row in page.tolist()))
    except ValueError:
        raise ValueError(
            f"--phrases: a note is held into a given bar that comes back in {task.phrases}; keep "
            f"the bar before it too, give another plan, or {give_up('--phrases')}"
        ) from None
