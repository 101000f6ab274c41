"""EpisodeBuffer: a rollout buffer of whole pieces, scored in one pass when they are finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import BaseBuffer, RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples

from envs.music.codec import UNWRITTEN
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.objective import Objective


@dataclass
class Steering:
    """The objective in force: callbacks turn it along a run, and all buffers of a model read it."""

    objective: Objective


@dataclass(frozen=True)
class Rollout:
    """The pieces that were collected last, and what they were paid.

    Attributes:
        score: finished pieces (B, V, T).
        objective: by which they were paid.
        parts: weighted value (B, V, T) of each term of its reward, undivided.
        nats: (B, steps) log pi of their cells, in writing order.
        values, returns: (buffer_size, n_envs), as the critic learns from them.
    """

    score: Score
    objective: Objective
    parts: Mapping[str, Array]
    nats: Array
    values: Array
    returns: Array


class EpisodeBuffer(RolloutBuffer):
    """A buffer of whole pieces; minibatches are whole pieces too.

    A recurrent network reads a piece once, teacher-forced, instead of once a cell; and the
    reward, a function of the Score, values all cells at once.

    Args:
        buffer_size: cells per environment, a multiple of the piece's.
        observation_space: of a composition environment.
        action_space: of a composition environment.
        device: of the samples.
        gae_lambda: of generalised advantage estimation (Schulman et al. 2016).
        gamma: discount.
        n_envs: number of environments.
        objective: scores the finished pieces, or what steers it along a run; None keeps the rewards
            that the environment paid.
        task: of the pieces, needed with an objective.
        normalize_values: read the value head's output as standard deviations from the mean
            return of the other pieces at that cell. Returns fall steadily towards the end of a
            piece, and a head that starts at 0 is a fair baseline only this way; without one, the
            first updates reward whatever stands late in a piece.

    Raises:
        ValueError: a buffer that does not hold whole pieces, or an objective without its task.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        gae_lambda: float = 1.0,
        gamma: float = 1.0,
        n_envs: int = 1,
        *,
        objective: Objective | Steering | None = None,
        task: Task | None = None,
        normalize_values: bool = False,
    ) -> None:
        BaseBuffer.__init__(
            self, buffer_size, observation_space, action_space, device, n_envs=n_envs
        )
        if not isinstance(observation_space, spaces.Dict):
            raise ValueError("EpisodeBuffer needs the observations of a composition environment")
        self.voices, self.cells = observation_space["tokens"].shape or (1, 1)
        self.steps = self.voices * self.cells
        if buffer_size % self.steps:
            raise ValueError(
                f"n_steps={buffer_size}: expected a multiple of the {self.steps} cells of a piece"
            )
        if objective is not None and task is None:
            raise ValueError("an EpisodeBuffer that scores pieces needs their task")
        self.gae_lambda, self.gamma = gae_lambda, gamma
        self.steering = Steering(objective) if isinstance(objective, Objective) else objective
        self.task, self.normalize_values = task, normalize_values
        self.parts: dict[str, Array] = {}
        self.reset()

    @property
    def episodes(self) -> int:
        """Number of pieces in an environment."""
        return self.buffer_size // self.steps

    def reset(self) -> None:
        """Forget all pieces."""
        space = cast(spaces.Dict, self.observation_space)
        shape, width = (self.buffer_size, self.n_envs), self.action_space.n  # type: ignore[attr-defined]
        pieces = (self.episodes, self.n_envs)
        self.tokens = np.zeros((*pieces, self.voices, self.cells), np.int16)
        self.given = np.zeros((*pieces, self.voices, self.cells), bool)
        self.context = np.zeros((*pieces, *(space["context"].shape or ())), np.float32)
        self.masks = np.zeros((*shape, width), np.int8)
        self.actions = np.zeros(shape, np.int64)
        for name in ("rewards", "values", "log_probs", "advantages", "returns", "episode_starts"):
            setattr(self, name, np.zeros(shape, np.float32))
        self.seen = None
        if "seen" in space.spaces:
            of_a_cell = space["seen"].shape or ()
            self.seen = np.zeros((*pieces, self.steps, *of_a_cell), np.float16)
        self.generator_ready = False
        BaseBuffer.reset(self)

    def add(
        self,
        obs: dict[str, Array],  # type: ignore[override]
        action: Array,
        reward: Array,
        episode_start: Array,
        value: torch.Tensor,
        log_prob: torch.Tensor,
    ) -> None:
        """Add a cell of every environment; the arguments are those of SB3's RolloutBuffer.

        Raises:
            ValueError: a piece starts where the one before has not ended, or the other way round.
        """
        episode, step = divmod(self.pos, self.steps)
        if (np.asarray(episode_start, bool) != (step == 0)).any():
            raise ValueError(
                f"cell {step} of {self.steps}: pieces must start together and fill the buffer; "
                "an EpisodeBuffer takes no primers and no other episode length"
            )
        actions = np.asarray(action).reshape(self.n_envs)
        if step == 0:
            self.context[episode] = obs["context"]
            self.given[episode] = obs["tokens"] != UNWRITTEN
        if step == self.steps - 1:
            self.tokens[episode] = obs["tokens"]
            self.tokens[episode, :, -1, -1] = actions
        if self.seen is not None:
            self.seen[episode, :, step] = self.as_stored(obs["seen"])
        self.masks[self.pos] = obs["action_mask"]
        self.actions[self.pos] = actions
        self.rewards[self.pos] = reward
        self.episode_starts[self.pos] = episode_start
        self.values[self.pos] = value.detach().cpu().numpy().flatten()
        self.log_probs[self.pos] = log_prob.detach().cpu().numpy().flatten()
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def score(self) -> Score:
        """Return the finished pieces (episodes * n_envs, V, T)."""
        if self.task is None:
            raise ValueError("this EpisodeBuffer was made without a task")
        return Score(self.tokens.reshape(-1, self.voices, self.cells), self.task)

    @property
    def objective(self) -> Objective | None:
        """The objective in force, None where the environment pays."""
        return None if self.steering is None else self.steering.objective

    def rollout(self) -> Rollout:
        """Return the pieces collected last, paid.

        Raises:
            ValueError: the environment pays.
        """
        if self.objective is None:
            raise ValueError("this EpisodeBuffer was made without an objective")
        nats = self.by_piece(self.log_probs)
        return Rollout(self.score(), self.objective, self.parts, nats, self.values, self.returns)

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: Array) -> None:
        """Score the pieces if there is a reward, then set SB3's advantages and returns.

        Raises:
            RewardError: a reward term failed.
        """
        self.pay()
        if not self.normalize_values:
            super().compute_returns_and_advantage(last_values, dones)
            return
        mean, spread = self._return_statistics()
        outputs = self.values
        self.values = mean + spread * outputs
        super().compute_returns_and_advantage(torch.zeros_like(last_values), dones)
        self.values, self.returns = outputs, (self.returns - mean) / spread

    def pay(self) -> None:
        """Score the pieces if there is a reward, and take off what the policy's choices cost.

        Raises:
            RewardError: a reward term failed.
        """
        objective = self.objective
        if objective is not None:
            self.parts = objective.parts(self.score())
            paid = self._as_steps(objective.total(self.parts))
            self.rewards = paid - objective.entropy * self.log_probs

    def _return_statistics(self) -> tuple[Array, float]:
        """Return the other pieces' mean return from each step on, and one spread for all.

        A piece's own return is left out of its mean, so that the baseline does not follow it.

        Raises:
            ValueError: there is only one piece.
        """
        ahead = np.zeros((self.steps + 1, self.episodes, self.n_envs))
        rewards = self.rewards.reshape(self.episodes, self.steps, self.n_envs)
        for step in reversed(range(self.steps)):
            ahead[step] = rewards[:, step] + self.gamma * ahead[step + 1]
        returns, pieces = ahead[:-1], self.episodes * self.n_envs
        if pieces < 2:
            raise ValueError("normalize_values needs at least 2 pieces in a rollout; use more envs")
        others = (returns.sum(axis=(1, 2), keepdims=True) - returns) / (pieces - 1)
        spread = float(np.sqrt(returns.var(axis=(1, 2)).mean())) or 1.0
        by_step = others.swapaxes(0, 1).reshape(self.buffer_size, self.n_envs)
        return by_step.astype(np.float32), spread

    def _as_steps(self, values: Array) -> Array:
        """Return values (pieces, V, T) of cells as (buffer_size, n_envs)."""
        by_time = values.reshape(self.episodes, self.n_envs, self.voices, self.cells)
        return by_time.transpose(0, 3, 2, 1).reshape(self.buffer_size, self.n_envs)

    def by_piece(self, steps: Array) -> Array:
        """Return values (buffer_size, n_envs, ...) as (pieces, steps, ...)."""
        shape = (self.episodes, self.steps, self.n_envs, *steps.shape[2:])
        pieces = steps.reshape(shape).swapaxes(1, 2)
        return pieces.reshape(-1, self.steps, *steps.shape[2:])

    def get(self, batch_size: int | None = None) -> Iterator[RolloutBufferSamples]:  # type: ignore[override]
        """Yield minibatches of whole pieces in random order, of about `batch_size` cells."""
        if not self.full:
            raise ValueError("the buffer is not full yet; collect a whole rollout first")
        stored = self.columns().items()
        columns = {name: self.to_torch(column, copy=False) for name, column in stored}
        pieces = self.episodes * self.n_envs
        count = pieces if batch_size is None else max(1, batch_size // self.steps)
        order = self.to_torch(np.random.permutation(pieces))  # SB3 seeds numpy's global generator
        for rows in order.split(count):
            part = {name: column[rows] for name, column in columns.items()}
            names = ("values", "log_probs", "advantages", "returns")
            yield RolloutBufferSamples(
                observations_of(part),  # type: ignore[arg-type]
                part["actions"].reshape(-1, 1),
                *(part[name].flatten() for name in names),
            )

    def columns(self) -> dict[str, Array]:
        """Return what is stored of each piece: `pieces`, `given`, `context`, and of each step.

        `seen`, where the policy is told what rules see, is one of those of each step.
        """
        names = ("actions", "masks", "values", "log_probs", "advantages", "returns")
        columns = {name: self.by_piece(getattr(self, name)) for name in names}
        columns["pieces"] = self.tokens.reshape(-1, self.voices, self.cells).astype(np.int64)
        columns["given"] = self.given.reshape(columns["pieces"].shape)
        if self.seen is not None:
            columns["seen"] = self.seen.reshape(-1, *self.seen.shape[2:])
        return columns | {"context": self.context.reshape(len(columns["pieces"]), -1)}

    @staticmethod
    def as_stored(seen: Array) -> Array:
        """Return what a sight sees in the type in which it is stored."""
        return seen.astype(np.float16)

    def piece_returns(self) -> Array:
        """Return the sum (pieces,) of the rewards of each piece."""
        rewards = self.rewards.reshape(self.episodes, self.steps, self.n_envs)
        return np.asarray(rewards.sum(axis=1).reshape(-1))


def observations_of(part: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the observations of whole pieces that a policy learns from.

    Args:
        part: columns of an EpisodeBuffer by name, of the same pieces.
    """
    names = {"pieces": "pieces", "given": "given", "action_mask": "masks", "context": "context"}
    seen = {"seen": part["seen"]} if "seen" in part else {}
    return {name: part[column] for name, column in names.items()} | seen


def buffer_of(model: BaseAlgorithm) -> EpisodeBuffer:
    """Return the buffer of whole pieces that a model learns from.

    Raises:
        TypeError: it learns from another kind of buffer.
    """
    buffer = vars(model).get("rollout_buffer")
    if not isinstance(buffer, EpisodeBuffer):
        raise TypeError(f"{type(model).__name__} has no EpisodeBuffer; it has {buffer!r:.100}")
    return buffer
