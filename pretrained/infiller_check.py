"""Check an infiller: does it keep the protocol of `pretrained.infiller`?

    def test_my_infiller():
        check_infiller(MyInfiller())

Pages of several tasks are filled: empty ones, ones with given bars, and ones that are begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from envs.music.codec import FIRST_PITCH, HOLD, REST, UNWRITTEN
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.noise import HOLDS, noise
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.infiller import Infiller

PIECES = 6


class InfillerError(Exception):
    """An infiller broke the protocol; the message says what was expected, what it got."""


def check_infiller(model: Infiller, task: Task | None = None) -> None:
    """Raise unless a model keeps the protocol of `pretrained.infiller.Infiller`.

    Args:
        model: the infiller.
        task: that it can fill; four bars on its own grid and range if None.

    Raises:
        InfillerError: a broken promise, the first that is found.
    """
    if not isinstance(model, Infiller):
        raise InfillerError(
            f"{type(model).__name__} has no codec, require and fill; expected all three, see "
            "pretrained.infiller.Infiller"
        )
    codec = model.codec
    task = task or Task(bars=4, low=codec.low, high=codec.high, grid=codec.grid)
    model.require(task)
    for each in tasks(model, task):
        for name, page in pages(each):
            _check_page(model, page, f"{name}, {each.key}, {each.meter}, {each.voices} voices")
    _check_draws(model, task)
    _check_refusals(model, task)


def tasks(model: Infiller, task: Task) -> Iterator[Task]:
    """Yield tasks that a model says it can fill: one, and some that are otherwise."""
    yield task
    others: list[dict[str, Any]] = [
        {"key": Key.parse("F# minor")},
        {"meter": Meter.parse("6/8"), "bars": 3, "pickup": task.grid // 2},
        {"low": task.low + 5, "high": max(task.low + 5, task.high - 5)},
        {"voices": 2},
    ]
    for changes in others:
        try:
            other = task.changed(**changes)
            model.require(other)
        except ValueError:
            continue  # it does not promise to fill all
        yield other


def pages(task: Task) -> Iterator[tuple[str, Score]]:
    """Yield pages of a task by what is on them."""
    yield "an empty page", Score.page(task, 1)
    tokens = noise(task, 1, 1, HOLDS).tokens[0].astype(int)
    cells = np.arange(task.cells)
    hidden = (cells >= task.cells // 4) & (cells < task.cells // 2)
    middle = np.where(hidden, UNWRITTEN, tokens)
    yield "given bars around free ones", Score.page(_with(task, middle), 1)
    if not (tokens[:, -task.bar_cells :] == HOLD).all():
        late = tokens.copy()
        late[:, : -task.bar_cells] = UNWRITTEN
        first = late[:, -task.bar_cells]
        late[:, -task.bar_cells] = np.where(first == HOLD, REST, first)
        yield "a given end", _unheld(task, late)
    begun = Score(tokens[None], task)
    count = task.voices * (task.cells // 3) + task.voices - 1
    page = np.where(_number(task) < count, begun.tokens, UNWRITTEN)
    yield "a beginning", Score(page, task, written=count)


def _unheld(task: Task, page: Array) -> Score:
    """Return a page whose given holds have a given note before them."""
    begun = np.maximum.accumulate(page >= FIRST_PITCH, axis=1)
    return Score.page(_with(task, np.where((page == HOLD) & ~begun, REST, page)), 1)


def _with(task: Task, page: Array) -> Task:
    return replace(task, given=tuple(map(tuple, page.tolist())))


def _number(task: Task) -> Array:
    """Return the number (V, T) of each cell in writing order."""
    return np.arange(task.steps).reshape(task.cells, task.voices).T


def _check_page(model: Infiller, page: Score, what: str) -> None:
    before = page.tokens.copy()
    found = model.fill(page, PIECES, seed=1)
    if not isinstance(found, Score) or not found.finished or found.batch != PIECES:
        raise InfillerError(f"fill returned {found!r}, expected {PIECES} finished pieces: {what}")
    if found.task != page.task:
        raise InfillerError(
            f"fill returned pieces of another task; expected that of the page: {what}"
        )
    if (page.tokens != before).any():
        raise InfillerError(f"fill changed the page; expected it to stay as it was: {what}")
    changed = (before != UNWRITTEN) & (found.tokens != before)
    if changed.any():
        voice, time = np.argwhere(changed)[0][1:]
        raise InfillerError(
            f"fill changed a cell that is given or written (voice {voice}, cell {time}); expected "
            f"it to keep its token: {what}"
        )
    tokens = found.tokens
    begun = np.maximum.accumulate(tokens >= FIRST_PITCH, axis=2)
    held = (tokens == HOLD) & ~begun & (before == UNWRITTEN)
    codec, spans = page.task.codec, np.array(page.task.spans)[None, :, :, None]
    pitch = tokens - FIRST_PITCH + codec.low
    beyond = (tokens >= FIRST_PITCH) & ((pitch < spans[:, :, 0]) | (pitch > spans[:, :, 1]))
    if held.any() or (beyond & (before == UNWRITTEN)).any():
        fault = "a hold before any note" if held.any() else "a pitch outside the range"
        raise InfillerError(f"fill wrote {fault}; expected what Score.allowed permits: {what}")


def _check_draws(model: Infiller, task: Task) -> None:
    page = Score.page(task, 1)
    first, again, other = (model.fill(page, PIECES, seed).tokens for seed in (1, 1, 2))
    if (first != again).any():
        raise InfillerError("the same seed gave other pieces; expected the same")
    if (first == other).all():
        raise InfillerError("another seed gave the same pieces; expected others")
    rngs = [torch.Generator().manual_seed(3) for _ in range(2)]
    drawn = [model.fill(page, PIECES, rng).tokens for rng in (*rngs, rngs[0])]
    if (drawn[0] != drawn[1]).any():
        raise InfillerError("generators of one seed gave other pieces; expected the same")
    if (drawn[0] == drawn[2]).all():
        raise InfillerError("a generator that went on gave the same pieces; expected others")


def _check_refusals(model: Infiller, task: Task) -> None:
    page, full = Score.page(task, 1), noise(task, 1, 1, HOLDS)
    wrong: dict[str, tuple[Score, dict[str, Any]]] = {
        "a finished page": (full, {}),
        "a page of two pieces": (Score.page(task, 2), {}),
        "n=0": (page, {"n": 0}),
        **{f"temperature={t}": (page, {"temperature": t}) for t in (0.0, -1.0, np.nan)},
    }
    for name, (given, keywords) in wrong.items():
        try:
            model.fill(given, **keywords)
        except ValueError:
            continue
        raise InfillerError(f"fill took {name}; expected a ValueError that says what to do")
