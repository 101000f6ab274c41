"""A taste, fitted to comparisons of pieces: Bradley-Terry with ties on named features.

A piece has the worth u = w x, with x its features. Of two pieces, left and right are liked, both
alike or neither with probabilities in proportion to

    exp(u_left), exp(u_right), exp(t + (u_left + u_right) / 2), exp(s)

which is the model of Bradley and Terry (1952), with the ties of Davidson (1970, "On extending the
Bradley-Terry model to accommodate ties") and an outside choice (McFadden 1974, "Conditional logit
analysis of qualitative choice behavior"). t and s are there only if such answers are. The logarithm
of the likelihood is concave.

The weights are normal around 0 before anything is asked (L2). Their strengths make the answers
likeliest (MacKay 1992, "Bayesian interpolation"): one for all where it is asked what to compare
next, one for each where the taste is told, so that what explains nothing goes to 0 (Tipping 2001,
"Sparse Bayesian learning and the relevance vector machine"). A feature is told where its weight is
20 times as likely as none (the ratio of Savage and Dickey: Dickey 1971), with the interval of its
posterior. The others are drawn to 0, so their intervals are not taken from there, but from a Newton
step without that pull (van de Geer et al. 2014, "On asymptotically optimal confidence regions and
tests for high-dimensional models") and the curvature where it leads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.preferring.features import Features
from envs.errors import unknown
from envs.music.score import Score
from envs.music.tape import Array

LEFT, RIGHT, TIE, NEITHER = ANSWERS = ("left", "right", "tie", "neither")
FEWEST = 10  # comparisons
SPREADS = np.geomspace(0.02, 3.0, 16)  # of a weight before anything is asked
LOOSE = 0.25  # precision that hardly pulls
LEAST, STRONG = 0.1, 1e5  # precision of a weight that explains much, and nothing
FREE = 1e-2  # precision of t and s
NORMAL = 1.96  # standard deviations of a 95% interval
SURE = math.log(20)  # of the odds from which on a weight is told
STEPS, CLOSE = 60, 1e-9  # of Newton's method
ROUNDS = 30  # of strengths
FOLDS = 5


@dataclass(frozen=True)
class Choices:
    """Answers to questions about pairs of pieces, as numbers.

    Attributes:
        left, right: (N, F) features of the pieces.
        answers: (N,) places in ANSWERS.
    """

    left: Array
    right: Array
    answers: Array

    @staticmethod
    def of(left: Array, right: Array, liked: Sequence[str]) -> Choices:
        """Return choices of answers in words.

        Raises:
            ValueError: a word that is no answer, features that are not finite, or other shapes.
        """
        for word in liked:
            if word not in ANSWERS:
                raise unknown("answer", word, ANSWERS)
        if left.shape != right.shape or len(left) != len(liked):
            raise ValueError(
                f"features of shapes {left.shape} and {right.shape} for {len(liked)} answers; "
                "expected a row of each for each answer"
            )
        if not (np.isfinite(left).all() and np.isfinite(right).all()):
            raise ValueError("a feature is NaN or infinite; expected finite numbers")
        return Choices(left, right, np.array([ANSWERS.index(word) for word in liked], np.intp))

    @property
    def size(self) -> int:
        """Number of answers."""
        return len(self.answers)

    def take(self, rows: Array) -> Choices:
        """Return some of the answers."""
        return Choices(self.left[rows], self.right[rows], self.answers[rows])

    @property
    def offered(self) -> tuple[int, ...]:
        """Places in ANSWERS of left, right and those of the others that were given."""
        others = [place for place in (2, 3) if (self.answers == place).any()]
        return (0, 1, *others)

    def design(self, offered: Sequence[int]) -> Array:
        """Return Z (N, K, F + K - 2): the logit of answer k is Z[:, k] times the parameters."""
        count, features = self.left.shape
        table = np.zeros((count, len(offered), features + len(offered) - 2))
        table[:, 0, :features], table[:, 1, :features] = self.left, self.right
        for number, place in enumerate(offered[2:]):
            if place == 2:
                table[:, 2 + number, :features] = (self.left + self.right) / 2
            table[:, 2 + number, features + number] = 1.0
        return table


@dataclass(frozen=True)
class Posterior:
    """The weights after some answers, normal.

    Attributes:
        mean: (F,) weights.
        covariance: (F, F).
        precision: (F,) 1 / variance of each weight before anything was asked.
        evidence: log of the probability of the answers, all weights considered, in nats.
    """

    mean: Array
    covariance: Array
    precision: Array
    evidence: float

    @property
    def spread(self) -> float:
        """Largest standard deviation of a weight before anything was asked."""
        return float(self.precision.min() ** -0.5)


def before_answers(features: int, spread: float = 0.5) -> Posterior:
    """Return the posterior of no answers."""
    variance = np.full(features, spread**2)
    return Posterior(np.zeros(features), np.diag(variance), 1 / variance, 0.0)


class _Likelihood:
    """The logarithm of the probability of some answers, its slope and its curvature."""

    def __init__(self, choices: Choices) -> None:
        offered = choices.offered
        self.features = choices.left.shape[1]
        self.table = choices.design(offered)
        place = np.searchsorted(offered, choices.answers)
        self.chosen = self.table[np.arange(choices.size), place]

    def padded(self, precision: Array) -> Array:
        """Return the precisions of all parameters, those of t and s behind the weights'."""
        return np.append(precision, np.full(self.table.shape[2] - self.features, FREE))

    def value(self, at: Array, precision: Array) -> float:
        """Return the logarithm, less what the prior of the parameters takes off."""
        likely = self.chosen @ at - np.logaddexp.reduce(self.table @ at, axis=1)
        return float(likely.sum() - 0.5 * precision @ at**2)

    def bent(self, at: Array, precision: Array) -> tuple[Array, Array]:
        """Return the slope of `value` and minus its second derivatives."""
        logits = self.table @ at
        shares = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        mean = np.einsum("nk,nkp->np", shares, self.table)
        flat = (self.table * np.sqrt(shares)[..., None]).reshape(-1, len(at))
        slope = (self.chosen - mean).sum(axis=0) - precision * at
        return slope, flat.T @ flat - mean.T @ mean + np.diag(precision)

    def top(self, precision: Array, start: Array | None = None) -> Array:
        """Return the parameters of the highest `value`, by Newton's method."""
        found = np.zeros(self.table.shape[2]) if start is None else start
        best = self.value(found, precision)
        for _ in range(STEPS):
            slope, curvature = self.bent(found, precision)
            step, length = np.linalg.solve(curvature, slope), 1.0
            while (now := self.value(found + length * step, precision)) < best and length > CLOSE:
                length /= 2
            gained, found, best = now - best, found + length * step, now
            if gained < CLOSE:
                break
        return found


