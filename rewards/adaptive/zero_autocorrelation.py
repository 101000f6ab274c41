"""A term that brings the mean autocorrelations of what an agent writes to zero.

    python -m agents.train --preset rl_tuner_table

A constraint on a mean is no cost of a single piece: pieces may differ. So each autocorrelation is
paid with a multiplier of its own, which grows with every rollout whose mean is below zero, and
falls with every one above it: dual ascent on the Lagrangian (Altman 1999, "Constrained Markov
decision processes").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from rewards.rules.rl_tuner import autocorrelation

MOST = 100.0  # size of a multiplier
FAR = 0.05  # from zero; a mean beyond moves a multiplier no faster, as a policy lags behind
LAGS = ("first", "second", "third")


class ZeroAutocorrelation:
    """The autocorrelations of a piece's tokens at lags 1, 2, 3, each times its multiplier.

    One number per piece. A run keeps its multipliers; elsewhere they are as given. A policy with
    sight sees the autocorrelations so far if a rule is there that asks for them, such as
    `whole_autocorrelation`.

    Args:
        first: multiplier of the autocorrelation at lag 1, to begin with.
        second: that at lag 2.
        third: that at lag 3.
        rate: times the mean of a rollout is taken off the multipliers.

    Raises:
        ValueError: a number outside its range.
    """

    source = "the statistic of table 1 in Jaques et al. (2017)"

    def __init__(
        self, *, first: float = 0.0, second: float = 0.0, third: float = 0.0, rate: float = 2.0
    ) -> None:
        self.multipliers = np.array([first, second, third], np.float64)
        if not (np.abs(self.multipliers) <= MOST).all():
            raise ValueError(
                f"zero_autocorrelation: first={first!r}, second={second!r}, third={third!r}; "
                f"expected numbers from {-MOST:g} to {MOST:g}"
            )
        if not 0 <= rate <= MOST:
            raise ValueError(
                f"zero_autocorrelation: rate={rate!r}, expected a number from 0 to {MOST:g}"
            )
        self.rate = float(rate)

    def real_pieces(self, task: Any) -> None:
        """Return None: it learns from no real melodies."""

    def __call__(self, score: Score) -> Array:
        """Return the payment (B,) of finished pieces, all voices together."""
        return (lags_of(score) @ self.multipliers).sum(axis=1).astype(np.float32)

    def update(self, real: Any, generated: Score) -> dict[str, float]:
        """Move the multipliers against the means of a rollout, and return these by lag."""
        means = lags_of(generated).mean(axis=(0, 1))
        moved = self.multipliers - self.rate * np.clip(means, -FAR, FAR)
        self.multipliers = np.clip(moved, -MOST, MOST)
        return dict(zip(LAGS, means.tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """Return the multipliers."""
        return {"multipliers": self.multipliers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up multipliers.

        Raises:
            KeyError, ValueError: it is the state of something else.
        """
        multipliers = np.asarray(state["multipliers"], np.float64).copy()
        if multipliers.shape != (3,) or not np.isfinite(multipliers).all():
            raise ValueError(f"multipliers of shape {multipliers.shape}, expected 3 numbers")
        self.multipliers = multipliers


def lags_of(score: Score) -> Array:
    """Return the autocorrelations (B, V, 3) of finished pieces, 0 where tokens are constant."""
    lags = [np.nan_to_num(lag[:, :, -1]) for lag in autocorrelation(score)]
    return np.stack(lags, axis=2)
