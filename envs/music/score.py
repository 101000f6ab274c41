"""Score: an immutable batch of pieces and the facts about their cells.

A score holds tokens (B, V, T): pieces, voices, cells of time. Cells are written in one order,
time-major, then voice. Every fact and every rule of a cell depends only on cells written up to
it, and that is what makes stepping cheap: `score.write(action)` gives a new score that shares
everything already known, and `score.newest` looks at the last written cell alone. The same rule
code sees (B, V, T) on a whole score and (B, 1, 1) on `score.newest`.

Inside, arrays lie as (cells, B), so that one cell of the whole batch is contiguous.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from envs.music import tape
from envs.music.codec import REST, UNWRITTEN
from envs.music.facts import Facts
from envs.music.tape import Array, Store, Tape, freeze

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envs.music.task import Task

# (state, the score seen at one cell, **parameters) -> (next state, outputs)
ScanStep = Callable[..., tuple[tuple[Any, ...], tuple[Array, ...]]]
ScanInit = tuple[Any, ...] | Callable[["Score"], tuple[Any, ...]]


class Score(Facts):
    """A batch of pieces, finished or in the making.

    Args:
        tokens: (B, V, T) integers. Every cell written, unless `written` says how many are.
        task: the task the pieces were written for; V and T must agree with it.
        written: number of cells committed, in writing order. Tokens behind them count as given.

    Raises:
        ValueError: wrong shape, or tokens outside the vocabulary.
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
        self._set(task, store, written, None)

    def _set(self, task: Task, store: Store, written: int, at: Any) -> None:
        self.task = task
        self.n_written = written
        self._store = store
        self._views: dict[int, Score] = {}
        self._at = at  # None: all cells; int: one cell; array (B, V, T): a cell for each cell

    @classmethod
    def _view(cls, task: Task, store: Store, written: int, at: Any) -> Score:
        score = cls.__new__(cls)
        score._set(task, store, written, at)
        return score

    @classmethod
    def page(cls, task: Task, n: int) -> Score:
        """`n` pages with nothing written but the task's given cells."""
        if n < 1:
            raise ValueError(f"{n} pieces asked for, expected at least 1")
        given = np.full((task.voices, task.cells), UNWRITTEN, np.int16)
        if task.given:
            given[:] = task.given
        return cls(np.repeat(given[None], n, axis=0), task, written=0)

    # -- writing ---------------------------------------------------------------------------------

    def write(self, action: npt.ArrayLike) -> Score:
        """A new score with `action` (B,) in the next cell. Given cells keep their token.

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
        if store.written != self.n_written:  # another line of writing went on from here
            store = store.fork(self.n_written)
        given = store.given[self.n_written]
        store.tokens[self.n_written] = np.where(given == UNWRITTEN, tokens, given)
        store.written += 1
        return Score._view(self.task, store, self.n_written + 1, None)

    @property
    def batch(self) -> int:
        """Number of pieces B."""
        return int(self._store.tokens.shape[1])

    @property
    def finished(self) -> bool:
        """Whether every cell is written."""
        return self.n_written == self.task.steps

    @property
    def is_whole(self) -> bool:
        """Whether this is the score itself, not a view of one of its cells."""
        return self._at is None

    @property
    def next_given(self) -> Array:
        """(B,) token fixed in advance in the next cell, -1 where free."""
        self._require_unfinished()
        return freeze(self._store.given[self.n_written])

    @property
    def next_started(self) -> Array:
        """(B,) whether a note began in the next cell's voice before it."""
        self._require_unfinished()
        earlier = self.n_written - self.task.voices
        if earlier < 0:
            return np.zeros(self.batch, bool)
        previous = self._at_cell(earlier)
        return (previous.onset | (previous.previous_onset >= 0))[:, 0, 0]

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which tokens may be written in the next cell of each piece, (B, vocab)."""
        given, mask = self.next_given, self.grammar()
        fixed = np.flatnonzero(given != UNWRITTEN)
        if len(fixed):
            mask[fixed] = False
            mask[fixed, given[fixed]] = True
        return mask

    def grammar(self) -> npt.NDArray[np.bool_]:
        """Tokens (B, vocab) that grammar and range allow in the next cell, if it were not given."""
        return self.task.codec.legal(self.next_started, self.task.low, self.task.high)

    def written_since(self, cell: int) -> Array:
        """Tokens (B, n) of the cells from number `cell` to the newest, in writing order."""
        return freeze(self._store.tokens[cell : self.n_written].T)

    def _require_unfinished(self) -> None:
        if self.finished:
            raise ValueError("the score is finished; it has no next cell")

    # -- ways to look ----------------------------------------------------------------------------

    def _at_cell(self, cell: int) -> Score:
        """This score seen at one cell; asked again, the same view with the facts it knows."""
        if isinstance(self._at, int) and self._at == cell:
            return self
        if cell not in self._views:
            self._views[cell] = Score._view(self.task, self._store, self.n_written, cell)
        return self._views[cell]

    @cached_property
    def newest(self) -> Score:
        """This score seen at the last written cell only: facts have shape (B, 1, 1)."""
        if self.n_written == 0:
            raise ValueError("nothing is written yet; there is no newest cell")
        return self._at_cell(self.n_written - 1)

    @property
    def before(self) -> Score:
        """The whole score as it was before the one cell that this view sees was written."""
        if not isinstance(self._at, int):
            raise ValueError("expected a view of one cell, such as score.newest")
        return Score._view(self.task, self._store, self._at, None)

    def __getitem__(self, rows: slice) -> Score:
        """Some of the pieces, as a score of their own."""
        if not isinstance(rows, slice):
            raise TypeError(f"a score is cut with a slice of pieces, got {rows!r}")
        return Score(self.tokens[rows], self.task, self.n_written)

    def take(self, rows: npt.ArrayLike) -> Score:
        """Pieces by number (N,), any of them often, as a score of their own.

        What is known of them goes along, so that a beginning shared by many pieces is not
        scanned again for each. They can be written on, each its own way.

        Raises:
            ValueError: no pieces, or not numbers of pieces that are there.
        """
        store = self._store.take(np.asarray(rows), self.n_written)
        return Score._view(self.task, store, self.n_written, None)

    def chunks(self, size: int) -> Iterator[Score]:
        """The pieces in portions that fit the processor's cache."""
        if self.batch <= size:
            yield self
        else:
            for start in range(0, self.batch, size):
                yield self[start : start + size]

    def _look(self, tape: Array) -> Array:
        """What this view sees of a tape (cells, B): (B, V, T), (B, 1, 1) or gathered (B, V, T)."""
        if isinstance(self._at, int):
            return freeze(tape[self._at][:, None, None])
        if self._at is None:
            if self.n_written < self.task.steps:
                tape = tape.copy()
                tape[self.n_written :] = 0
            return freeze(tape.reshape(self.task.cells, self.task.voices, -1).transpose(2, 1, 0))
        values: npt.NDArray[Any] = tape[self._at, np.arange(self.batch)[:, None, None]]
        return values

    # -- scans -----------------------------------------------------------------------------------

    def scan(self, step: ScanStep, init: ScanInit, **params: Any) -> tuple[Array, ...]:
        """Run a state machine along each voice, from its first cell on.

        `step(state, here, **params)` returns (next state, outputs); `here` is this score seen at
        one cell, outputs are tuples of arrays (B, 1, 1). `init` is the first state: a tuple of
        numpy scalars that are spread to (B, 1, 1), or a function of the score that makes one.
        Results are remembered under the function, so a score that grows by a cell costs one
        step; write it at module level, as a function made anew each time is scanned anew.

        Returns:
            the outputs as this view sees them; 0 where nothing is written.
        """
        tape = self._tape(step, init, params, self.task.voices)
        return tuple(self._look(output) for output in tape.outputs)

    def scan_all(self, step: ScanStep, init: ScanInit, **params: Any) -> tuple[Array, ...]:
        """Run one state machine along the cells of all voices, in writing order; see `scan`."""
        return tuple(self._look(output) for output in self._tape(step, init, params, 1).outputs)

    def _tape(self, step: ScanStep, init: ScanInit, params: dict[str, Any], machines: int) -> Tape:
        if self.n_written == 0:
            raise ValueError("nothing is written yet; there is nothing to scan")
        key = (step, init, machines, *sorted(params.items()))
        done = self._store.tapes.get(key)
        if done is None:
            spread = (self.batch, 1, 1)
            states = [
                init(self) if callable(init) else tuple(np.full(spread, v) for v in init)
                for _ in range(machines)
            ]
            done = self._store.tapes[key] = Tape(states)
        for cell in range(done.length, self.n_written):
            machine = cell % machines
            state, outputs = step(done.states[machine], self._at_cell(cell), **params)
            done.states[machine] = state
            done.add(outputs, self._store.tokens)
        return done

    def seen_before(self, step: ScanStep, init: ScanInit, gap: int, **params: Any) -> Array:
        """Whether a scan's value at a cell stood `gap` or more cells earlier in the same voice.

        The scan `step` has one output of integers.
        """
        voices = self.task.voices
        values = self._tape(step, init, params, voices).outputs[0]
        if isinstance(self._at, int):
            return tape.stood_before_at(values, self._at, voices, gap)[:, None, None]
        return self._look(tape.stood_before(values, voices, gap))

    # -- looking back --------------------------------------------------------------------------

    def prev(self, fact: str | Array) -> Array:
        """A fact as it was at the previous onset; 0 or False where there is none.

        Args:
            fact: name of a fact, or an array (B, V, T) on a whole score.
        """
        onset = self.previous_onset
        if isinstance(fact, str):
            voice = (
                np.arange(self.task.voices)[None, :, None]
                if self._at is None
                else (self._at % self.task.voices)
            )
            there = np.maximum(onset, 0).astype(np.intp) * self.task.voices + voice
            view = Score._view(self.task, self._store, self.n_written, there)
            value = np.broadcast_to(getattr(view, fact), onset.shape)
        elif self._at is None:
            value = np.take_along_axis(
                np.broadcast_to(fact, onset.shape), np.maximum(onset, 0).astype(np.intp), axis=2
            )
        else:
            raise TypeError("seen at one cell, prev() needs the name of a fact, not an array")
        return np.where(onset >= 0, value, np.zeros((), value.dtype))
