"""Path consistency learning on whole pieces, with a replay of the last rollouts.

Of the policy q that maximises E[r / c] - KL(q || p), with p the prior, and of its soft values V,

    d_t = r_t / c + log p_t - log q_t + V(t + 1) - V(t)

is 0 at every cell of every piece, whoever wrote it (Nachum et al. 2017, "Bridging the gap between
value and policy based reinforcement learning"). So pieces of earlier rollouts are read again, with
log q and V of now, and no ratio of probabilities is needed. The gradient is that of -A log q, where
A sums the residuals ahead with weights lambda^k, as generalised advantage estimation does
(Schulman et al. 2016), less its mean at that cell.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from agents.algorithms.piece_learner import PieceLearner
from agents.learning.policy import Observation, PriorPolicy, mask_logits
from agents.learning.rollout import EpisodeBuffer, observations_of
from agents.learning.vec_env import CompositionVecEnv
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained import checkpoint
from rewards.sight import RuleSight

FEWEST = 2  # pieces of a minibatch, as advantages are compared
SMALLEST = 1e-3  # standard deviation of returns, in nats, and of facts
FARTHEST = 5.0  # standard deviations at which a fact is cut
KEPT = ("pieces", "given", "masks", "context", "actions", "rules", "likely", "nats")

Lesson = dict[
    str, Tensor
]  # columns of a rollout's pieces: KEPT, facts, and seen where the policy sees


class ConsistencyPolicy(PriorPolicy):
    """PriorPolicy whose values come from a network of their own.

    It reads the features, whose network its error does not reach, and `facts`: what the rules of
    the reward see of the pieces so far, whether the policy sees it or not (an asymmetric critic,
    Pinto et al. 2018). While acting, where no values are needed, they are 0.

    Args:
        *arguments: see PriorPolicy.
        facts: their number.
        value_units: of each of the two layers of the value network.
        value_rate: its learning rate, as a factor of the policy's.
        **settings: see PriorPolicy.
    """

    adam: ClassVar[dict[str, Any]] = {"eps": 1e-5, "fused": True, "betas": (0.9, 0.98)}

    def __init__(
        self,
        *arguments: Any,
        facts: int = 0,
        value_units: int = 128,
        value_rate: float = 3.0,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, value_gradient=False, **settings)
        self.facts = facts
        self.value_units, self.value_rate = value_units, value_rate
        del self.value
        sizes = (self.model.n_features + facts, value_units, value_units, 1)
        first, second, last = (nn.Linear(*pair) for pair in itertools.pairwise(sizes))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.critic = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)
        rate = self.optimizer.param_groups[0]["lr"]
        groups = [
            {"params": list(part.parameters()), "lr": rate} for part in (self.net, self.critic)
        ]
        self.optimizer = self.optimizer_class(groups, **self.optimizer_kwargs)

    def set_rate(self, rate: float) -> None:
        """Set the learning rates of policy and value."""
        for group, factor in zip(self.optimizer.param_groups, (1, self.value_rate), strict=True):
            group["lr"] = rate * factor

    def read(self, obs: Observation, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Return nats (N, steps) of the actions and features (N, steps, n_features) of pieces."""
        logits, features = self._read_pieces(obs)
        log_probs = mask_logits(logits, obs["action_mask"].flatten(0, 1))
        nats = log_probs.gather(1, actions.reshape(-1, 1)).reshape(actions.shape)
        return nats, features.detach().unflatten(0, actions.shape)

    def values(self, features: Tensor, facts: Tensor) -> Tensor:
        """Return values (N, steps), in standard deviations, by features and facts (N, steps, ...).

        The facts of a cell are those of the one written before it.
        """
        before = nn.functional.pad(facts[:, :-1], (0, 0, 1, 0))
        values: Tensor = self.critic(torch.cat([features, before], dim=-1))
        return values[..., 0]

    def _value(self, features: Tensor) -> Tensor:
        return features.new_zeros(len(features), 1)

    def packed(self, notes: Mapping[str, Any] | None = None) -> bytes:
        """Return the policy as the bytes of a checkpoint that loads as a prior."""
        return checkpoint.pack(self.model, notes=notes)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        data = super()._get_constructor_parameters()
        del data["value_gradient"]
        own = ("facts", "value_units", "value_rate")
        return data | {name: getattr(self, name) for name in own}


