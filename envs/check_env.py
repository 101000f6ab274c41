"""Check of a composition environment, beside `check_env` of Gymnasium and Stable-Baselines3.

    def test_my_env():
        check_composition_env(MyEnv(reward="in_key"))

Those check spaces, seeds and types. This one writes pieces and compares the observations and the
rewards with those of a `Score`.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from envs.composition import spaces
from envs.music.codec import HOLD, UNWRITTEN
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import CONTEXT, Task
from envs.primer import primed

TOLERANCE = 1e-3  # of rewards, relative and absolute: they are float32 sums


class EnvironmentFault(Exception):  # noqa: N818 (EnvironmentError is taken)
    """An environment broke the protocol; the message says what was expected and what it did."""


def _require(condition: Any, message: str) -> None:
    if not condition:
        raise EnvironmentFault(message)


def _parts(answer: Any, method: str, names: str) -> tuple[Any, ...]:
    """Return the answer of a method; raise unless it is a tuple with a part for each name."""
    if not isinstance(answer, tuple) or len(answer) != len(names.split(", ")):
        got = f"a tuple of {len(answer)}" if isinstance(answer, tuple) else type(answer).__name__
        raise EnvironmentFault(f"{method} returned {got}; expected a tuple ({names})")
    return answer


class _Batched:
    """A single or a vector environment, played in the same way: all arrays have an axis B."""

    def __init__(self, env: Any) -> None:
        self.env = env
        self.vector = isinstance(env, VectorEnv)
        self.base = env.unwrapped
        task: Any = getattr(self.base, "task", None)
        _require(
            isinstance(task, Task),
            f"{type(self.base).__name__} has no task; expected an envs.music.task.Task as env.task",
        )
        self.task: Task = task
        self.batch = env.num_envs if self.vector else 1
        single = "single_" if self.vector else ""  # the spaces of one piece
        self.observations = getattr(env, f"{single}observation_space")
        self.actions = getattr(env, f"{single}action_space")

    def reset(self, **how: Any) -> dict[str, Array]:
        """Reset the environment and return the first observations."""
        observation, _ = _parts(self.env.reset(**how), "reset()", "observation, info")
        return observation if self.vector else {k: v[None] for k, v in observation.items()}

    def masks(self) -> Array:
        """Return `action_masks()` as (B, vocab)."""
        masks: Array = np.asarray(self.base.action_masks())
        return masks if self.vector else masks[None]

    def step(
        self, actions: Array
    ) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Array]]:
        """Write a token in each piece, `actions` (B,).

        Returns:
            the observation of the pieces that were written on (not of those of the next episode),
            reward, terminated, truncated, and the terms of the reward.
        """
        answer = self.env.step(actions if self.vector else int(actions[0]))
        names = "observation, reward, terminated, truncated, info"
        observation, reward, ended, cut, info = _parts(answer, "step()", names)
        if not self.vector:
            terms = {name: np.array([v]) for name, v in info.get("reward_terms", {}).items()}
            shown = {name: value[None] for name, value in observation.items()}
            return shown, np.array([reward]), np.array([ended]), np.array([cut]), terms
        if "final_obs" in info:  # `observation` is that of the next episode
            rows = info["final_obs"]
            observation = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
            info = info["final_info"]
        terms = info.get("reward_terms", {})
        return observation, reward, ended, cut, {k: v for k, v in terms.items() if k[:1] != "_"}


def _shows(env: _Batched, observation: dict[str, Array], page: Score, when: str) -> None:
    """Require that an observation is that of a page."""
    task = env.task
    for row in range(env.batch):
        one = {name: value[row] for name, value in observation.items()}
        _require(
            env.observations.contains(one),
            f"{when}: the observation is not in the observation space",
        )
    if not np.array_equal(observation["tokens"], page.tokens):
        piece, voice, cell = np.argwhere(observation["tokens"] != page.tokens)[0]
        shown, there = observation["tokens"][piece, voice, cell], page.tokens[piece, voice, cell]
        raise EnvironmentFault(
            f"{when}: cell {cell} of voice {voice} shows {shown}, expected {there}. Cells are "
            "written time-major, then voice; given cells keep their token; the rest is -1"
        )
    none = np.zeros((env.batch, task.codec.vocab), bool)
    allowed = none if page.finished else page.allowed()
    wrong = np.argwhere(observation["action_mask"].astype(bool) != allowed)
    if len(wrong):
        piece, token = wrong[0]
        raise EnvironmentFault(
            f"{when}: action_mask {'forbids' if allowed[piece, token] else 'allows'} token "
            f"{token}, expected what score.allowed() says, and nothing at the end"
        )
    _require(
        np.array_equal(env.masks(), allowed) or (page.finished and env.vector),
        f'{when}: action_masks() differs from observation["action_mask"]',
    )
    expected = task.context(page.n_written)
    off = np.flatnonzero(~np.isclose(observation["context"], expected).all(axis=0))
    if len(off):
        name = CONTEXT[off[0]]
        raise EnvironmentFault(
            f"{when}: context says {name} = {observation['context'][0, off[0]]:g}, expected "
            f"{expected[off[0]]:g}; see envs.music.task.CONTEXT"
        )


def _spaces(env: _Batched) -> None:
    """Require the spaces of the task, and the methods that agents look for."""
    _require(
        (env.observations, env.actions) == spaces(env.task),
        "observation_space and action_space are not those of the task; expected "
        "envs.composition.spaces(task)",
    )
    _require(
        not hasattr(env.base, "compute_reward"),
        "it has a compute_reward, which Stable-Baselines3 takes for a goal environment; rename it",
    )
    _require(hasattr(env.base, "action_masks"), "it has no action_masks(), which MaskablePPO needs")


def _play(env: _Batched, seed: int, wild: float) -> tuple[Array, Array]:
    """Write one episode and check each step.

    Args:
        env: the environment.
        seed: seed of the actions and of the reset.
        wild: share of the actions drawn from all tokens, forbidden ones too.

    Returns:
        tokens (B, V, T) and rewards (steps, B).
    """
    task, rng = env.task, np.random.default_rng(seed)
    observation = env.reset(seed=seed)
    page = Score.page(task, env.batch)
    if getattr(env.base, "draws_given", False):  # other tokens in the given cells
        given = np.where(task.free, UNWRITTEN, observation["tokens"])
        page = Score(given, task, written=0)
    _shows(env, observation, page, "after reset()")
    rewards, names = [], None
    for step in range(task.steps):
        when = f"after step {step + 1} of {task.steps}"
        allowed = page.allowed()
        free = (rng.random(allowed.shape) * allowed).argmax(axis=1)
        any_token = rng.integers(0, task.codec.vocab, env.batch)
        action = np.where(rng.random(env.batch) < wild, any_token, free)
        before = {name: value.copy() for name, value in observation.items()}
        shown, reward, ended, cut, terms = env.step(action)
        _require(
            all(np.array_equal(value, before[name]) for name, value in observation.items()),
            f"{when}: the observation given before has changed; give a copy",
        )
        page = page.write(_written(shown, page, action, allowed, when))
        _shows(env, shown, page, when)
        last = step == task.steps - 1
        _require(
            not np.any(cut), f"{when}: truncated is set; expected terminated at the last cell alone"
        )
        _require(
            (np.asarray(ended) == last).all(),
            f"{when}: terminated is {bool(np.any(ended))}, expected {last}: an episode lasts "
            f"{task.steps} cells, no more and no fewer",
        )
        _pays(reward, terms, names, when)
        names, observation = list(terms), shown
        rewards.append(np.asarray(reward, np.float64))
    _adds_up(env, page, np.stack(rewards))
    return page.tokens, np.stack(rewards)


def _written(
    shown: dict[str, Array], page: Score, action: Array, allowed: Array, when: str
) -> Array:
    """Return the tokens (B,) that the environment wrote.

    Raises:
        EnvironmentFault: an allowed action was replaced, or a forbidden one by a forbidden token.
    """
    time, voice = divmod(page.n_written, page.task.voices)
    written: Array = np.asarray(shown["tokens"])[:, voice, time].astype(np.int64)
    rows = np.arange(len(action))
    legal = allowed[rows, action]
    wrong = np.where(legal, written != action, (written == UNWRITTEN) | ~allowed[rows, written])
    if wrong.any():
        row = int(np.argmax(wrong))
        raise EnvironmentFault(
            f"{when}: action {action[row]} left token {written[row]} in cell {time} of voice "
            f"{voice}; expected "
            + ("the action itself" if legal[row] else "an allowed token, as this one is forbidden")
        )
    return written


def _pays(reward: Array, terms: dict[str, Array], names: list[str] | None, when: str) -> None:
    """Require a finite reward that is the sum of its terms."""
    _require(np.isfinite(reward).all(), f"{when}: the reward is {reward}, expected finite numbers")
    _require(terms, f'{when}: info["reward_terms"] is missing; expected the parts of the reward')
    _require(
        names is None or list(terms) == names,
        f'{when}: info["reward_terms"] has {list(terms)}, before it had {names}',
    )
    total = np.sum(list(terms.values()), axis=0)
    _require(
        np.allclose(reward, total, TOLERANCE, TOLERANCE),
        f'{when}: the reward is {reward[0]:g} and info["reward_terms"] sum to {total[0]:g}; '
        "expected the same",
    )


def _adds_up(env: _Batched, page: Score, rewards: Array) -> None:
    """Require that the steps of an episode pay the sum that the whole piece is worth."""
    reward: Any = getattr(getattr(env.base, "_batch", env.base), "reward", None)
    if not hasattr(reward, "breakdown"):
        return
    whole: Array = sum(part.sum(axis=(1, 2)) for part in reward.breakdown(page).values())
    paid = rewards.sum(axis=0)
    scale = TOLERANCE * (1 + np.abs(rewards).sum(axis=0))
    _require(
        (np.abs(whole - paid) < scale).all(),
        f"the steps of an episode paid {paid[0]:g}, the finished piece is worth {whole[0]:g}; "
        "expected the same: pay reward.newest(score) once for each cell",
    )


def check_composition_env(env: gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]) -> None:
    """Check that an environment follows the protocol of composition, by playing it.

    Args:
        env: a single environment, wrapped or not, or a vector environment whose pieces end
            together.

    Raises:
        EnvironmentFault: the first fault.
    """
    batched = _Batched(env)
    _spaces(batched)
    tokens, rewards = _play(batched, 0, wild=0.0)
    again, paid = _play(batched, 0, wild=0.0)
    _require(
        np.array_equal(tokens, again) and np.allclose(rewards, paid, TOLERANCE, TOLERANCE),
        "the same seed and actions gave another piece or other rewards; an episode depends on "
        "its actions and on reset(seed=...) alone",
    )
    _begins_with_a_primer(batched)
    batched.reset()
    for _ in range(min(3, batched.task.steps - 1)):  # the next reset interrupts an episode
        batched.step(np.full(batched.batch, batched.task.codec.token(batched.task.low)))
    _play(batched, 1, wild=0.5)
    if getattr(env, "autoreset_mode", AutoresetMode.DISABLED) is AutoresetMode.DISABLED:
        _ends(batched)


def _begins_with_a_primer(env: _Batched) -> None:
    """Require that `reset(options={"primer": tokens})` begins after these tokens."""
    task = env.task
    if task.given or task.cells < 3:
        return
    primer = np.array([[task.codec.token(low), HOLD] for low, _ in task.spans])
    page = primed(Score.page(task, env.batch), primer)
    _shows(env, env.reset(seed=0, options={"primer": primer}), page, "after reset() with a primer")


def _ends(env: _Batched) -> None:
    """Require that a finished piece takes no further step."""
    try:
        env.step(np.full(env.batch, HOLD))
    except Exception:  # an error of any type is a refusal
        return
    raise EnvironmentFault("a finished piece took a further step; expected an error until reset()")
