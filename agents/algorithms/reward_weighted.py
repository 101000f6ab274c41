"""Reward-weighted regression on whole pieces: draw many, weigh them, imitate the best.

The policy that maximises E[reward / c] - KL(policy || prior) is the prior times exp(reward / c), up
to a constant. So a piece drawn from the policy stands for that one with the weight exp(reward / c +
log p - log pi), which is exp of its return where the prior and the entropy have weight 1. Pieces
drawn again in proportion to their weights are imitated by maximum likelihood (reward-weighted
regression, Peters and Schaal 2007; towards a distribution that a reward gives, Parshakova et al.
2019, Khalifa et al. 2021). Each token of a good piece is a lesson, where a policy gradient has one
number a piece to learn from.

At first hardly any piece weighs anything. Then the weights are tempered, exp(b x return) with the
largest b up to 1 that leaves a share of the pieces effective; as the policy comes nearer, b rises.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from agents.learning.rollout import EpisodeBuffer
from envs.music.tape import Array

ELITE = 0.06  # share of the pieces that is effective at least
COPIES = 2.0  # pieces drawn again for each effective one
AVERAGE = 0.99  # decay a step of the running average of weights, which is what is kept
BISECTIONS = 40


def tempering(returns: Array, elite: float = ELITE) -> tuple[float, Array]:
    """The temper b and the shares of pieces.

    Args:
        returns: (N,) log weights, up to a constant.
        elite: share of N that the effective number of pieces, 1 / sum(shares^2), has at least.

    Returns:
        b from 0 to 1, and shares (N,) in proportion to exp(b * returns) that sum to 1.
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
    """Numbers (n,) of pieces in proportion to their shares: systematic resampling."""
    places = (np.arange(n) + rng.random()) / n
    rows = np.searchsorted(np.cumsum(shares), places, side="right")
    return np.asarray(rows.clip(max=len(shares) - 1))


@dataclass
class _Lessons:
    """Pieces of one rollout that are to be imitated."""

    pieces: torch.Tensor  # (N, V, T) int64
    masks: torch.Tensor  # (N, steps, vocab)
    context: torch.Tensor  # (N, len(CONTEXT))
    actions: torch.Tensor  # (N, steps)


class RewardWeighted(OnPolicyAlgorithm):
    """Reward-weighted regression; the policy is fitted anew after some rollouts.

    Args:
        *arguments: as SB3's OnPolicyAlgorithm.
        rollouts: that are drawn from one policy before it is fitted.
        batch_size: cells in a minibatch of whole pieces.
        n_epochs: passes over the pieces drawn again.
        **settings: as SB3's OnPolicyAlgorithm; the learning rate falls to 0 within each fit.
    """

    def __init__(
        self,
        *arguments: Any,
        rollouts: int = 32,
        batch_size: int = 8192,
        n_epochs: int = 3,
        **settings: Any,
    ) -> None:
        settings = {"use_sde": False, "sde_sample_freq": -1, "ent_coef": 0.0} | settings
        super().__init__(*arguments, **settings)
        self.rollouts, self.batch_size, self.n_epochs = rollouts, batch_size, n_epochs
        self.lessons: list[_Lessons] = []
        self._n_updates = 0

    def learn(self, *arguments: Any, **settings: Any) -> Any:
        """As SB3; at the very end the policy is fitted to what is left over."""
        super().learn(*arguments, **settings)
        if self.lessons and self.num_timesteps >= self._total_timesteps:
            self._fit()
            self.lessons = []
        return self

    def train(self) -> None:
        """Keep what is worth imitating of the rollout; fit the policy when there is enough."""
        buffer = cast(EpisodeBuffer, self.rollout_buffer)
        temper, lessons = self._worth_imitating(buffer)
        self.lessons.append(lessons)
        self.logger.record("train/temper", temper)
        if len(self.lessons) >= self.rollouts:
            self._fit()
            self.lessons = []

    def notebook(self) -> dict[str, torch.Tensor]:
        """The lessons so far as tensors by name, for a run that is to go on."""
        return {
            f"{number}.{name}": value
            for number, lessons in enumerate(self.lessons)
            for name, value in vars(lessons).items()
        }

    def take_up(self, notebook: Mapping[str, torch.Tensor]) -> None:
        """Go on with what another model gave as its `notebook`."""
        count = len({name.partition(".")[0] for name in notebook})
        self.lessons = [
            _Lessons(**{field.name: notebook[f"{n}.{field.name}"] for field in fields(_Lessons)})
            for n in range(count)
        ]

    def _worth_imitating(self, buffer: EpisodeBuffer) -> tuple[float, _Lessons]:
        returns = buffer.rewards.reshape(buffer.episodes, buffer.steps, -1).sum(axis=1).reshape(-1)
        temper, shares = tempering(returns)
        rng = np.random.default_rng(np.random.randint(2**31))  # SB3 seeds numpy's generator
        rows = drawn_again(shares, max(1, int(COPIES / (shares**2).sum())), rng)
        tokens = buffer.tokens.reshape(-1, buffer.voices, buffer.cells)[rows].astype(np.int64)
        context = buffer.context.reshape(len(returns), -1)[rows]
        masks, actions = buffer.by_piece(buffer.masks)[rows], buffer.by_piece(buffer.actions)[rows]
        return temper, _Lessons(*map(buffer.to_torch, (tokens, masks, context, actions)))

    def _minibatches(self) -> Iterator[_Lessons]:
        """Whole pieces of one rollout each, all in random order."""
        parts = []
        for number, lessons in enumerate(self.lessons):
            count = max(1, self.batch_size // lessons.actions.shape[1])
            order = torch.from_numpy(np.random.permutation(len(lessons.actions)))
            parts += [(number, rows) for rows in order.split(count)]
        for index in np.random.permutation(len(parts)):
            number, rows = parts[index]
            lessons = self.lessons[number]
            yield _Lessons(
                lessons.pieces[rows],
                lessons.masks[rows],
                lessons.context[rows],
                lessons.actions[rows],
            )

    def _fit(self) -> None:
        """Maximum likelihood of the lessons; what is kept is the running average of weights."""
        self.policy.set_training_mode(True)
        peak = self.lr_schedule(self._current_progress_remaining)
        weights = list(self.policy.parameters())
        averaged = [weight.detach().clone() for weight in weights]
        update = get_ema_multi_avg_fn(AVERAGE)
        optimizer = torch.optim.Adam(weights, peak)
        total = self.n_epochs * sum(
            math.ceil(len(part.actions) / max(1, self.batch_size // part.actions.shape[1]))
            for part in self.lessons
        )
        losses: list[float] = []
        for _ in range(self.n_epochs):
            for part in self._minibatches():
                rate = peak * 0.5 * (1 + math.cos(math.pi * len(losses) / total))
                optimizer.param_groups[0]["lr"] = rate
                losses.append(self._step(part, optimizer))
                with torch.no_grad():
                    update(averaged, [weight.detach() for weight in weights], len(losses))
        with torch.no_grad():
            for weight, mean in zip(weights, averaged, strict=True):
                weight.copy_(mean)
        self.policy.set_training_mode(False)
        self._n_updates += self.n_epochs
        self.logger.record("train/negative_log_likelihood", float(np.mean(losses)))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _step(self, part: _Lessons, optimizer: torch.optim.Optimizer) -> float:
        observations = {
            "pieces": part.pieces,
            "action_mask": part.masks,
            "context": part.context,
        }
        _, nats, _ = self.policy.evaluate_actions(observations, part.actions.flatten())
        loss = -nats.mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        optimizer.step()
        return float(loss.item())
