"""Learning on many tasks: each rollout is of one, drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.learning.rollout import EpisodeBuffer, buffer_of
from agents.learning.vec_env import CompositionVecEnv, make_env
from envs.errors import quoted
from rewards.spec import parse_assignment

if TYPE_CHECKING:
    from agents.settings.config import TrainConfig

MOST = 64  # tasks


def variants(vary: Sequence[str]) -> list[tuple[str, ...]]:
    """All combinations of task arguments, each given as name=value|value|...

    Raises:
        ValueError: no '=', an argument given twice, or more combinations than MOST.
    """
    named: dict[str, list[str]] = {}
    for text in vary:
        parse_assignment(text)  # says what is wrong with it
        name, _, values = text.partition("=")
        if name in named:
            raise ValueError(f"vary: {name} is given twice; expected name=value|value|...")
        named[name] = [f"{name}={value}" for value in values.split("|")]
    count = prod(map(len, named.values()))
    if count > MOST:
        raise ValueError(f"vary: {quoted(count)} tasks, expected at most {MOST}")
    return list(product(*named.values()))


def varied(config: TrainConfig) -> list[CompositionVecEnv]:
    """An environment for each of the tasks that a run learns on; one if it varies nothing.

    Raises:
        ValueError: tasks of different vocabularies, which one policy cannot serve.
    """
    made = []
    for arguments in variants(config.vary):
        names = {parse_assignment(text)[0] for text in arguments}
        kept = [text for text in config.task if parse_assignment(text)[0] not in names]
        here = replace(config, task=(*kept, *arguments))
        made.append(CompositionVecEnv(make_env(here, config.n_envs)))
    sizes = {(env.env.task.codec, env.env.task.voices) for env in made}
    if len(sizes) > 1:
        raise ValueError(
            "vary: these tasks need different vocabularies or voices; expected one range, grid and "
            "number of voices"
        )
    return made


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
    model.collect_rollouts = _Draw(model, envs).collect_rollouts  # type: ignore[method-assign]


class _Draw:
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
        """As SB3's, on an environment drawn anew."""
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
