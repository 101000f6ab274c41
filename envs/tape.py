"""Memory behind a score: cells written one after another, and results that grow with them."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


class Tape:
    """Results of one scan, cell by cell, with each voice's state to go on from."""

    def __init__(self, state: tuple[Any, ...], voices: int) -> None:
        self.states = [state] * voices
        self.done = 0
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
