"""Learning on many tasks: each rollout is of one, drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.learning.rollout import EpisodeBuffer, buffer_of
from agents.learning.vec_env import CompositionVecEnv, make_env

if TYPE_CHECKING:
    from agents.settings.config import TrainConfig
    from rewards.sum import RewardSum


def make_envs(
    config: TrainConfig, mask: RewardSum | None = None
) -> tuple[CompositionVecEnv, list[CompositionVecEnv]]:
    """Return the environment of a run, and one for each of the tasks that `vary` names."""
    tasks = config.tasks if config.vary else ()
    first, *others = (make_env(config.env, task, config.n_envs) for task in (config.task, *tasks))
    return CompositionVecEnv(first, mask), [CompositionVecEnv(env) for env in others]


def learn_on(model: OnPolicyAlgorithm, envs: Sequence[CompositionVecEnv]) -> None:
    """Have a model draw one of several environments for each rollout it collects.

    A rollout has one task, so its pieces are as long as each other; learning goes from task to
    task as it goes from minibatch to minibatch. The draw follows from the model's seed and the
    steps done, so that a run that is resumed goes on with the tasks it would have had.
    """
    if model.seed is not None:
        for env in envs:
            env.seed(model.seed)
    for env in (cast(CompositionVecEnv, model.env), *envs):
        env.alternatives = list(envs)
    # SB3 has no callback between learning and the next rollout, so its method is replaced.
    model.collect_rollouts = _TaskDraw(model, envs).collect_rollouts  # type: ignore[method-assign]


class _TaskDraw:
    """Collects each rollout of a model in one of several environments.

    Args:
        model: whose rollouts they are.
        envs: to draw from.
    """

    def __init__(self, model: OnPolicyAlgorithm, envs: Sequence[CompositionVecEnv]) -> None:
        self.model, self.envs = model, envs
        self._collect = model.collect_rollouts
        self._buffers: dict[int, EpisodeBuffer] = {}

    def collect_rollouts(self, env: Any, callback: Any, *arguments: Any, **named: Any) -> bool:
        """Collect a rollout as SB3 does, in an environment drawn anew."""
        model = self.model
        drawn = np.random.default_rng((model.seed or 0, model.num_timesteps))
        number = int(drawn.integers(len(self.envs)))
        env = self.envs[number]
        if number not in self._buffers:
            self._buffers[number] = self._buffer_for(env)
        steps, buffer = env.env.task.steps, self._buffers[number]
        model.env, model.rollout_buffer, model.n_steps = env, buffer, steps
        model._last_obs = env.reset()
        model._last_episode_starts = np.ones(model.n_envs, bool)
        return self._collect(env, callback, buffer, steps)

    def _buffer_for(self, env: CompositionVecEnv) -> EpisodeBuffer:
        """Return a buffer for the pieces of an environment, steered as the model's."""
        model = self.model
        kind = cast(type[EpisodeBuffer], model.rollout_buffer_class)
        own = {"task": env.env.task, "objective": buffer_of(model).steering}
        return kind(
            env.env.task.steps,
            env.observation_space,
            model.action_space,
            device=model.device,
            gamma=model.gamma,
            gae_lambda=model.gae_lambda,
            n_envs=model.n_envs,
            **{**model.rollout_buffer_kwargs, **own},
        )
