"""Composition as an MDP: environments in which pieces are written cell by cell."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs import render as pictures
from envs.contract import RewardSpec, StepReward
from envs.errors import did_you_mean
from envs.music.codec import FIRST_PITCH, HOLD, REST, UNWRITTEN
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import CONTEXT, MAX_CELLS, Task
from envs.plugins import resolve
from envs.primer import primed

# Imported by name when an environment is made, like Gymnasium's entry points.
BUILDER = "rewards.build:build"


def build_reward(spec: RewardSpec | StepReward, task: Task) -> StepReward:
    """Build the reward of an environment and prepare it for a task.

    Raises:
        ValueError: an unknown name; the message lists similar ones.
        RewardError: a term breaks the protocol on a piece of noise.
    """
    reward: StepReward | Any = spec if hasattr(spec, "newest") else resolve(BUILDER)(spec)
    reward.prepare(task)
    return reward


Observation = dict[str, Array]
RENDER_MODES = ("ansi", "rgb_array", "human")


def spaces(task: Task) -> tuple[gymnasium.spaces.Dict, gymnasium.spaces.Discrete]:
    """Return the observation space and the action space of one piece."""
    vocab, box = task.codec.vocab, gymnasium.spaces.Box
    observation: dict[str, gymnasium.Space[Any]] = {
        "tokens": box(UNWRITTEN, vocab - 1, (task.voices, task.cells), np.int16),
        "action_mask": box(0, 1, (vocab,), np.int8),
        "context": box(0.0, float(MAX_CELLS), (len(CONTEXT),), np.float32),
    }
    return gymnasium.spaces.Dict(observation), gymnasium.spaces.Discrete(vocab)


def make_task(arguments: Mapping[str, Any], base: Task | None = None) -> Task:
    """Return a task made from an environment's keyword arguments.

    Args:
        arguments: fields of Task by name.
        base: other fields are taken from it; the defaults if None.

    Raises:
        TypeError: an unknown argument.
    """
    names = [f.name for f in fields(Task)]
    for name in arguments:
        if name not in names:
            every = [*names, "reward", "render_mode"]
            raise TypeError(
                f"unknown environment argument {name!r}.{did_you_mean(name, every)} "
                f"Known: {', '.join(every)}"
            )
    return Task(**arguments) if base is None else base.changed(**arguments)


class CompositionVectorEnv(VectorEnv[Observation, Array, Array]):
    """Many pieces written at once, each operation on the arrays of the whole batch.

    Spaces, rewards and arguments are those of `CompositionEnv`, batched. All pieces have the same
    length and end together.

    Args:
        num_envs: number of pieces B.
        reward: see `CompositionEnv`.
        render_mode: None, 'ansi', 'rgb_array' or 'human'; `render` gives a picture of each piece.
        autoreset_mode: the behaviour at the end of the pieces. SAME_STEP begins new ones at once,
            with the finished ones in info["final_obs"] and info["final_info"]; NEXT_STEP begins
            them at the next step; DISABLED waits for `reset`.
        **task: fields of `envs.music.task.Task`.

    Raises:
        TypeError, ValueError: an unknown or impossible argument, or an unknown reward.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        reward: RewardSpec | StepReward = "rl_tuner",
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        **task: Any,
    ) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"render_mode {render_mode!r}: expected one of {RENDER_MODES} or None")
        self.task = make_task(task)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {
            "render_modes": list(RENDER_MODES),
            "render_fps": 4,
            "autoreset_mode": self.autoreset_mode,
        }
        self.reward = build_reward(reward, self.task)
        self.single_observation_space, self.single_action_space = spaces(self.task)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.score = Score.page(self.task, num_envs)

    def _page(self) -> Score:
        """Return the pages of new pieces."""
        return Score.page(self.task, self.num_envs)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin new pieces.

        Args:
            seed: seeds the environment; the pieces themselves depend on the actions alone.
            options: {"primer": tokens} begins with these tokens, see `primed`. The episode is the
                rest of the piece.

        Raises:
            ValueError: a primer outside the range, too long, or against the grammar; an unknown
                option.
        """
        first = seed[0] if isinstance(seed, (list, tuple)) and seed else seed
        super().reset(seed=None if first is None else operator.index(first))  # type: ignore[arg-type]
        unknown = set(options or {}) - {"primer"}
        if unknown:
            raise ValueError(f"unknown reset option {sorted(unknown)[0]!r}; expected 'primer'")
        score = self._page()
        primer = (options or {}).get("primer")
        self.score = score if primer is None else primed(score, primer)
        return self._observe(), {}

    def step(
        self, actions: npt.ArrayLike
    ) -> tuple[Observation, Array, Array, Array, dict[str, Any]]:
        """Write one token in the next cell of each piece, `actions` (B,).

        Raises:
            ValueError: actions of a wrong shape or range, or a finished piece without autoreset.
            RewardError: a reward term failed.
        """
        never = np.zeros(self.num_envs, bool)
        if self.score.finished and self.autoreset_mode is AutoresetMode.NEXT_STEP:
            return self.reset()[0], np.zeros(self.num_envs), never, never.copy(), {}
        if self.score.finished:
            raise ValueError("the pieces are finished; call reset() before the next step")
        self.score = self.score.write(self._legalise(np.asarray(actions)))
        terms = self.reward.newest(self.score)
        reward: Array = np.asarray(np.sum(list(terms.values()), axis=0, dtype=np.float64))
        every = np.ones(self.num_envs, bool)
        masks = {f"_{name}": every for name in terms}
        info: dict[str, Any] = {"reward_terms": {**terms, **masks}, "_reward_terms": every}
        terminated = every.copy() if self.score.finished else never
        observation = self._observe()
        if self.render_mode == "human":
            print("\n".join(pictures.ansi(self.score, row) for row in range(self.num_envs)))
        if self.score.finished and self.autoreset_mode is AutoresetMode.SAME_STEP:
            last, final_info = observation, info
            observation, info = self.reset()
            info |= {"final_obs": _rows(last), "_final_obs": every}
            info |= {"final_info": final_info, "_final_info": every}
        return observation, reward, terminated, np.zeros(self.num_envs, bool), info

    def _legalise(self, actions: Array) -> Array:
        """Return allowed tokens (B,) for actions, so that agents that ignore the mask can play.

        A hold before the first note becomes a rest, which sounds the same; a pitch out of range
        becomes the nearest in range. `Score.write` keeps the tokens of given cells.
        """
        if actions.shape != (self.num_envs,) or not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(
                f"actions have shape {actions.shape} and dtype {actions.dtype}, "
                f"expected {(self.num_envs,)} integers"
            )
        codec, task = self.task.codec, self.task
        span = task.spans[self.score.n_written % task.voices]
        low, high = map(codec.token, span)
        pitch = np.clip(actions, low, high)
        actions = np.where((actions >= FIRST_PITCH) & (actions < codec.vocab), pitch, actions)
        return np.where((actions == HOLD) & ~self.score.next_started, REST, actions)

    def _observe(self) -> Observation:
        context = self.task.context(self.score.n_written)
        return {
            "tokens": np.ascontiguousarray(self.score.tokens),
            "action_mask": self.action_masks().view(np.int8),
            "context": np.tile(context, (self.num_envs, 1)),
        }

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return the mask (B, vocab) of the tokens that may be written next."""
        if self.score.finished:
            return np.zeros((self.num_envs, self.task.codec.vocab), bool)
        return self.score.allowed()

    def render(self) -> tuple[Any, ...] | None:
        """Return a picture of each piece, see `CompositionEnv.render`; None for 'human'."""
        if self.render_mode is None or self.render_mode == "human":
            return None
        draw = pictures.ansi if self.render_mode == "ansi" else pictures.roll_image
        return tuple(draw(self.score, row) for row in range(self.num_envs))


