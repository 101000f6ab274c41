"""Compute used by a search, and the networks that it steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import Tensor

from envs.music.score import Score
from envs.music.tape import Array
from pretrained.prior import Prior
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
        return Compute(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        return (
            f"{self.tokens:,} tokens of networks, {self.cells:,} cells scored, "
            f"{self.wall_seconds:.1f} s ({self.cpu_seconds:.1f} s of processor)"
        )


class ComputeMeter:
    """Counts the work of a search; the clocks run from its making on."""

    def __init__(self) -> None:
        self.tokens = self.cells = 0
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> Compute:
        """Return the compute used so far."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Compute(self.tokens, self.cells, wall, cpu)

    def returns(self, reward: RewardSum, score: Score) -> Array:
        """Return the sum that a reward pays for each finished piece, (B,) float64."""
        cells = score.batch * score.task.steps
        self.cells += cells
        self.tokens += cells * (Objective(reward).prior is not None)
        return reward(score).sum(axis=(1, 2), dtype=np.float64)


class Reader:
    """A prior that reads along with a batch in the making, and a meter of its tokens.

    Args:
        prior: reads; cells that are written on the page already are read at the first question.
        page: the batch.
        meter: counts the tokens.

    Raises:
        ValueError: the prior cannot read the page.
    """

    def __init__(self, prior: Prior, page: Score, meter: ComputeMeter) -> None:
        self._prior, self._meter, self._asked = prior, meter, 0
        self._state = prior.start(page.task, page.batch)

    def logits(self, score: Score) -> Tensor:
        """Return logits (B, vocab) of the next cell's token."""
        logits, self._state = self._prior.step(self._state, score)
        self._meter.tokens += len(logits) * (score.n_written + 1 - self._asked)
        self._asked = score.n_written + 1
        return logits

    def nats(self, score: Score) -> Array:
        """Return log p (B, vocab) in place of the logits."""
        return self.logits(score).log_softmax(dim=-1).numpy()

    def take(self, rows: Array) -> None:
        """Go on with the pieces `rows` (N,), which may repeat."""
        self._state = self._prior.take(self._state, torch.from_numpy(rows))


def stepped_nats(
    network: Prior, pieces: Score, changed: Callable[[Tensor, Score], Tensor]
) -> Array:
    """Return log-probabilities (B, V, T), in nats, of finished pieces by changed logits.

    Args:
        network: reads along.
        pieces: the pieces.
        changed: returns the logits (B, vocab) that are drawn from, of the network's own and the
            score so far; -inf where nothing may stand. A given cell has one token, and costs 0.
    """
    score, rows = Score.page(pieces.task, pieces.batch), np.arange(pieces.batch)
    reader = Reader(network, score, ComputeMeter())
    nats = np.zeros(pieces.tokens.shape, np.float32)
    while not score.finished:
        time, voice = divmod(score.n_written, pieces.task.voices)
        tokens = pieces.tokens[:, voice, time]
        logits = changed(reader.logits(score), score)
        nats[:, voice, time] = logits.log_softmax(dim=1).numpy()[rows, tokens]
        score = score.write(tokens)
    return nats
