"""Learning on many tasks: each rollout is of one, drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.learning.rollout import EpisodeBuffer
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
