"""Reward-weighted regression on whole pieces: draw many, weight them, imitate the best.

The policy that maximises E[reward / c] - KL(policy || prior) is the prior times exp(reward / c), up
to a constant. A piece drawn from the present policy has the importance weight exp(reward / c +
log p - log pi) towards it, which is exp of its return if prior and entropy have weight 1. Pieces
are resampled in proportion to their weights and imitated by maximum likelihood (reward-weighted
regression, Peters and Schaal 2007; towards a distribution given by a reward, Parshakova et al.
2019, Khalifa et al. 2021). So each token of a good piece is learned from, while a policy gradient
has a single number for each piece.

At first nearly all weight is on very few pieces. So weights are tempered, exp(b x return), with the
largest b up to 1 that leaves a share of the pieces effective; b rises as the policy improves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from agents.algorithms.piece_learner import PieceLearner
from agents.learning.rollout import observations_of
from envs.music.tape import Array

ELITE = 0.06  # least share of effective pieces
COPIES = 2.0  # resampled pieces for each effective one
AVERAGE = 0.99  # decay of the running average of the network's weights, for each step
BISECTIONS = 40


def tempering(returns: Array, elite: float = ELITE) -> tuple[float, Array]:
    """Return the factor b of tempered weights, and the weights.

    Args:
        returns: (N,) log weights, up to a constant.
        elite: least effective number of pieces, 1 / sum(weights^2), as a share of N.

    Returns:
        b, the largest one in 0..1, and weights (N,) proportional to exp(b * returns), of sum 1.
    """
    heights = np.asarray(returns, np.float64) - np.max(returns)

    def shares(b: float) -> Array:
        weights = np.exp(b * heights)
        return np.asarray(weights / weights.sum())

    def enough(b: float) -> bool:
        return bool(1 / (shares(b) ** 2).sum() >= elite * len(heights))

    low, high = 0.0, 1.0
    if enough(high):
        return high, shares(high)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    return low, shares(low)


def drawn_again(shares: Array, n: int, rng: np.random.Generator) -> Array:
    """Return the numbers (n,) of pieces drawn by systematic resampling.

    Args:
        shares: (N,) probabilities of the pieces.
        n: number of draws.
        rng: draws them.
    """
    places = (np.arange(n) + rng.random()) / n
    rows = np.searchsorted(np.cumsum(shares), places, side="right")
    return np.asarray(rows.clip(max=len(shares) - 1))


# The resampled pieces of a rollout: pieces (N, V, T) int64, given (N, V, T), masks
# (N, steps, vocab), context (N, len(CONTEXT)) and actions (N, steps).
Lessons = dict[str, torch.Tensor]
LESSONS = ("pieces", "given", "masks", "context", "actions")


class RewardWeighted(PieceLearner):
    """Reward-weighted regression: the policy is fitted each time after several rollouts.

    Args:
        *arguments: see SB3's OnPolicyAlgorithm.
        rollouts: rollouts drawn before each fit.
        batch_size: cells in a minibatch of whole pieces.
        n_epochs: passes over the resampled pieces.
        **settings: see SB3's OnPolicyAlgorithm; the learning rate falls to 0 within each fit.
    """

    def __init__(
        self,
        *arguments: Any,
        rollouts: int = 32,
        batch_size: int = 8192,
        n_epochs: int = 3,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.rollouts, self.batch_size, self.n_epochs = rollouts, batch_size, n_epochs
        self.lessons: list[Lessons] = []

    def learn(self, *arguments: Any, **settings: Any) -> Any:
        """Train, see SB3; at the end the policy is fitted to the remaining pieces too."""
        super().learn(*arguments, **settings)
        if self.lessons and self.num_timesteps >= self._total_timesteps:
            self._fit()
        return self

    def train(self) -> None:
        """Resample the rollout just collected; fit the policy after every `rollouts` of them."""
        buffer = self.rollout_buffer
        temper, shares = tempering(buffer.piece_returns())
        rng = np.random.default_rng(np.random.randint(2**31))  # SB3 seeds numpy's generator
        rows = drawn_again(shares, max(1, int(COPIES / (shares**2).sum())), rng)
        columns = buffer.columns()
        self.lessons.append({name: buffer.to_torch(columns[name][rows]) for name in LESSONS})
        self.logger.record("train/temper", temper)
        if len(self.lessons) >= self.rollouts:
            self._fit()

    def notebook(self) -> dict[str, torch.Tensor]:
        """Return the resampled pieces as tensors by name, to be saved with the run's state."""
        return {
            f"{number}.{name}": value
            for number, lessons in enumerate(self.lessons)
            for name, value in lessons.items()
        }

    def take_up(self, notebook: Mapping[str, torch.Tensor]) -> None:
        """Set the resampled pieces to the `notebook` of another model."""
        notebook = {name: value.to(self.device) for name, value in notebook.items()}
        count = len({name.partition(".")[0] for name in notebook})
        self.lessons = []
        for n in range(count):
            known = {name: notebook[f"{n}.{name}"] for name in LESSONS if name != "given"}
            none = torch.zeros_like(known["pieces"], dtype=torch.bool)  # before 0.7 none was kept
            self.lessons.append({**known, "given": notebook.get(f"{n}.given", none)})

    def _minibatches(self) -> Iterator[Lessons]:
        """Yield minibatches in random order; each has whole pieces of a single rollout."""
        parts = []
        for number, lessons in enumerate(self.lessons):
            pieces, steps = lessons["actions"].shape
            order = torch.from_numpy(np.random.permutation(pieces))
            parts += [(number, rows) for rows in order.split(max(1, self.batch_size // steps))]
        for index in np.random.permutation(len(parts)):
            number, rows = parts[index]
            yield {name: values[rows] for name, values in self.lessons[number].items()}

    def _fit(self) -> None:
        """Fit the policy by maximum likelihood; set it to the running average of its weights."""
        self.policy.set_training_mode(True)
        peak = self.lr_schedule(self._current_progress_remaining)
        weights = list(self.policy.parameters())
        averaged = [weight.detach().clone() for weight in weights]
        update = get_ema_multi_avg_fn(AVERAGE)
        optimizer = torch.optim.Adam(weights, peak)
        losses: list[float] = []
        for _ in range(self.n_epochs):
            parts = list(self._minibatches())
            total = self.n_epochs * len(parts)
            for part in parts:
                rate = peak * 0.5 * (1 + math.cos(math.pi * len(losses) / total))
                optimizer.param_groups[0]["lr"] = rate
                losses.append(self._step(part, optimizer))
                with torch.no_grad():
                    update(averaged, [weight.detach() for weight in weights], len(losses))
        with torch.no_grad():
            for weight, mean in zip(weights, averaged, strict=True):
                weight.copy_(mean)
        self.policy.set_training_mode(False)
        self.record(self.n_epochs, negative_log_likelihood=float(np.mean(losses)))
        self.lessons = []

    def _step(self, part: Lessons, optimizer: torch.optim.Optimizer) -> float:
        actions = part["actions"].flatten()
        _, nats, _ = self.policy.evaluate_actions(observations_of(part), actions)
        return self.descend(-nats.mean(), optimizer)
