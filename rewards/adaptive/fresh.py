"""How well pieces can be told from real tunes by discriminators that no agent has learned from.

An agent that is paid by an `adversary` learns to deceive that one discriminator. Others, trained
afresh on its finished pieces, say how near real tunes it has come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.corpora.chorales import NAME as CHORALES
from rewards.adaptive.discriminator import Discriminator, adam, area, fit, logits_of
from rewards.adaptive.windows import real_parts

HELD_OUT = ("valid", "test")
NORMAL = 1.96  # standard errors of a 95% interval
SEEDS, EPOCHS = 3, 9  # discriminators whose figures are averaged, and times that each reads all
ACCURACY, AREA = "told from real tunes (%)", "told from real tunes, area under curve (%)"


def beside(task: Task, splits: tuple[str, ...] = HELD_OUT) -> Score:
    """Return real tunes like the pieces of a task; of several voices, parts of Bach's chorales.

    Raises:
        ValueError: there are too few.
    """
    return real_parts(task, CHORALES if task.voices > 1 else "", splits)


@dataclass(frozen=True)
class ToldApart:
    """How well discriminators trained afresh tell pieces from real tunes.

    Attributes:
        accuracy: share told apart, both sides weighing the same; .5 for pieces that cannot be told.
        low, high: 95% interval of it, over the pieces and the tunes that were not learned from.
        area: under the ROC curve.
    """

    accuracy: float
    low: float
    high: float
    area: float


def tell_apart(score: Score, seed: int = 0) -> ToldApart | None:
    """Return how well discriminators trained afresh tell pieces from real tunes.

    They learn from half of the pieces and from tunes of the training part of the corpus; the
    figures are those on the other half and on tunes that are held out.

    Args:
        score: finished pieces, at least 2.
        seed: of the discriminators.

    Returns:
        None if there are too few real tunes like the pieces, see `windows.real_parts`; of several
        voices they are parts of Bach's chorales in the installed music21.
    """
    try:
        known, held_out = (beside(score.task, part) for part in (("train",), HELD_OUT))
    except ValueError:
        return None
    half = score.batch // 2
    lessons, fresh = score[:half], score[half:]
    right, areas = [], []
    for number in range(SEEDS):
        rng = np.random.default_rng((seed, number))
        network = Discriminator(seed=number)
        optimizer = adam(network)
        for _ in range(EPOCHS):
            fit(network, optimizer, known, lessons, rng)
        real, generated = logits_of(network, held_out), logits_of(network, fresh)
        right.append((real > 0, generated <= 0))
        areas.append(area(real, generated))
    shares = [np.mean(side, axis=0) for side in zip(*right, strict=True)]
    return ToldApart(*balanced(*shares), float(np.mean(areas)))


def balanced(real: Array, generated: Array) -> tuple[float, float, float]:
    """Return the mean of two sides' means, and its 95% interval by the normal distribution.

    Args:
        real: (N,) share of the discriminators that are right on each real tune.
        generated: (M,) the same of each piece.
    """
    sides = real.mean(), generated.mean()
    error = 0.5 * (real.var() / len(real) + generated.var() / len(generated)) ** 0.5
    middle = float(sum(sides)) / 2
    return middle, middle - NORMAL * float(error), middle + NORMAL * float(error)


def told_apart(score: Score, seed: int = 0) -> dict[str, float]:
    """Return accuracy and area of `tell_apart` as rows of a table, per cent; {} without tunes."""
    found = tell_apart(score, seed)
    return {} if found is None else {ACCURACY: 100 * found.accuracy, AREA: 100 * found.area}
