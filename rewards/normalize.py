"""A term in units of its own spread, so that weights of unlike terms can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd

from envs.contract import RewardFunction
from envs.music.score import Score
from rewards.rule import as_rule

LEAST = 1e-6  # a smaller spread is that of a term that pays every piece the same


class Normalized:
    """A reward function divided by the standard deviation of what pieces get from it.

    The deviation is that of the pieces an agent has written so far, all rollouts together; it
    moves once for each rollout, after that rollout was paid, and the first is paid undivided.
    The mean is left in: pieces of one length all have it, so it moves no policy.

    Each term is normalised before the sum. Algorithms that normalise advantages do so behind the
    sum, where a term with large numbers still drowns the others.

    Args:
        fn: the function, per cell or per piece.
    """

    def __init__(self, fn: RewardFunction) -> None:
        self.__wrapped__ = as_rule(fn)  # as cell-wise, and as much of a rule, as it was
        self._seen = RunningMeanStd(epsilon=0.0, shape=())

    @property
    def scale(self) -> float:
        """Number that values are divided by; 1 until a rollout was seen."""
        spread = float(np.sqrt(self._seen.var))
        return spread if self._seen.count >= 1 and spread > LEAST else 1.0

    def __call__(self, score: Score) -> Any:
        """Return the value divided by `scale`; `Term.raw` refuses what is no array of numbers."""
        value: Any = self.__wrapped__(score)
        numbers = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
        return value / self.scale if numbers else value

    def real_pieces(self, task: Any) -> None:
        """Return None: it learns from no real melodies."""

    def update(self, real: Any, generated: Score) -> dict[str, float]:
        """Take note of what a rollout's pieces get."""
        value = np.asarray(self.__wrapped__(generated), np.float64)
        self._seen.update(value.reshape(generated.batch, -1).sum(axis=1))
        return {"scale": self.scale}

    def state_dict(self) -> dict[str, Any]:
        """Mean, variance and count so far."""
        seen = self._seen
        return {"mean": seen.mean, "var": seen.var, "count": np.asarray(seen.count)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._seen.mean, self._seen.var = (np.asarray(state[name]) for name in ("mean", "var"))
        self._seen.count = float(state["count"])
