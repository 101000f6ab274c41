"""Probes: each tries one promise of the reward contract and says what it found broken.

A probe takes a `Trial`, a term beside pieces of noise and what it gave them, and returns a
message, '' if the promise holds. Messages end with what to do.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from multiprocessing.reduction import ForkingPickler
from threading import current_thread, main_thread
from types import FrameType
from typing import Any

import numpy as np

from envs.errors import RewardError
from envs.music.codec import UNWRITTEN
from envs.music.noise import HOLDS, noise
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.checking.panel import degenerate
from rewards.term import Term

PIECES = 6  # of noise in a trial
MOST_CELLS = 2**17  # of pieces that are cut in two, at every cell where these suffice
BATCH = 256  # pieces asked about together
PATIENCE = 60  # seconds for a probe
KINDS = ((2, HOLDS), (3, 2.0))  # seed and weight of a hold
TOLERANCE = 1e-4  # relative and absolute: a batched float32 product rounds otherwise than a single


@dataclass(frozen=True)
class Trial:
    """A term and the pieces it is tried on; at most `cells` are written to look for look-ahead."""

    term: Term
    task: Task
    cells: int = MOST_CELLS

    @cached_property
    def tokens(self) -> Array:
        """(PIECES, V, T) finished pieces of noise, half of them with few holds."""
        halves = [noise(self.task, seed, PIECES // 2, holds) for seed, holds in KINDS]
        return np.concatenate([half.tokens for half in halves])

    @cached_property
    def others(self) -> Array:
        """(PIECES, V, T) other pieces."""
        return noise(self.task, 4, PIECES, HOLDS).tokens

    @cached_property
    def value(self) -> Array:
        """Value of the pieces: (PIECES, V, T) or (PIECES,)."""
        return self.ask(self.tokens, advice="")

    def ask(
        self,
        tokens: Array,
        written: int | None = None,
        advice: str = ". It valued other pieces of this task",
    ) -> Array:
        """Return the term's value of a score of its own, as float64.

        Args:
            tokens, written: of the score.
            advice: behind the message of an error.

        Raises:
            RewardError: see `Term.raw`.
        """
        score = Score(tokens, replace(self.task), written)
        try:
            value = self.term.raw(score).astype(np.float64)
        except RewardError as error:
            raise RewardError(f"{error}{advice}") from error
        if score.task != self.task:
            raise RewardError(
                f"reward term {self.term.name!r} writes into the task: it is {score.task} after "
                f"the call, expected {self.task}. Others read the same task: change a copy, "
                "dataclasses.replace(score.task, ...)"
            )
        return value

    def cuts(self) -> list[int]:
        """Counts of written cells at which the pieces are cut, none of them 0 or all."""
        steps = self.task.steps
        most = max(1, self.cells // (PIECES * steps))
        return sorted({*np.linspace(1, steps - 1, most).astype(int).tolist()} - {0, steps})

    def in_order(self, value: Array) -> Array:
        """(B, V, T) as (B, cells in writing order)."""
        return value.swapaxes(1, 2).reshape(len(value), -1)

    def place(self, cell: int) -> str:
        """A cell of the writing order in words."""
        time, voice = divmod(cell, self.task.voices)
        return f"cell {time}" + (f" of voice {voice}" if self.task.voices > 1 else "")


def same(a: Any, b: Any) -> Array:
    """Where two values are equal but for rounding."""
    return np.asarray(np.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE))


def answers(trial: Trial) -> str:
    """Arrays of real, finite numbers for ordinary pieces, and for silence and other extremes."""
    _ = trial.value
    for name, score in degenerate(trial.task).items():
        advice = f". The piece was: {name}. Every page that can be written needs a value"
        trial.ask(score.tokens[np.arange(2) % score.batch], advice=advice)
    return ""


def repeats(trial: Trial) -> str:
    """Equal pieces have equal values, however often and after whatever else they are asked for."""
    values = [trial.value, *(trial.ask(trial.tokens) for _ in range(3))]
    trial.ask(trial.others)
    values.append(trial.ask(trial.tokens))
    stays = [np.array_equal(a, b) for a, b in pairwise(values)]
    if all(stays):
        return ""
    at = next(i for i, stay in enumerate(stays) if not stay)
    a, b = values[at], values[at + 1]
    where = tuple(np.argwhere(a != b)[0]) if a.shape == b.shape else (0,)
    got = f"expected {a[where]!s} for piece {where[0]} again, got {b[where]!s}"
    if stays[2]:  # asked twice in a row it settled: this is memory, and no chance
        return (
            f"keeps state: it remembers pieces it has seen; {got}. A value may depend on the "
            "Score alone: keep nothing between calls; a reward that learns does so in `update`"
        )
    return (
        f"differs per call: {got}. It draws random numbers, counts its calls or reads the clock; "
        "a value may depend on the Score alone"
    )


def is_alone(trial: Trial) -> str:
    """Each piece has the value that it has alone, in any order of the batch."""
    value = trial.value
    advice = ", when asked about one piece alone. Keep the axis of pieces"
    for row in range(PIECES):
        alone = trial.ask(trial.tokens[row : row + 1], advice=advice)
        if alone.ndim != value.ndim or not same(alone[0], value[row]).all():
            a, b = float(np.sum(value[row])), float(np.sum(alone))
            return (
                f"depends on the other pieces of the batch: piece {row} gets {a:g} among "
                f"{PIECES} and {b:g} alone, expected the same. Take means and sums over axes 1 "
                "and 2, never over axis 0"
            )
    order = np.roll(np.arange(PIECES), 1)
    mixed = trial.ask(trial.tokens[order])
    if not same(mixed, value[order]).all():
        return (
            "depends on the order of the batch: the same pieces in another order got other "
            "values. Value each piece by its own cells"
        )
    return ""


def looks_back_only(trial: Trial) -> str:
    """A value at a cell depends on the cells up to it, and on no later one."""
    if trial.value.ndim == 1:
        return ""  # asked about finished pieces only
    return is_causal(trial) or _reads_only_written(trial)


def is_causal(trial: Trial) -> str:
    """No value at a cell changes when later cells are written otherwise."""
    cuts, steps = trial.cuts(), trial.task.steps
    if not cuts:
        return ""
    page, other = trial.in_order(trial.tokens), trial.in_order(trial.others)
    before = trial.in_order(trial.value)
    kept = np.arange(steps) < np.reshape(cuts, (-1, 1, 1))
    rewritten = np.where(kept, page, other).reshape(-1, trial.task.cells, trial.task.voices)
    batches = np.array_split(rewritten.swapaxes(1, 2), -(-len(rewritten) // BATCH))  # fit memory
    after = np.concatenate([trial.ask(batch) for batch in batches])
    after = trial.in_order(after).reshape(len(cuts), PIECES, steps)
    changed = np.argwhere(kept & ~same(before, after))
    if not len(changed):
        return ""
    cut, row, cell = changed[0]
    return (
        f"is not causal: its value at {trial.place(cell)} of piece {row} was "
        f"{before[row, cell]:g} and became {after[cut, row, cell]:g} when "
        f"{trial.place(cuts[cut])} and those behind it were written otherwise. Pay it at the end "
        "(score.is_last), at the later cell, or return one number per piece"
    )


def _reads_only_written(trial: Trial) -> str:
    """A piece in the making is worth at its written cells what it is worth when finished."""
    page, before = trial.in_order(trial.tokens), trial.in_order(trial.value)
    for cut in trial.cuts():
        tokens = page.copy()
        tokens[:, cut:] = UNWRITTEN
        if trial.task.given:
            free = trial.task.free.T.reshape(-1)
            tokens[:, cut:] = np.where(free[cut:], UNWRITTEN, page[:, cut:])
        advice = (
            f", on pieces with {cut} of {trial.task.steps} cells written. Unwritten cells hold "
            "-1; let score.onset and score.written say what is there"
        )
        page_so_far = tokens.reshape(PIECES, trial.task.cells, -1).swapaxes(1, 2)
        part = trial.ask(page_so_far, cut, advice)
        if part.ndim == 1:
            return "gives a value per cell for finished pieces and one per piece for others"
        after = trial.in_order(part)
        changed = np.argwhere(~same(before, after)[:, :cut])
        if len(changed):
            row, cell = changed[0]
            return (
                f"reads unwritten cells: with {cut} of {trial.task.steps} cells written its value "
                f"at {trial.place(cell)} of piece {row} is {after[row, cell]:g}, in the finished "
                f"piece {before[row, cell]:g}. Unwritten cells hold -1: look at the cells up to "
                "the valued one only, and not at score.finished or score.n_written"
            )
    return ""


def keeps_cellwise(trial: Trial) -> str:
    """A cellwise function gives the newest cell alone the value it has in the whole piece."""
    if not trial.term.cellwise:
        return ""
    advice = (
        "A cellwise function works through facts, prev() and scan() alone; leave the mark out "
        "or use those in place of sums and shifts along the cells"
    )
    if trial.value.ndim == 1:
        return f"is marked cellwise but returned one number per piece. {advice}"
    whole, score = trial.in_order(trial.value), Score.page(trial.task, PIECES)
    for cell, token in enumerate(trial.in_order(trial.tokens).T):
        score = score.write(token)
        try:
            newest = trial.term.raw(score.newest).reshape(-1)
        except RewardError as error:
            return f"{error}, seen at the newest cell. {advice}"
        if len(newest) != PIECES or not same(newest, whole[:, cell]).all():
            row = 0 if len(newest) != PIECES else int(np.argmin(same(newest, whole[:, cell])))
            return (
                f"is marked cellwise but gives {newest[row]:g} at {trial.place(cell)} of piece "
                f"{row} when that is the newest, and {whole[row, cell]:g} in the whole. {advice}"
            )
    return ""


def is_pure(trial: Trial) -> str:
    """The score is afterwards as it was before."""
    used, fresh = (Score(trial.tokens, replace(trial.task)) for _ in range(2))
    trial.term.raw(used)
    for mine, other in ((used, fresh), (used.task, fresh.task), (used._store, fresh._store)):
        for name, fact in vars(mine).items():
            if isinstance(fact, np.ndarray) and not np.array_equal(fact, getattr(other, name)):
                owner = "task" if isinstance(mine, Task) else "score"
                return (
                    f"writes into the {owner}: {name} was another after the call. Other terms read "
                    f"the same arrays; write into a copy, such as {owner}.{name}.copy()"
                )
    return ""


def is_a_violation(trial: Trial) -> str:
    """A rule gives violations, from 0 to 1."""
    value = trial.value
    if not trial.term.rule.violation or not value.size:
        return ""
    worst = float(value.max() if value.max() > 1 else value.min())
    if 0 <= worst <= 1:
        return ""
    return (
        f"is a rule and gave {worst:g}, expected a violation from 0 to 1. Let the weight say how "
        "much it costs; a function that pays is no rule"
    )


def is_picklable(trial: Trial) -> str:
    """It can be sent to a worker process. It is written only, and never read back."""
    try:
        ForkingPickler.dumps(trial.term.rule)
    except Exception as error:  # each object that cannot be pickled has its own
        return (
            f"cannot be pickled ({type(error).__name__}: {error}), so no worker process can have "
            "it. Define it with def at the top of a module, not as a lambda or inside a function"
        )
    return ""


# In this order; a term that fails a promise of FIRST is not tried further.
FIRST: tuple[Callable[[Trial], str], ...] = (answers, repeats)
REST = (is_alone, looks_back_only, keeps_cellwise, is_pure, is_a_violation, is_picklable)


def broken_promises(term: Term, task: Task) -> list[str]:
    """Return messages on every promise that a term breaks on a task, each naming the term."""
    trial = Trial(term, replace(task))  # what a term does to the task stays here
    found = []
    for probe in (*FIRST, *REST):
        try:
            with patience(PATIENCE):
                said = probe(trial)
        except RewardError as error:
            said = str(error)
        if said:
            named = said.startswith("reward term ")
            found.append(said if named else f"reward term {term.name!r} {said}")
            if probe in FIRST:
                break
    return found


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what runs longer, where that can be done: in a main thread on Unix."""

    def late(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no answer after {seconds:g} s; expected one in milliseconds")

    if not hasattr(signal, "SIGALRM") or current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
