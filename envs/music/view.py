"""View: a batch of pieces looked at as a whole or at one cell, and scans along its voices.

A fact or a rule written for a view gives (B, V, T) on a whole score and (B, 1, 1) on `newest`, the
last written cell. Scans remember their results, so a score that grows by a cell costs one step.

Inside, arrays lie as (cells, B), so that one cell of the whole batch is contiguous.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from envs.music import tape
from envs.music.tape import Array, Store, Tape, freeze

if TYPE_CHECKING:
    from envs.music.task import Task

# (state, the score seen at one cell, **parameters) -> (next state, outputs)
ScanStep = Callable[..., tuple[tuple[Any, ...], tuple[Array, ...]]]
Kept = TypeVar("Kept")
ScanInit = tuple[Any, ...] | Callable[[Any], tuple[Any, ...]]


class View:
    """Cells of a batch of pieces: all of them, one, or one for each cell."""

    task: Task
    n_written: int  # cells written, in writing order
    _store: Store
    _at: Any  # None: all cells; int: one cell; array (B, V, T): a cell for each cell
    _views: dict[int, Self]
    _kept: dict[Any, Any]

    @classmethod
    def _of(cls, task: Task, store: Store, written: int, at: Any = None) -> Self:
        """Return a view of a store, without the checks of a constructor."""
        view = cls.__new__(cls)
        view._set(task, store, written, at)
        return view

    def _set(self, task: Task, store: Store, written: int, at: Any = None) -> None:
        self.task = task
        self.n_written = written
        self._store = store
        self._at = at
        self._views = {}
        self._kept = {}

    def kept(self, make: Callable[..., Kept], *args: Any) -> Kept:
        """Return `make(self, *args)`, computed once for this view.

        Args:
            make: a function at module level; what it returns must not hold the view.
            *args: what else it takes, hashable.
        """
        key = (make, *args)
        if key not in self._kept:
            self._kept[key] = make(self, *args)
        found: Kept = self._kept[key]
        return found

    @property
    def batch(self) -> int:
        """Number of pieces B."""
        return int(self._store.tokens.shape[1])

    @property
    def finished(self) -> bool:
        """True if every cell is written."""
        return self.n_written == self.task.steps

    @property
    def is_whole(self) -> bool:
        """True for a whole score, False for a view of one of its cells."""
        return self._at is None

    # -- looking ---------------------------------------------------------------------------------

    def _at_cell(self, cell: int) -> Self:
        """Return the view of one cell; the views are kept, with the facts they have computed."""
        if isinstance(self._at, int) and self._at == cell:
            return self
        if cell not in self._views:
            self._views[cell] = self._of(self.task, self._store, self.n_written, cell)
        return self._views[cell]

    @cached_property
    def newest(self) -> Self:
        """The view of the last written cell only: facts have shape (B, 1, 1)."""
        if self.n_written == 0:
            raise ValueError("nothing is written yet; there is no newest cell")
        return self._at_cell(self.n_written - 1)

    def _look(self, values: Array) -> Array:
        """Return `values` (cells, B) of this view's cells: (B, V, T), or (B, 1, 1) of one cell."""
        if isinstance(self._at, int):
            return freeze(values[self._at][:, None, None])
        if self._at is None:
            if self.n_written < self.task.steps:
                values = values.copy()
                values[self.n_written :] = 0
            return freeze(values.reshape(self.task.cells, self.task.voices, -1).transpose(2, 1, 0))
        gathered: npt.NDArray[Any] = values[self._at, np.arange(self.batch)[:, None, None]]
        return gathered

    # -- scans -----------------------------------------------------------------------------------

    def scan(self, step: ScanStep, init: ScanInit, **params: Any) -> tuple[Array, ...]:
        """Run a state machine along each voice, from its first cell on.

        Args:
            step: `step(state, here, **params)` returns (next state, outputs); `here` is this
                score seen at one cell, outputs are tuples of arrays (B, 1, 1). Write it at module
                level: results are remembered under the function, and one that is made anew each
                time is run anew each time.
            init: the first state: a tuple of numpy scalars that are spread to (B, 1, 1), or a
                function of the score that makes one.
            **params: passed to `step`.

        Returns:
            the outputs at the cells of this view; 0 where nothing is written.

        Raises:
            ValueError: nothing is written yet.
        """
        done = self._tape(step, init, params, self.task.voices)
        return tuple(self._look(output) for output in done.outputs)

    def scan_all(self, step: ScanStep, init: ScanInit, **params: Any) -> tuple[Array, ...]:
        """Run one state machine along the cells of all voices, in writing order; see `scan`."""
        return tuple(self._look(output) for output in self._tape(step, init, params, 1).outputs)

    def _tape(self, step: ScanStep, init: ScanInit, params: dict[str, Any], machines: int) -> Tape:
        """Return a scan's results up to the last written cell; only new cells are computed."""
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
            number = cell % machines
            done.states[number], outputs = step(done.states[number], self._at_cell(cell), **params)
            done.add(outputs, self._store.tokens)
        return done

    def scanned(self) -> dict[Any, list[Array]]:
        """Return the outputs (cells, B), in writing order, of every scan that is up to date."""
        done = {k: t for k, t in self._store.tapes.items() if t.length >= self.n_written}
        return {key: tape.outputs for key, tape in done.items()}

    def seen_before(self, step: ScanStep, init: ScanInit, gap: int, **params: Any) -> Array:
        """True where a scan's value occurred `gap` or more cells earlier in the same voice.

        The scan `step` has one output of integers; otherwise the arguments are those of `scan`.
        """
        voices = self.task.voices
        values = self._tape(step, init, params, voices).outputs[0]
        if isinstance(self._at, int):
            return tape.occurred_before_at(values, self._at, voices, gap)[:, None, None]
        return self._look(tape.occurred_before(values, voices, gap))