def posterior(choices: Choices, precision: Array) -> Posterior:
    """Return the posterior of the weights, whose precisions (F,) before the answers are given."""
    likelihood = _Likelihood(choices)
    padded = likelihood.padded(precision)
    found = likelihood.top(padded)
    _, curvature = likelihood.bent(found, padded)
    evidence = likelihood.value(found, padded) + 0.5 * np.log(padded).sum()
    evidence -= 0.5 * np.linalg.slogdet(curvature)[1]
    size = likelihood.features
    covariance = np.linalg.inv(curvature)[:size, :size]
    return Posterior(found[:size], covariance, precision, float(evidence))


def fitted(choices: Choices) -> Posterior:
    """Return the posterior of the likeliest of SPREADS, one for all weights."""
    ones = np.ones(choices.left.shape[1])
    every = (posterior(choices, ones * spread**-2) for spread in SPREADS)
    return max(every, key=lambda known: known.evidence)


def sparse(choices: Choices, start: Posterior) -> Posterior:
    """Return the posterior of the likeliest precision for each weight, found in ROUNDS."""
    known = start
    for _ in range(ROUNDS):
        variance = known.mean**2 + np.diag(known.covariance)
        known = posterior(choices, np.clip(1 / variance, LEAST, STRONG))
    return known


def intervals(choices: Choices, known: Posterior) -> tuple[Array, Array]:
    """Return estimates (F,) that are hardly drawn to 0, and half the widths of 95% intervals.

    Args:
        choices: the answers.
        known: weights of one strength, where the step begins.
    """
    likelihood, size = _Likelihood(choices), len(known.mean)
    loose = likelihood.padded(np.full(size, LOOSE))
    start = likelihood.top(likelihood.padded(known.precision))
    slope, curvature = likelihood.bent(start, loose)
    found = start + np.linalg.solve(curvature, slope)
    _, curvature = likelihood.bent(found, loose)
    errors = np.sqrt(np.diag(np.linalg.inv(curvature)))
    return found[:size], NORMAL * errors[:size]


