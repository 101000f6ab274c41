"""Features of a piece by which a taste is told: every rule that applies, and traits.

A feature is a registered term of a reward, so a taste is a reward: sums of a piece, divided by
their standard deviation over pieces of reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from envs.errors import quoted
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.build import make_term
from rewards.rule import REGISTRY
from rewards.term import Term

TRAITS = (
    "note_rate",
    "silent_share",
    "leap_rate",
    "repeat_rate",
    "overall_rise",
    "compass_width",
    "climax_place",
    "climax_height",
    "bar_echo",
)
SURPRISE = "surprise"
CHUNK = 500  # pieces measured at a time
RAREST = 0.02  # least share of pieces that differ from the others in a feature


def feature_spec(task: Task, prior: str = "") -> dict[str, Any]:
    """Return the terms that describe pieces of a task: its rules, TRAITS, and surprise.

    Args:
        task: of the pieces.
        prior: name or path of the checkpoint that is surprised; none if empty.
    """
    rules = [name for name, rule in REGISTRY.items() if rule.violation and rule.judges(task)]
    spec: dict[str, Any] = dict.fromkeys((*rules, *TRAITS), 1.0)
    return spec | ({SURPRISE: {"weight": 1.0, "checkpoint": prior}} if prior else {})


@dataclass(frozen=True)
class Features:
    """Named features of the pieces of one task.

    Attributes:
        task: of the pieces.
        spec: terms as a reward has them, of weight 1.
        mean, scale: (F,) of each feature over the pieces of reference.
        constant: names of terms that hardly vary over those, and are left out.
    """

    task: Task
    spec: Mapping[str, Any]
    mean: Array
    scale: Array
    constant: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""
        return tuple(self.spec)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The features as terms of a reward."""
        return tuple(make_term(name, setting) for name, setting in self.spec.items())

    @staticmethod
    def of(reference: Score, spec: Mapping[str, Any] | None = None) -> Features:
        """Return the features that vary over pieces of reference, in RAREST of them at least.

        Args:
            reference: finished pieces, two at least.
            spec: terms to choose from; `feature_spec` of the pieces' task if None.

        Raises:
            ValueError: no term varies, or one cannot be had on this task.
            RewardError: a term failed.
        """
        task = reference.task
        spec = feature_spec(task) if spec is None else spec
        every = Features(task, spec, np.zeros(len(spec)), np.ones(len(spec)))
        sums = every.measure(reference)
        scale = sums.std(axis=0)
        differ = np.abs(sums - np.median(sums, axis=0)) > 1e-6 * np.abs(sums).max(axis=0)
        varies = (differ.mean(axis=0) >= RAREST) & (scale > 0)
        if not varies.any():
            raise ValueError(
                f"none of {len(spec)} features varies over {reference.batch} pieces, so nothing "
                "can be told from them; expected pieces that differ"
            )
        names = np.array(list(spec))
        return replace(
            every,
            spec={name: spec[name] for name in names[varies].tolist()},
            mean=sums.mean(axis=0)[varies],
            scale=scale[varies],
            constant=tuple(names[~varies].tolist()),
        )

    def measure(self, score: Score) -> Array:
        """Return the features (B, F) float64 of finished pieces, in standard deviations.

        Raises:
            ValueError: pieces of another task, or unfinished ones.
            RewardError: a term failed.
        """
        if score.task != self.task or not score.finished:
            raise ValueError(f"expected finished pieces of {quoted(self.task)}")
        for term in self.terms:
            if term.rule.require is not None:
                term.rule.require(self.task)
        parts = [
            [term.whole(part).sum(axis=(1, 2), dtype=np.float64) for term in self.terms]
            for part in score.chunks(CHUNK)
        ]
        factors = np.array([term.factor for term in self.terms])
        sums = np.concatenate([np.stack(part, axis=1) for part in parts]) / factors
        return np.asarray((sums - self.mean) / self.scale)

    def weights_of_terms(self, weights: Array) -> dict[str, float]:
        """Return the weight of each term in a reward that pays these weights (F,) per feature.

        A violation counts against a piece, so a liking for it is a weight below 0.
        """
        return {
            name: float(weight / scale / term.factor)
            for name, weight, scale, term in zip(
                self.names, weights, self.scale, self.terms, strict=True
            )
        }
