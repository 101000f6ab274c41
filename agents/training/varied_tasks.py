"""Learning on many tasks: each rollout is of one, drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.learning.rollout import EpisodeBuffer, buffer_of
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.settings.config import TrainConfig
from pretrained.networks.sighted import Sight
from rewards.sum import RewardSum


def make_envs(
    config: TrainConfig, mask: RewardSum | None = None, sight: Sight | None = None
) -> tuple[CompositionVecEnv, list[CompositionVecEnv]]:
    """Return the environment of a run, and one for each of the tasks that `vary` names."""
    tasks = config.tasks if config.vary else ()
    first, *others = (make_env(config.env, task, config.n_envs) for task in (config.task, *tasks))
    varied = [CompositionVecEnv(env, sight=sight) for env in others]
    return CompositionVecEnv(first, mask, sight), varied


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
    collect, buffers = model.collect_rollouts, dict[int, EpisodeBuffer]()

    def collect_on_one(env: Any, callback: Any, *arguments: Any, **named: Any) -> bool:
        drawn = np.random.default_rng((model.seed or 0, model.num_timesteps))
        number = int(drawn.integers(len(envs)))
        env, steps = envs[number], envs[number].env.task.steps
        if number not in buffers:
            buffers[number] = _buffer_for(model, env)
        model.env, model.rollout_buffer, model.n_steps = env, buffers[number], steps
        model._last_obs = env.reset()
        model._last_episode_starts = np.ones(model.n_envs, bool)
        return collect(env, callback, buffers[number], steps)

    # SB3 has no callback between learning and the next rollout, so its method is replaced.
    model.collect_rollouts = collect_on_one  # type: ignore[method-assign]


def _buffer_for(model: OnPolicyAlgorithm, env: CompositionVecEnv) -> EpisodeBuffer:
    """Return a buffer for the pieces of an environment, steered as the model's."""
    own = {"task": env.env.task, "objective": buffer_of(model).steering}
    kind = cast(type[EpisodeBuffer], model.rollout_buffer_class)
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