def told_intervals(choices: Choices, known: Posterior, best: Posterior) -> tuple[Array, Array]:
    """Return estimates (F,) and half the widths of their 95% intervals.

    They are those of the posterior where a weight is certain, and of `intervals` elsewhere.

    Args:
        choices: the answers.
        known: weights of one strength.
        best: weights of a strength each.
    """
    told, widths = odds(best) > SURE, NORMAL * np.sqrt(np.diag(best.covariance))
    estimates, errors = intervals(choices, known)
    return np.where(told, best.mean, estimates), np.where(told, widths, errors)


def odds(known: Posterior) -> Array:
    """Return the log of the odds (F,) of each weight against its absence, in nats."""
    variance = np.diag(known.covariance)
    return np.asarray(0.5 * np.log(known.precision * variance) + known.mean**2 / (2 * variance))


@dataclass(frozen=True)
class Taste:
    """A taste in named features, with how sure it is.

    Weights are for a standard deviation of a feature, in nats of the odds of being liked.

    Attributes:
        features: the names and scales.
        weights: (F,) that predict answers best.
        estimates: (F,) the weights of what is certain; of all else such as are not drawn to 0.
        errors: (F,) half the width of the 95% intervals around the estimates.
        certain: (F,) bool: the feature is liked or disliked, and not left alone.
        comparisons: number of answers.
        agreement: share of the answers left or right, left out one fifth at a time, that the others
            predict; NaN if there are none.
    """

    features: Features
    weights: Array
    estimates: Array
    errors: Array
    certain: Array
    comparisons: int
    agreement: float

    def worth(self, score: Score) -> Array:
        """Return the worth (B,) of finished pieces, in nats of the odds of being liked.

        Raises:
            ValueError: pieces of another task.
        """
        return self.features.measure(score) @ self.weights


def fit_taste(features: Features, choices: Choices) -> Taste:
    """Return the taste that explains some answers.

    Raises:
        ValueError: fewer than FEWEST answers, or ones that contradict each other.
    """
    if choices.size < FEWEST:
        raise ValueError(
            f"{choices.size} comparisons; expected at least {FEWEST} for a taste. Compare more "
            "pairs: python -m agents.prefer --ask FILE"
        )
    known = fitted(choices)
    if known.spread <= SPREADS[0]:
        raise ValueError(
            f"{choices.size} comparisons show no taste in {len(features.names)} features: they "
            f"contradict each other, or liked what no feature tells.{_both_ways(choices)} Compare "
            "more pairs, or remove answers that were meant otherwise"
        )
    best = sparse(choices, known)
    estimates, errors = told_intervals(choices, known, best)
    agreement = cross_validated(choices)
    told = odds(best) > SURE
    return Taste(features, best.mean, estimates, errors, told, choices.size, agreement)


def _both_ways(choices: Choices) -> str:
    """Return how many pairs were answered both left and right, in words; '' if none was."""
    plain = choices.take(np.flatnonzero(choices.answers < 2))
    gains = np.where(plain.answers[:, None] == 0, 1, -1) * (plain.left - plain.right)
    rows = {row.tobytes() for row in gains + 0.0}
    both = sum((-row + 0.0).tobytes() in rows for row in gains + 0.0) if len(gains) else 0
    return f" {both} of them were answered the other way as well." if both else ""


def cross_validated(choices: Choices, seed: int = 0) -> float:
    """Return the share of answers left or right that fits to other answers predict."""
    order = np.random.default_rng(seed).permutation(choices.size)
    right, asked = 0.0, 0
    for fold in range(FOLDS):
        out = order[fold::FOLDS]
        kept = np.setdiff1d(order, out)
        others = choices.take(kept)
        weights = sparse(others, fitted(others)).mean
        left_out = choices.take(out[choices.answers[out] < 2])
        margin = (left_out.left - left_out.right) @ weights
        agrees = np.where(left_out.answers == 0, margin, -margin)
        right += float((agrees > 0).sum() + 0.5 * (agrees == 0).sum())
        asked += left_out.size
    return right / asked if asked else float("nan")
