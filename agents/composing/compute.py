"""Compute used by a search, and the networks that it steps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from envs.music.score import Score
from envs.music.tape import Array
from pretrained.prior import AutoregressivePrior
from rewards.objective import Objective
from rewards.sum import RewardSum


@dataclass(frozen=True)
class Compute:
    """Compute used by a search.

    Attributes:
        tokens: tokens that networks evaluated, those behind a reward's log p too.
        cells: cells that a reward or a mask looked at, once however many terms it has.
        wall_seconds: by the clock.
        cpu_seconds: of this process, all its threads.
    """

    tokens: int = 0
    cells: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __add__(self, other: Compute) -> Compute:
        return Compute(
            self.tokens + other.tokens,
            self.cells + other.cells,
            self.wall_seconds + other.wall_seconds,
            self.cpu_seconds + other.cpu_seconds,
        )

    def __str__(self) -> str:
        return (
            f"{self.tokens:,} tokens of networks, {self.cells:,} cells scored, "
            f"{self.wall_seconds:.1f} s ({self.cpu_seconds:.1f} s of processor)"
        )


class Meter:
    """Counts what a search does; the clocks run from its making on."""

    def __init__(self) -> None:
        self.tokens = self.cells = 0
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> Compute:
        """The cost so far."""
        wall, cpu = self._began
        passed = time.perf_counter() - wall, time.process_time() - cpu
        return Compute(self.tokens, self.cells, *passed)

    def returns(self, reward: RewardSum, score: Score) -> Array:
        """Return what a reward pays for finished pieces, (B,) float64."""
        cells = score.batch * score.task.steps
        self.cells += cells
        self.tokens += cells * (Objective(reward).prior is not None)
        return reward(score).sum(axis=(1, 2), dtype=np.float64)


class BranchingPrior(AutoregressivePrior, Protocol):
    """A prior that can go on from one state in several ways."""

    def take(self, state: Any, rows: Tensor) -> Any:
        """The state of some pieces; `rows` (N,) are their numbers and may repeat."""
        ...


class Reader:
    """A network that reads along with a batch in the making, each voice with its own state.

    Args:
        prior: the network; `take` needs one that can branch.
        page: what is written already is read at once.
        meter: counts the tokens.

    Raises:
        ValueError: a network of another codec.
    """

    def __init__(self, prior: AutoregressivePrior, page: Score, meter: Meter) -> None:
        self._prior, self._meter, self._cell = prior, meter, 0
        self._voices = page.task.voices
        self._states = [prior.start(page.task, page.batch) for _ in range(self._voices)]
        self._last: list[Tensor | None] = [None] * self._voices
        for cell in range(page.n_written):
            at, voice = divmod(cell, self._voices)
            self.logits()
            self.read(page.tokens[:, voice, at])

    def logits(self) -> Tensor:
        """Logits (B, vocab) of the next cell's token; to be asked once a cell."""
        voice = self._cell % self._voices
        logits, self._states[voice] = self._prior.step(self._last[voice], self._states[voice])
        self._meter.tokens += len(logits)
        return logits

    def nats(self) -> Array:
        """log p (B, vocab) in place of the logits."""
        nats: Array = self.logits().log_softmax(dim=-1).numpy()
        return nats

    def read(self, tokens: Array) -> None:
        """Tokens (B,) that were written in that cell."""
        self._last[self._cell % self._voices] = torch.from_numpy(tokens.astype(np.int64))
        self._cell += 1

    def take(self, rows: Array) -> None:
        """Go on with the pieces `rows` (N,), which may repeat."""
        chosen = torch.from_numpy(rows)
        prior = cast(BranchingPrior, self._prior)
        self._states = [prior.take(state, chosen) for state in self._states]
        self._last = [None if last is None else last[chosen] for last in self._last]
