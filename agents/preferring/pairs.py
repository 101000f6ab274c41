"""Pairs of pieces to ask about next: those whose answers teach most about the weights.

An answer left or right about a pair with the features x - y = d adds p (1 - p) d d' to the
precision of the weights, with p the probability of left, so the logarithm of its determinant grows
by log(1 + p (1 - p) d' C d), where C is their covariance: D-optimal design (Chaloner & Verdinelli
1995, "Bayesian experimental design: a review"). The mean of p (1 - p) over the posterior is used.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from agents.preferring.taste import Posterior
from envs.music.tape import Array

CANDIDATES = 4000  # pairs that are compared
PROBIT = np.pi / 8  # the logistic function is near the normal one of this squared slope

Pair = tuple[int, int]


def doubt(mean: Array, variance: Array) -> Array:
    """Return the mean of p (1 - p), p the logistic function of a normal number (MacKay 1992)."""
    width = np.sqrt(variance + 1 / PROBIT)
    density = np.exp(-0.5 * (mean / width) ** 2) / (np.sqrt(2 * np.pi) * width)
    return np.asarray(density)


def choose_pairs(
    pieces: Array,
    known: Posterior,
    n: int,
    rng: np.random.Generator,
    asked: Collection[Pair] = (),
) -> list[Pair]:
    """Return `n` pairs of pieces whose answers teach most, each chosen as if those before it were.

    No pair is asked twice, nor is a piece in two of these pairs.

    Args:
        pieces: (M, F) features of the pieces that there are.
        known: the weights after the answers until now.
        n: number of pairs.
        rng: draws candidates, and which piece stands left.
        asked: pairs that were asked before, by the numbers of their pieces.

    Raises:
        ValueError: there are no more pairs.
    """
    count, covariance = len(pieces), known.covariance
    before = {frozenset(pair) for pair in asked}
    drawn = np.sort(rng.integers(0, count, (max(CANDIDATES, 8 * n), 2)), axis=1)
    drawn = np.unique(drawn[drawn[:, 0] < drawn[:, 1]], axis=0)
    fresh = [frozenset(pair) not in before for pair in drawn.tolist()]
    drawn = drawn[np.array(fresh, bool)]
    differences = pieces[drawn[:, 0]] - pieces[drawn[:, 1]]
    free = np.abs(differences).sum(axis=1) > 0
    means = differences @ known.mean
    chosen: list[Pair] = []
    while len(chosen) < n:
        if not free.any():
            raise ValueError(
                f"{count} pieces have no more than {len(chosen)} pairs that were not asked yet and "
                f"differ; expected {n}. Draw more pieces, or ask for fewer pairs"
            )
        spread = differences @ covariance
        variances = np.einsum("nf,nf->n", spread, differences)
        weights = doubt(means, variances)
        best = int(np.argmax(np.where(free, weights * variances, -1.0)))
        first, second = (int(each) for each in rng.permutation(drawn[best]))
        chosen.append((first, second))
        gain = weights[best] / (1 + weights[best] * variances[best])
        covariance = covariance - gain * np.outer(spread[best], spread[best])
        free &= ~np.isin(drawn, drawn[best]).any(axis=1)
    return chosen