def _rows(observation: Observation) -> Array:
    """Return the observation of each piece, in the form of Gymnasium's final observations."""
    pieces = zip(*observation.values(), strict=True)
    rows = np.empty(len(observation["tokens"]), object)
    rows[:] = [dict(zip(observation, piece, strict=True)) for piece in pieces]
    return rows


class CompositionEnv(gymnasium.Env[Observation, Any]):
    """A piece of music written cell by cell.

    ## Description
    The page is a grid of `voices` by `bars` bars, with `grid` cells per quarter note. An action
    writes the next cell, time-major, then voice. The state is the piece so far.

    ## Action Space
    `Discrete(vocab)`: 0 ends the sounding note (a rest), 1 changes nothing (a hold), 2 and up
    start a pitch; token t is MIDI t + 46 in the default vocabulary C3-B5 (38 tokens). Tokens the
    mask forbids are accepted: a hold before a first note is written as a rest, a pitch out of
    range as the nearest in range, and a given cell keeps its token.

    ## Observation Space
    `Dict`: `tokens` int16 (voices, cells), the page, -1 where nothing is written or given;
    `action_mask` int8 (vocab,), 1 where a token is allowed; `context` float32, the counts named
    in `envs.music.task.CONTEXT` (where the next cell is, and the task).

    ## Rewards
    The sum of weighted terms, each in `info["reward_terms"]`. `composition/RLTuner-v0` pays the
    nine rules of RL Tuner with the reference weights, `composition/Melody-v0` the pack
    `common_practice`. Other rewards are a name, a mapping of names to weights,
    'file.py:function', or a function.

    ## Starting State
    An empty page with its given cells. `reset(options={"primer": tokens})` starts after a primer.

    ## Episode End
    `terminated` when the last cell is written. Never truncated: the task sets the length.

    ## Arguments
    `reward`, `render_mode` ('ansi', 'rgb_array', 'human'), and the task: `key`, `meter`, `bars`,
    `low`, `high`, `grid`, `voices`, `given`, `pickup`, `chords`, `phrases`, `ranges`; see
    `envs.music.task.Task`.

    ## Version History
    * v0: initial version. Since 0.3.0 of this package `context` has `home` and
      `composition/Melody-v0` pays `common_practice`; since 0.4.0 `context` has the phrase ends.

    Raises:
        TypeError, ValueError: an unknown or impossible argument, or an unknown reward.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 4}  # noqa: RUF012 (Gymnasium's)
    vector = CompositionVectorEnv

    def __init__(
        self,
        *,
        reward: RewardSpec | StepReward = "rl_tuner",
        render_mode: str | None = None,
        **task: Any,
    ) -> None:
        self._batch = self.vector(
            1, reward=reward, render_mode=render_mode, autoreset_mode="Disabled", **task
        )
        self.render_mode = render_mode
        self.observation_space = self._batch.single_observation_space
        self.action_space = self._batch.single_action_space

    @property
    def task(self) -> Task:
        """The task of the piece."""
        return self._batch.task

    @property
    def score(self) -> Score:
        """The piece so far, a batch of one."""
        return self._batch.score

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a new piece; for arguments and errors see `CompositionVectorEnv.reset`."""
        super().reset(seed=seed)
        observation, info = self._batch.reset(seed=seed, options=options)
        return {name: value[0] for name, value in observation.items()}, info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Write one token; for errors see `CompositionVectorEnv.step`."""
        observation, reward, terminated, truncated, info = self._batch.step(np.asarray([action]))
        terms = info["reward_terms"]
        parts = {name: float(v[0]) for name, v in terms.items() if not name.startswith("_")}
        return (
            {name: value[0] for name, value in observation.items()},
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            {"reward_terms": parts},
        )

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return the mask (vocab,) of the tokens that may be written next, for MaskablePPO."""
        mask: npt.NDArray[np.bool_] = self._batch.action_masks()[0]
        return mask

    def render(self) -> Any:
        """Return the piece as text ('ansi') or as a piano roll (height, width, 3) ('rgb_array')."""
        pictures_of_batch = self._batch.render()
        return None if pictures_of_batch is None else pictures_of_batch[0]
