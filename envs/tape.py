"""Memory behind a score: cells written one after another, and results that grow with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Tape:
    """Results of one scan, cell by cell, with each voice's state to go on from."""

    def __init__(self, states: list[tuple[Any, ...]]) -> None:
        self.states = states
        self.length = 0
        self.outputs: list[Array] = []


class Store:
    """Append-only memory shared by the scores of one line of writing."""

    def __init__(self, page: Array) -> None:
        self.given = page  # (cells, B), -1 where free
        self.tokens = page.copy()
        self.written = 0
        self.tapes: dict[Any, Tape] = {}

    def fork(self, written: int) -> Store:
        """A store of its own with the first `written` cells, for another line of writing."""
        other = Store(self.given)
        other.tokens[:written] = self.tokens[:written]
        other.written = written
        return other


# Up to this length comparing each cell with all before it is faster than sorting.
SHORT_CELLS = 256


def stood_before_at(values: Array, cell: int, voices: int, gap: int) -> Array:
    """Whether a value of (cells, B) stood `gap` or more earlier in its voice: (B,)."""
    earlier = values[cell % voices : max(0, cell - gap * voices + 1) : voices]
    found: Array = (earlier == values[cell]).any(axis=0)
    return found


def stood_before(values: Array, voices: int, gap: int) -> Array:
    """The same for every cell, (cells, B)."""
    if len(values) // voices <= SHORT_CELLS:
        return np.stack([stood_before_at(values, i, voices, gap) for i in range(len(values))])
    # Equal values lie side by side once sorted; a stable sort leaves the earliest in front.
    rows = np.ascontiguousarray(values.reshape(len(values) // voices, -1).T)
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    starts = np.ones(rows.shape, bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.maximum.accumulate(np.where(starts, np.arange(rows.shape[1]), 0), axis=1)
    earliest = np.take_along_axis(order, first, axis=1)
    seen = np.empty(rows.shape, bool)
    np.put_along_axis(seen, order, order - earliest >= gap, axis=1)
    return np.ascontiguousarray(seen.T).reshape(values.shape)
