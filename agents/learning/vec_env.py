"""A composition vector environment as Stable-Baselines3 sees one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

import envs  # noqa: F401  (registers the ids)
from agents.settings.tasks import changed_fields, default_task, find_spec
from envs.composition import CompositionVectorEnv
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.masks import permits

if TYPE_CHECKING:
    from pretrained.networks.sighted import Sight
    from rewards.sum import RewardSum

Indices = None | int | Iterable[int]


class Deferred:
    """A step reward of nothing: the pieces are scored whole by an EpisodeBuffer."""

    def prepare(self, task: Task) -> None:
        """Do nothing: it suits every task."""

    def newest(self, score: Score) -> dict[str, npt.NDArray[np.float32]]:
        """Return zeros (B,)."""
        return {"deferred": np.zeros(score.batch, np.float32)}


def make_env(env: str, task: Task, n_envs: int) -> CompositionVectorEnv:
    """Return the vector environment of a run, which leaves scoring to the buffer.

    Args:
        env: its id.
        task: given to it as the fields that differ from those of the id.
        n_envs: number of pieces.

    Raises:
        gymnasium.error.Error, TypeError, ValueError: an unknown id, or one that is no composition
            environment.
    """
    spec = find_spec(env)
    entry = spec.vector_entry_point
    maker = load_env_creator(entry) if isinstance(entry, str) else entry
    if not (isinstance(maker, type) and issubclass(maker, CompositionVectorEnv)):
        raise ValueError(
            f"{env!r} is no composition environment; expected an id such as "
            "composition/RLTuner-v0 or composition/Melody-v0"
        )
    made = gymnasium.make_vec(
        spec,
        num_envs=n_envs,
        vectorization_mode="vector_entry_point",
        reward=Deferred(),
        **changed_fields(task, default_task(env)),
    )
    return cast(CompositionVectorEnv, made)


class CompositionVecEnv(VecEnv):
    """Adapter: Gymnasium's vector API in, SB3's out. Pieces are batched natively.

    Each finished piece reports its return in info["episode"], as SB3's Monitor does; not where
    the buffer scores the pieces, as the environment then pays nothing.

    Args:
        env: with autoreset in the same step.
        mask: cell-wise terms; `action_masks` leaves out what they count against a piece, where
            it has another choice.
        sight: observations have `seen`, what it sees at the next cell, (B, vocab, width).

    Attributes:
        alternatives: all environments that a model which plays in this one draws from.

    Raises:
        ValueError: another autoreset mode.
    """

    def __init__(
        self, env: CompositionVectorEnv, mask: RewardSum | None = None, sight: Sight | None = None
    ) -> None:
        if env.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise ValueError("SB3 starts new episodes at once; use autoreset_mode='SameStep'")
        self.env = env
        self.alternatives = [self]
        terms = mask.terms.values() if mask else ()
        self.masks = [(term.rule, term.factor) for term in terms]
        self.sight, space = sight, env.single_observation_space
        if sight is not None:
            shape = (env.task.codec.vocab, sight.width)
            seen = spaces.Box(-np.inf, np.inf, shape, np.float32)
            space = spaces.Dict({**cast(spaces.Dict, space).spaces, "seen": seen})
        super().__init__(env.num_envs, space, env.single_action_space)
        self._actions: Array = np.zeros(env.num_envs, np.int64)
        self._returns = np.zeros(env.num_envs)
        self._length = 0

    def reset(self) -> dict[str, Array]:
        """Return the first observations, with the seeds and options set before."""
        observation, _ = self.env.reset(seed=self._seeds[0], options=self._options[0] or None)
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0
        self._length = 0
        return self._observed(observation)

    def _observed(self, observation: dict[str, Array]) -> dict[str, Array]:
        """Return an observation with what rules see of the next cell."""
        if self.sight is None:
            return observation
        return {**observation, "seen": self.sight.at(self.env.score)}

    def step_async(self, actions: Array) -> None:
        """Remember the actions (B,) for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[dict[str, Array], Array, Array, list[dict[str, Any]]]:
        """Return observations, rewards (B,), dones (B,) and an info for each piece."""
        observation, rewards, terminated, _, info = self.env.step(self._actions)
        self._returns += rewards
        self._length += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if terminated.any():  # all pieces end together
            for row, entry in enumerate(infos):
                entry["terminal_observation"] = info["final_obs"][row]
                entry["TimeLimit.truncated"] = False
                if not isinstance(self.env.reward, Deferred):
                    entry["episode"] = {"r": float(self._returns[row]), "l": self._length, "t": 0.0}
            self._returns[:] = 0
            self._length = 0
        return self._observed(observation), rewards.astype(np.float32), terminated, infos

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return what (B, vocab) grammar and the rules of `mask` allow in the next cell."""
        return permits(self.masks, self.env.score)

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Return the attribute, once for each piece asked for."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set an attribute of the whole batch."""
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: Indices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the batch; return its result's rows for the pieces asked for."""
        owner = self if method_name == "action_masks" else self.env
        result = getattr(owner, method_name)(*args, **kwargs)
        return [None if result is None else result[row] for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Indices = None) -> list[bool]:
        """Return False for each piece: the batch has no wrappers."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[npt.NDArray[np.uint8] | None]:
        """Return a piano roll of each piece."""
        return self.env.render() or []
