"""Filling of masked cells, call by call of a network, in an order that does not depend on them.

A line is grammatical if no note is held that has not begun: a hold needs an onset before it, in any
earlier cell. Cells are filled in any order here, so an onset may also come later, as long as a cell
is left for it; the last such cell can only be an onset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.errors import did_you_mean, quoted
from envs.music.codec import FIRST_PITCH, HOLD, UNWRITTEN
from envs.music.task import Task

ORDERS = ("random", "forward")
Array = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Logits = Callable[[Ints], Array]  # of tokens (B, V, T), UNWRITTEN where masked: (B, V, T, vocab)


@dataclass(frozen=True)
class Way:
    """The way in which free cells are filled.

    Attributes:
        calls: of the network for a piece at most; 0 for one for each free cell.
        order: "random", or "forward" in writing order. With fewer calls than cells the cells are
            divided into as many stretches as are filled in a call, and each stretch is filled in
            that order: so the cells of one call are far apart, as they do not see each other.
        remask: share of the calls that mask cells anew which are filled, and fill them again.

    Raises:
        ValueError, TypeError: a value out of its range.
    """

    calls: int = 0
    order: str = "random"
    remask: float = 0.0

    def __post_init__(self) -> None:
        whole = isinstance(self.calls, (int, np.integer)) and not isinstance(self.calls, bool)
        if not whole or not 0 <= self.calls <= 10**6:
            raise ValueError(f"calls={quoted(self.calls)}: expected a whole number, 0 to 1,000,000")
        if self.order not in ORDERS:
            hint = did_you_mean(str(self.order), ORDERS)
            raise ValueError(f"order={quoted(self.order)}.{hint} Expected {' or '.join(ORDERS)}")
        if not 0 <= self.remask < 1:
            raise ValueError(f"remask={quoted(self.remask)}: expected a share, 0 to below 1")

    def first_calls(self, cells: int) -> int:
        """Return the number of calls that fill so many free cells for the first time."""
        calls = self.calls or cells
        return max(1, min(cells, calls - round(calls * self.remask)))

    def later_calls(self, cells: int) -> int:
        """Return the number of calls that are left to fill cells again."""
        return max(0, (self.calls or cells) - self.first_calls(cells))


# -- orders ----------------------------------------------------------------------------------------


def stretches(cells: Ints, calls: int) -> list[Ints]:
    """Return the cells (N,) in writing order as stretches of at most `calls` cells, about equal."""
    return np.array_split(cells, -(-len(cells) // calls))


def schedule(cells: Ints, calls: int, order: str, rng: np.random.Generator) -> Ints:
    """Return which cells are filled in each call, (calls, n); -1 where a stretch has no more.

    Args:
        cells: (N,) numbers of the free cells, ascending.
        calls: 1 to N.
        order: one of ORDERS.
        rng: draws a random order.
    """
    parts = stretches(cells, calls)
    table = np.full((max(map(len, parts)), len(parts)), UNWRITTEN, np.int64)
    for column, part in enumerate(parts):
        table[: len(part), column] = rng.permutation(part) if order == "random" else part
    return table


# -- grammar ---------------------------------------------------------------------------------------


class Grammar:
    """Tokens that may stand in a cell of a page that is filled in any order.

    Args:
        task: of the page.
    """

    def __init__(self, task: Task) -> None:
        begun = np.array([True])
        legal = [task.codec.legal(begun, low, high)[0] for low, high in task.spans]
        self._legal: Bools = np.stack(legal)  # (V, vocab)

    def allowed(self, lines: Ints, time: Ints, voice: Ints) -> Bools:
        """Return the mask (B, vocab) of the tokens that may stand in a cell of each line.

        Args:
            lines: (B, T) tokens, UNWRITTEN where a cell is masked, as the cell itself is.
            time: (B,) of the cells.
            voice: (B,) of the lines.
        """
        size = lines.shape[1]
        mask = self._legal[voice].copy()
        onset = _first(lines >= FIRST_PITCH)
        masked = lines < 0
        mask[:, HOLD] &= (onset < time) | (_first(masked) < time)
        held = _first(lines == HOLD)
        orphan = (held < onset) & (time < held)
        if orphan.any():  # a hold waits for an onset: the last masked cell before it has to be one
            left = (masked & (np.arange(size) < held[:, None])).sum(axis=1)
            mask[orphan & (left == 1), :FIRST_PITCH] = False
        return mask


def _first(marked: Bools) -> Ints:
    """Return the first marked cell (B,) of each line; T if none is."""
    first: Ints = np.where(marked.any(axis=1), marked.argmax(axis=1), marked.shape[1])
    return first


# -- filling ---------------------------------------------------------------------------------------


def unmask(
    tokens: Ints,
    task: Task,
    tables: Sequence[Ints],
    logits: Logits,
    draw: Callable[[int, Array], int],
) -> Iterator[Ints]:
    """Fill masked cells in place, and yield after each call the tokens.

    Args:
        tokens: (B, V, T) of pieces, UNWRITTEN where masked.
        task: of the pieces.
        tables: (calls, n) for each piece, see `schedule`; all have one shape.
        logits: of the network.
        draw: chooses a token from the number of a piece and scores (vocab,), -inf if not allowed.
    """
    grammar, rows = Grammar(task), np.arange(len(tokens))
    for cells in np.stack(tables, axis=1):  # (B, n) of each call
        answers = logits(tokens)
        for column in cells.T:
            at = np.flatnonzero(column >= 0)
            if not len(at):
                continue
            time, voice = np.divmod(column[at], task.voices)
            allowed = grammar.allowed(tokens[at, voice], time, voice)
            scores = np.where(allowed, answers[at, voice, time], -np.inf)
            tokens[at, voice, time] = [draw(n, s) for n, s in zip(rows[at], scores, strict=True)]
        yield tokens
