"""Learning on many tasks: each rollout is of one, drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.learning.rollout import EpisodeBuffer
from agents.learning.vec_env import CompositionVecEnv, make_env

if TYPE_CHECKING:
    from agents.settings.config import TrainConfig


def varied(config: TrainConfig) -> list[CompositionVecEnv]:
    """Return an environment for each of the tasks that a run learns on."""
    made = [make_env(config.env, task, config.n_envs) for task in config.tasks]
    return [CompositionVecEnv(env) for env in made]


def learn_on(model: OnPolicyAlgorithm, envs: Sequence[CompositionVecEnv]) -> None:
    """Have a model draw one of several environments for each rollout it collects.

    A rollout has one task, so its pieces are as long as each other; learning goes from task to
    task as it goes from minibatch to minibatch. Which one it is follows from the model's seed and
    the steps done, so that a run that is resumed goes on with the tasks it would have had.
    """
    if model.seed is not None:
        for env in envs:
            env.seed(model.seed)
    kind = type(model)
    name = kind.__name__
    model.__class__ = type(name, (OnTasks, kind), {"envs_drawn": list(envs)})


class OnTasks(OnPolicyAlgorithm):
    """What `learn_on` adds to an algorithm."""

    envs_drawn: list[CompositionVecEnv]

    def collect_rollouts(self, env: Any, callback: Any, *arguments: Any, **named: Any) -> bool:
        """As SB3, on an environment drawn anew."""
        drawn = np.random.default_rng((self.seed or 0, self.num_timesteps))
        here = self._go_to(int(drawn.integers(len(self.envs_drawn))))
        return super().collect_rollouts(here, callback, self.rollout_buffer, self.n_steps)

    def _go_to(self, number: int) -> CompositionVecEnv:
        """Take up one of the environments, with a buffer of its size."""
        kept: dict[int, EpisodeBuffer] = self.__dict__.setdefault("_buffers", {})
        env, before = self.envs_drawn[number], cast(EpisodeBuffer, self.rollout_buffer)
        if number not in kept:
            kind = cast(type[EpisodeBuffer], self.rollout_buffer_class)
            kept[number] = kind(
                env.env.task.steps,
                env.observation_space,
                self.action_space,
                device=self.device,
                gamma=self.gamma,
                gae_lambda=self.gae_lambda,
                n_envs=self.n_envs,
                **{**self.rollout_buffer_kwargs, "task": env.env.task},
            )
        buffer = kept[number]
        buffer.entropy, buffer.c = before.entropy, before.c  # callbacks move them along the run
        self.env, self.rollout_buffer, self.n_steps = env, buffer, env.env.task.steps
        self._last_obs = env.reset()
        self._last_episode_starts = np.ones(self.n_envs, bool)
        return env

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_buffers"]
