"""The memory of a score: its cells, and the results of scans, which grow as cells are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Tape:
    """Results of one scan for each cell, and the state of each voice after its last cell."""

    def __init__(self, states: list[tuple[Any, ...]]) -> None:
        self.states = states
        self.length = 0
        self.outputs: list[Array] = []  # each (cells, B)

    def add(self, outputs: tuple[Array, ...], page: Array) -> None:
        """Append the outputs (B, 1, 1) of the next cell of a page (cells, B).

        Raises:
            TypeError: an output needs a wider type than it had at the first cell.
        """
        if not self.outputs:
            self.outputs = [np.zeros(page.shape, output.dtype) for output in outputs]
        for stored, output in zip(self.outputs, outputs, strict=True):
            if not np.can_cast(output.dtype, stored.dtype, "safe"):
                raise TypeError(f"scan gave {stored.dtype} first and {output.dtype} later")
            stored[self.length] = output[:, 0, 0]
        self.length += 1

    def is_cut_by_piece(self, pieces: int) -> bool:
        """True if every state is a tuple of arrays (B, 1, 1), from which pieces can be taken."""
        return all(
            isinstance(state, tuple)
            and all(isinstance(part, np.ndarray) and part.shape == (pieces, 1, 1) for part in state)
            for state in self.states
        )

    def take(self, rows: Array) -> Tape:
        """Return a tape of the pieces with the numbers `rows` (N,)."""
        other = Tape([tuple(part[rows] for part in state) for state in self.states])
        other.length = self.length
        for output in self.outputs:
            chosen = np.zeros((len(output), len(rows)), output.dtype)
            chosen[: self.length] = output[: self.length].take(rows, axis=1)
            other.outputs.append(chosen)
        return other


class Store:
    """Append-only memory that a score shares with the scores it was written on from."""

    def __init__(self, page: Array) -> None:
        self.given = page  # (cells, B), -1 where free
        self.tokens = page.copy()
        self.written = 0
        self.tapes: dict[Any, Tape] = {}

    def fork(self, written: int) -> Store:
        """Return a copy of the first `written` cells, to write other tokens after them."""
        other = Store(self.given)
        other.tokens[:written] = self.tokens[:written]
        other.written = written
        return other

    def take(self, rows: Array, written: int) -> Store:
        """Return a copy of the first `written` cells and the tapes of the pieces `rows` (N,).

        A tape that is longer than `written`, or whose state cannot be cut, is not copied: its scan
        is run again when it is needed.

        Raises:
            ValueError: no pieces, or numbers outside 0..B-1.
        """
        pieces = self.tokens.shape[1]
        numbers = rows.ndim == 1 and len(rows) > 0 and np.issubdtype(rows.dtype, np.integer)
        if not numbers or rows.min() < 0 or rows.max() >= pieces:
            raise ValueError(
                f"pieces {np.array2string(rows, threshold=8)}: expected whole numbers (N,), at "
                f"least one of them and each 0..{pieces - 1}"
            )
        other = Store(self.given.take(rows, axis=1))
        other.tokens[:written] = self.tokens[:written].take(rows, axis=1)
        other.written = written
        for key, tape in self.tapes.items():
            if tape.length <= written and tape.is_cut_by_piece(pieces):
                other.tapes[key] = tape.take(rows)
        return other


def freeze(array: Array) -> Array:
    """Make an array read-only and return it."""
    array.flags.writeable = False
    return array


# Up to this length, comparing each cell with all earlier ones is faster than sorting.
SHORT_CELLS = 256


def occurred_before_at(values: Array, cell: int, voices: int, gap: int) -> Array:
    """True (B,) where a cell's value occurred `gap` or more cells earlier in its voice.

    Args:
        values: (cells, B), in writing order.
        cell: its number in writing order.
        voices: number of voices.
        gap: cells of one voice.
    """
    earlier = values[cell % voices : max(0, cell - gap * voices + 1) : voices]
    occurred: Array = (earlier == values[cell]).any(axis=0)
    return occurred


def occurred_before(values: Array, voices: int, gap: int) -> Array:
    """Return `occurred_before_at` of every cell, (cells, B)."""
    if len(values) // voices <= SHORT_CELLS:
        return np.stack([occurred_before_at(values, i, voices, gap) for i in range(len(values))])
    # A stable sort puts equal values side by side, the earliest first.
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
