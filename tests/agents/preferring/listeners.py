"""Simulated listeners of known tastes, and how well a fit agrees with them."""

import numpy as np

from agents.preferring.taste import Choices

NONZERO = 6
NOISE = 0.2  # share of answers against the listener's own worth


def logistic(x):
    return 1 / (1 + np.exp(-x))


def taste(pieces, rng, nonzero=NONZERO, noise=NOISE):
    """Return weights (F,) of which some are not 0, and whose answers on random pairs are noisy."""
    weights = np.zeros(pieces.shape[1])
    chosen = rng.choice(len(weights), nonzero, replace=False)
    weights[chosen] = rng.choice([-1.0, 1.0], nonzero) * rng.uniform(0.5, 1.5, nonzero)
    pairs = rng.integers(0, len(pieces), (2, 20_000))
    margins = (pieces[pairs[0]] - pieces[pairs[1]]) @ weights
    low, high = 1e-3, 1e3
    for _ in range(50):
        middle = np.sqrt(low * high)
        wrong = logistic(-np.abs(middle * margins)).mean()
        low, high = (middle, high) if wrong > noise else (low, middle)
    return weights * middle


def answers(margins, rng):
    """Return places in ANSWERS of left and right, drawn as Bradley and Terry have it."""
    return (rng.random(len(margins)) > logistic(margins)).astype(np.intp)


def flipped(margins, rng, noise=NOISE):
    """Return answers that are the better piece, but for a share that is drawn by a coin."""
    return ((margins < 0) ^ (rng.random(len(margins)) < noise)).astype(np.intp)


def asked(pieces, pairs, weights, rng, answer=answers):
    """Return the choices of a listener about pairs (N, 2) of pieces."""
    left, right = pieces[pairs[:, 0]], pieces[pairs[:, 1]]
    return Choices(left, right, answer((left - right) @ weights, rng))


def agreement(pieces, true, found, noise=None, seed=0):
    """Return the share of right guesses at answers, as a share of what the true weights reach.

    Args:
        pieces: (M, F) features that were not asked about.
        true, found: (F,) weights.
        noise: of answers by `flipped`; None for those of Bradley and Terry.
        seed: of the pairs.
    """
    pairs = np.random.default_rng(seed).integers(0, len(pieces), (20_000, 2))
    differences = pieces[pairs[:, 0]] - pieces[pairs[:, 1]]
    margin, right = differences @ true, np.sign(differences @ true) == np.sign(differences @ found)
    better = logistic(np.abs(margin)) if noise is None else 1 - noise
    return float(np.mean(np.where(right, better, 1 - better)) / np.mean(better))