class PathConsistency(PieceLearner):
    """Path consistency learning with a replay; a value network says what is still to come.

    Args:
        *arguments: see SB3's OnPolicyAlgorithm.
        rollouts: the last ones that are kept and read again.
        replay_ratio: cells read for each new one.
        batch_size: cells in a minibatch of whole pieces, of one rollout.
        gae_lambda: weight of a residual against the one before it, in advantages.
        value_lambda: the same in the returns that values are fitted to.
        value_updates: steps of the value network for each of the policy.
        largest: nats at which an advantage is cut.
        watch: gives the facts that the value network reads; None for none.
        **settings: see SB3's OnPolicyAlgorithm.
    """

    policy: ConsistencyPolicy  # type: ignore[assignment]

    def __init__(
        self,
        *arguments: Any,
        rollouts: int = 4,
        replay_ratio: float = 2.5,
        batch_size: int = 1536,
        gae_lambda: float = 0.87,
        value_lambda: float = 0.97,
        value_updates: int = 4,
        largest: float = 5.0,
        watch: RuleSight | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, gae_lambda=gae_lambda, **settings)
        self.rollouts, self.replay_ratio, self.batch_size = rollouts, replay_ratio, batch_size
        self.value_lambda, self.value_updates = value_lambda, value_updates
        self.largest, self.watch = largest, watch
        self.lessons: list[tuple[int, Lesson]] = []  # number of the task, and its pieces

    # -- memory ----------------------------------------------------------------------------------

    def notebook(self) -> dict[str, Tensor]:
        """Return the kept pieces as tensors by name, to be saved with the run's state.

        What rules see of them is left out.
        """
        kept: dict[str, Tensor] = {}
        for number, (task, lesson) in enumerate(self.lessons):
            kept[f"{number}.task"] = torch.tensor(task)
            kept |= {f"{number}.{name}": lesson[name] for name in KEPT}
        return kept

    def take_up(self, notebook: Mapping[str, Tensor]) -> None:
        """Set the kept pieces to the `notebook` of another model."""
        self.lessons = []
        for number in range(len({name.partition(".")[0] for name in notebook})):
            task = int(notebook[f"{number}.task"])
            lesson = {name: notebook[f"{number}.{name}"].to(self.device) for name in KEPT}
            score = Score(lesson["pieces"].cpu().numpy(), self._tasks[task])
            if self.policy.model.sight is not None:
                seen = EpisodeBuffer.as_stored(self.policy.model.sight.along(score))
                lesson["seen"] = torch.from_numpy(seen).to(self.device)
            lesson["facts"] = self._facts(score)
            self.lessons.append((task, lesson))

    @property
    def _tasks(self) -> list[Task]:
        return [env.env.task for env in cast(CompositionVecEnv, self.env).alternatives]

    def _remember(self) -> None:
        """Keep the rollout just collected, and forget the oldest."""
        buffer = self.rollout_buffer
        if buffer.objective is None or buffer.task is None:
            raise ValueError("path consistency needs a reward of finished pieces")
        rules, likely = buffer.objective.split(buffer.parts)
        columns = buffer.columns()
        columns |= {name: _in_order(part) for name, part in (("rules", rules), ("likely", likely))}
        columns["nats"] = columns["log_probs"]
        names = [name for name in (*KEPT, "seen") if name in columns]
        lesson = {name: buffer.to_torch(columns[name]) for name in names}
        lesson["facts"] = self._facts(buffer.score())
        number = self._tasks.index(buffer.task)
        self.lessons = [*self.lessons, (number, lesson)][-self.rollouts :]

    def _facts(self, score: Score) -> Tensor:
        """Return facts (N, steps, n), in standard deviations over pieces and cells."""
        if self.watch is None:
            return torch.zeros((score.batch, score.task.steps, 0), device=self.device)
        facts = self.watch.facts(score)
        spread = facts.std(axis=(0, 1)).clip(min=SMALLEST)
        scaled = ((facts - facts.mean(axis=(0, 1))) / spread).clip(-FARTHEST, FARTHEST)
        return torch.from_numpy(scaled).to(self.device)

    def _minibatches(self) -> Iterator[tuple[int, Tensor]]:
        """Yield the number of a lesson and rows of it, in random order, without end."""
        while True:
            parts = []
            for number, (_, lesson) in enumerate(self.lessons):
                pieces, steps = lesson["actions"].shape
                order = torch.from_numpy(np.random.permutation(pieces))
                parts += [(number, rows) for rows in order.split(self._at_once(steps))]
            for index in np.random.permutation(len(parts)):
                number, rows = parts[index]
                if len(rows) >= FEWEST:
                    yield number, rows

    def _at_once(self, steps: int) -> int:
        return max(FEWEST, self.batch_size // steps)

    # -- learning --------------------------------------------------------------------------------

    def train(self) -> None:
        """Remember the rollout just collected, and read those that are kept."""
        self._remember()
        self.policy.set_training_mode(True)
        self.policy.set_rate(self.lr_schedule(self._current_progress_remaining))
        levels = [self._level(lesson) for _, lesson in self.lessons]
        pieces, steps = self.lessons[-1][1]["actions"].shape
        updates = max(1, round(self.replay_ratio * pieces / self._at_once(steps)))
        losses, errors = [], []
        for (number, rows), _ in zip(self._minibatches(), range(updates), strict=False):
            lesson = {name: column[rows] for name, column in self.lessons[number][1].items()}
            loss, error = self._update(lesson, *levels[number])
            losses.append(loss)
            errors.append(error)
        self.record(1, policy_loss=float(np.mean(losses)), value_loss=float(np.mean(errors)))

    def _paid(self, lesson: Lesson, nats: Tensor) -> Tensor:
        """Return the reward (N, steps) of each cell, in nats, less what its choice costs."""
        objective = self.rollout_buffer.objective
        if objective is None:
            raise ValueError("path consistency needs a reward of finished pieces")
        return lesson["rules"] / objective.c + lesson["likely"] - objective.entropy * nats

    def _level(self, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Return mean and spread (steps,) of the returns from each cell on."""
        returns = _ahead(self._paid(lesson, lesson["nats"]), 1.0)
        return returns.mean(0), returns.std(0).clamp(min=SMALLEST)

    def _update(self, lesson: Lesson, mean: Tensor, spread: Tensor) -> tuple[float, float]:
        """Make a step of the policy and some of the values; return the errors of both."""
        nats, features = self.policy.read(observations_of(lesson), lesson["actions"])
        with torch.no_grad():
            values = mean + spread * self.policy.values(features, lesson["facts"])
            behind = nn.functional.pad(values[:, 1:], (0, 1))
            residuals = self._paid(lesson, nats) + behind - values
            ahead = _ahead(residuals, self.gae_lambda)
            advantages = (ahead - ahead.mean(0)).clamp(-self.largest, self.largest)
            targets = (values + _ahead(residuals, self.value_lambda) - mean) / spread
        loss = self.descend(-(advantages * nats).sum(1).mean(), self.policy.optimizer)
        for _ in range(self.value_updates):
            error = (self.policy.values(features, lesson["facts"]) - targets).square().mean()
            last = self.descend(error, self.policy.optimizer)
        return loss, last


def cosine(peak: float) -> Any:
    """Return a learning rate that falls along half a cosine to 3% of its peak."""
    return lambda left: peak * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * (1 - max(0.0, left)))))


def _ahead(residuals: Tensor, weight: float) -> Tensor:
    """Return the sums (N, steps) of what stands at each cell and behind it, weighted by powers."""
    total, sums = torch.zeros_like(residuals[:, 0]), torch.empty_like(residuals)
    for cell in reversed(range(residuals.shape[1])):
        total = residuals[:, cell] + weight * total
        sums[:, cell] = total
    return sums


def _in_order(values: Array) -> Array:
    """Return values (N, V, T) of cells in writing order, (N, V * T)."""
    return np.ascontiguousarray(values.swapaxes(1, 2).reshape(len(values), -1))
