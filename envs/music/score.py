"""Score: an immutable batch of pieces, and how it is written on.

A score holds tokens (B, V, T): pieces, voices, cells of time. Cells are written in one order,
time-major, then voice. Every fact and every rule of a cell depends only on cells written up to
it, and that makes stepping cheap: `score.write(action)` gives a new score that shares all that is
computed already, and `score.newest` looks at the last written cell alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from envs.music.codec import REST, UNWRITTEN
from envs.music.facts import Facts
from envs.music.tape import Array, Store, freeze

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envs.music.task import Task


class Score(Facts):
    """A batch of pieces, finished or in the making.

    Args:
        tokens: (B, V, T) integers. All cells are written, unless `written` says how many are.
        task: the task the pieces were written for; V and T must agree with it.
        written: number of cells written, in writing order. Tokens after them count as given.

    Raises:
        ValueError: wrong shape, or tokens outside the vocabulary.
        TypeError: tokens that are no integers.
    """

    def __init__(self, tokens: npt.ArrayLike, task: Task, written: int | None = None) -> None:
        array = np.asarray(tokens)
        expected = (task.voices, task.cells)
        if array.ndim != 3 or array.shape[1:] != expected or len(array) == 0:
            raise ValueError(f"tokens have shape {array.shape}, expected (pieces, *{expected})")
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(f"tokens have dtype {array.dtype}, expected integers")
        written = task.steps if written is None else written
        lowest, low, high = REST if written == task.steps else UNWRITTEN, array.min(), array.max()
        flat = np.array(array.transpose(2, 1, 0), np.int16, order="C").reshape(task.steps, -1)
        if low < lowest or high >= task.codec.vocab or (flat[:written] < REST).any():
            raise ValueError(
                f"tokens {low}..{high}: expected {REST}..{task.codec.vocab - 1}"
                + (f" and {UNWRITTEN} only where nothing is written" if lowest < REST else "")
            )
        store = Store(flat)
        store.written = written
        self._set(task, store, written)

    @classmethod
    def page(cls, task: Task, n: int) -> Score:
        """Return `n` empty pages: nothing is written, the task's given cells are set.

        Raises:
            ValueError: `n` below 1.
        """
        if n < 1:
            raise ValueError(f"{n} pieces asked for, expected at least 1")
        return cls(np.repeat(task.page[None], n, axis=0), task, written=0)

    # -- writing ---------------------------------------------------------------------------------

    def write(self, action: npt.ArrayLike) -> Score:
        """Return a new score with `action` (B,) in the next cell. Given cells keep their token.

        Raises:
            ValueError: the score is finished, or the action has a wrong shape or range.
        """
        if self.finished:
            raise ValueError("the score is finished; there is no cell left to write")
        tokens = np.asarray(action)
        if tokens.shape != (self.batch,) or not np.issubdtype(tokens.dtype, np.integer):
            raise ValueError(
                f"action has shape {tokens.shape} and dtype {tokens.dtype}, "
                f"expected {(self.batch,)} integers"
            )
        if tokens.min() < REST or tokens.max() >= self.task.codec.vocab:
            raise ValueError(
                f"action {tokens.min()}..{tokens.max()}: expected 0..{self.task.codec.vocab - 1}"
            )
        store = self._store
        if store.written != self.n_written:  # another score has already written this cell
            store = store.fork(self.n_written)
        given = store.given[self.n_written]
        store.tokens[self.n_written] = np.where(given == UNWRITTEN, tokens, given)
        store.written += 1
        return Score._of(self.task, store, self.n_written + 1)

    @property
    def next_given(self) -> Array:
        """(B,) token given for the next cell, -1 where it is free."""
        self._require_unfinished()
        return freeze(self._store.given[self.n_written])

    @property
    def has_given_ahead(self) -> bool:
        """True if a cell behind the next one is given in some piece."""
        return bool((self._store.given[self.n_written + 1 :] != UNWRITTEN).any())

    @property
    def next_started(self) -> Array:
        """(B,) bool: a note began in the next cell's voice before that cell."""
        self._require_unfinished()
        earlier = self.n_written - self.task.voices
        if earlier < 0:
            return np.zeros(self.batch, bool)
        previous = self._at_cell(earlier)
        return (previous.onset | (previous.previous_onset >= 0))[:, 0, 0]

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Return the mask (B, vocab) of the tokens that may be written in the next cell."""
        given, mask = self.next_given, self.grammar()
        fixed = np.flatnonzero(given != UNWRITTEN)
        if len(fixed):
            mask[fixed] = False
            mask[fixed, given[fixed]] = True
        return mask

    def grammar(self) -> npt.NDArray[np.bool_]:
        """Return the mask (B, vocab) of grammar and range in the next cell, given or not."""
        span = self.task.spans[self.n_written % self.task.voices]
        return self.task.codec.legal(self.next_started, *span)

    def written_since(self, cell: int) -> Array:
        """Return the tokens (B, n) of the cells from `cell` to the newest, in writing order."""
        return freeze(self._store.tokens[cell : self.n_written].T)

    def _require_unfinished(self) -> None:
        if self.finished:
            raise ValueError("the score is finished; it has no next cell")

    # -- pieces of the batch ---------------------------------------------------------------------

    @property
    def before(self) -> Score:
        """The whole score as it was before the one cell that this view sees was written."""
        if not isinstance(self._at, int):
            raise ValueError("expected a view of one cell, such as score.newest")
        return Score._of(self.task, self._store, self._at)

    def __getitem__(self, rows: slice) -> Score:
        """Return some of the pieces as a score that shares nothing with this one."""
        if not isinstance(rows, slice):
            raise TypeError(f"a score is cut with a slice of pieces, got {rows!r}")
        return Score(self.tokens[rows], self.task, self.n_written)

    def take(self, rows: npt.ArrayLike) -> Score:
        """Return the pieces with the numbers `rows` (N,), which may repeat, as a new score.

        Results of scans are copied too: a beginning that many pieces share is scanned once.

        Raises:
            ValueError: no pieces, or numbers outside 0..B-1.
        """
        store = self._store.take(np.asarray(rows), self.n_written)
        return Score._of(self.task, store, self.n_written)

    def chunks(self, size: int) -> Iterator[Score]:
        """Yield scores of at most `size` of the pieces, which fit the processor's cache."""
        if self.batch <= size:
            yield self
        else:
            for start in range(0, self.batch, size):
                yield self[start : start + size]
