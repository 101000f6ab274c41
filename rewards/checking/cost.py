"""Cost of a reward: time per piece, alone and in a batch, and the lines it is spent in."""

from __future__ import annotations

import inspect
import linecache
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

import numpy as np

from envs.contract import RewardFunction
from envs.music.noise import HOLDS, noise
from envs.music.score import Score
from envs.music.task import Task

BATCH = 1024
SECONDS = 2.0  # about how long one measurement may take
MOST = 3  # lines or terms that are told
LEAST = 0.05  # share of the time below which they are not


@dataclass(frozen=True)
class Cost:
    """Seconds a piece.

    Attributes:
        task: of the pieces.
        alone: in a batch of one.
        batched: in a batch of `batch` pieces.
        batch: BATCH, or fewer where that would take too long.
        slowest: shares of the time, the largest first, and whose they are: lines of the function's
            file, what they call in other files included; or the terms of a sum.
    """

    task: Task
    alone: float
    batched: float
    batch: int
    slowest: tuple[tuple[float, str], ...]

    def __str__(self) -> str:
        text = (
            f"Cost for {self.task.cells} cells: {_duration(self.alone)} a piece alone, "
            f"{_duration(self.batched)} in a batch of {self.batch:,}"
        )
        if self.batch < BATCH:
            text += f" ({BATCH:,} would take {_duration(BATCH * self.batched)})"
        return text + "".join(f"\n  {share:4.0%}  {what}" for share, what in self.slowest)


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _time(fn: Callable[[Score], Any], score: Score) -> float:
    fresh = Score(score.tokens, score.task)  # knows no facts yet
    began = time.perf_counter()
    fn(fresh)
    return time.perf_counter() - began


def measure(fn: RewardFunction, task: Task, parts: Mapping[str, RewardFunction]) -> Cost:
    """Time a reward function on pieces of noise.

    Args:
        fn: the function.
        task: of the pieces.
        parts: the functions it is the sum of; one alone is looked at line by line.
    """
    pieces = noise(task, 1, 32, HOLDS)
    fn(pieces[:1])  # imports and caches are paid before
    alone: list[float] = []
    began = time.perf_counter()
    while len(alone) < 9 and time.perf_counter() - began < SECONDS / 2:
        alone.append(_time(fn, pieces[len(alone) : len(alone) + 1]))
    batch, taken = 1, median(alone)
    for size in (8, 32, 128, BATCH):  # larger only where this predicts that it is done in time
        if taken / batch * size > SECONDS and taken > SECONDS / 10:
            break
        score = pieces.take([row % pieces.batch for row in range(size)])
        batch, taken = size, min(_time(fn, score) for _ in range(2))
    few = pieces[: int(np.clip(SECONDS / 4 * batch / taken, 1, 32))]
    one = next(iter(parts.values()))
    shares = _by_line(one, few) if len(parts) == 1 else _by_part(parts, few)
    slowest = sorted(shares.items(), key=lambda item: -item[1])[:MOST]
    whole = sum(shares.values())
    told = tuple((spent / whole, what) for what, spent in slowest if spent >= LEAST * whole)
    return Cost(task, median(alone), taken / batch, batch, told)


def _by_part(parts: Mapping[str, RewardFunction], score: Score) -> dict[str, float]:
    return {name: _time(fn, score) for name, fn in parts.items()}


class _Tracer:
    """Charges the time to the line of one file that is at work; what it calls elsewhere is its."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.spent: defaultdict[int, float] = defaultdict(float)  # 0: between the lines
        self._line, self._then = 0, time.perf_counter()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename != self.file:
            return None
        now = time.perf_counter()
        self.spent[self._line] += now - self._then
        back = frame.f_back
        if event == "line":
            self._line = frame.f_lineno
        elif event == "return" and back is not None and back.f_code.co_filename == self.file:
            self._line = back.f_lineno
        else:
            self._line = 0
        self._then = time.perf_counter()
        return self


def _by_line(fn: RewardFunction, score: Score) -> dict[str, float]:
    """Seconds of each line of the file that holds a function; none if it is written in C."""
    inner = inspect.unwrap(fn)
    try:
        file = inspect.getsourcefile(inner if hasattr(inner, "__code__") else type(inner))
    except TypeError:
        file = None
    if not file:
        return {}
    tracer, before = _Tracer(file), sys.gettrace()
    sys.settrace(tracer)
    try:
        fn(Score(score.tokens, score.task))
    finally:
        sys.settrace(before)
    return {
        f"{Path(file).name}:{line}  {linecache.getline(file, line).strip()}": seconds
        for line, seconds in tracer.spent.items()
        if line
    }
