"""Similarity of generated pieces to real tunes, by histograms of pitches, intervals and lengths.

It follows Yang and Lerch (2020), On the evaluation of generative models in music, Neural Computing
and Applications 32. Each piece has a histogram of each kind. The Euclidean distances among the real
pieces, and those between generated and real ones, give two densities; the area under both is 1 if
generated pieces are as far from real ones as these are from each other. The Jensen-Shannon
divergence compares the mean histograms.

The real pieces are parts of tunes that the prior never learned from, in the task's metre, mode and
length. Pitch classes are counted from the tonic, so keys make no difference.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from envs.music.score import Score
from envs.music.task import Task
from pretrained.corpora.folk import GRID, load_corpus
from pretrained.corpora.histograms import LONGEST as LONGEST
from pretrained.corpora.histograms import WIDEST as WIDEST
from pretrained.corpora.histograms import Floats as Floats
from pretrained.corpora.histograms import distances, histograms
from pretrained.corpora.pieces import FEWEST_BARS, WHITE_KEYS
from pretrained.training.lessons import ends, part

if TYPE_CHECKING:
    from pretrained.corpora.folk import Tune
    from rewards.sum import RewardSum

FEWEST = 20  # real pieces that are needed
MOST = 1000  # most generated pieces that are compared
POINTS = 1000  # points at which densities are compared


@lru_cache(maxsize=16)
def real_pieces(task: Task) -> Score | None:
    """Return held-out parts of tunes in a task's metre, mode and length.

    They are in the key without sharps and flats.

    Returns:
        None if there are fewer than FEWEST, or the task's grid is not that of the corpus.
    """
    if task.bars < FEWEST_BARS or task.grid != GRID or task.voices != 1:
        return None
    tonic = (task.key.pitch_class - task.key.home) % 12
    kind = (task.meter.numerator, task.meter.denominator, tonic)

    def fits(tune: Tune) -> bool:
        return (*tune.meter, tune.tonic) == kind

    corpus = load_corpus()
    tunes = [tune for split in ("valid", "test") for tune in corpus.select(split) if fits(tune)]
    cut = [part(tune, end, task.bars) for tune in tunes for end in ends(tune)]
    parts = [tokens for tokens in cut if tokens is not None]
    if len(parts) < FEWEST:
        return None
    return Score(
        np.stack(parts)[:, None], Task(key=WHITE_KEYS[tonic], meter=task.meter, bars=task.bars)
    )


def overlap(generated: Floats, real: Floats) -> float:
    """Return the overlap of the distances among real histograms and from generated to real ones.

    Args:
        generated: (N, n) histograms.
        real: (M, n) histograms, M at least 2.

    Returns:
        0..1, the area under both densities. They are estimated with Gaussian kernels of
        Silverman's bandwidth.
    """
    among = distances(real, real)[np.triu_indices(len(real), 1)]
    between = distances(generated[:MOST], real).ravel()
    most = max(among.max(), between.max())
    x = np.linspace(-0.2 * most, 1.2 * most + 1e-9, POINTS)
    shared = np.minimum(_density(among, x), _density(between, x)).sum() * (x[1] - x[0])
    return float(min(shared, 1.0))


def _density(values: Floats, x: Floats) -> Floats:
    """Return the kernel density at evenly spaced points `x`, computed on a histogram."""
    step = x[1] - x[0]
    counts, _ = np.histogram(values, bins=len(x), range=(x[0] - step / 2, x[-1] + step / 2))
    width = max(1.06 * values.std() * len(values) ** -0.2, step)
    reach = np.arange(-len(x) + 1, len(x)) * step
    kernel = np.exp(-0.5 * (reach / width) ** 2) / (width * np.sqrt(2 * np.pi))
    density: Floats = np.convolve(counts / len(values), kernel)[len(x) - 1 : 2 * len(x) - 1]
    return density


def divergence(one: Floats, other: Floats) -> float:
    """Return the Jensen-Shannon divergence (0..1 bits) of the means of two sets of histograms.

    NaN if one of them has nothing.
    """
    p, q = one.mean(axis=0), other.mean(axis=0)
    if not (p.any() and q.any()):
        return float("nan")
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2

    def against(a: Floats) -> float:
        seen = a > 0
        return float((a[seen] * np.log2(a[seen] / middle[seen])).sum())

    return (against(p) + against(q)) / 2


def likeness(score: Score) -> dict[str, float]:
    """Return overlap and divergence of finished and real pieces, per cent, for each histogram.

    It is empty if there are too few real pieces, see `real_pieces`.
    """
    held_out = real_pieces(score.task)
    if held_out is None:
        return {}
    drawn, real = histograms(score), histograms(held_out)
    rows = {f"{name}, overlap": 100 * overlap(drawn[name], real[name]) for name in drawn}
    return rows | {
        f"{name}, divergence": 100 * divergence(drawn[name], real[name]) for name in drawn
    }


def mean_violations(score: Score, reward: RewardSum) -> dict[str, float]:
    """Return the mean sum of violations in a piece, for each rule of a reward and for all.

    They are not weighted; "mean cost of broken rules" is the weighted sum.

    Args:
        score: finished pieces.
        reward: terms that are no rules are ignored.
    """
    rules = {
        name: term for name, term in reward.terms.items() if term.rule.violation and term.weight
    }
    if not rules:
        return {}
    means = {name: float(np.sum(term.rule(score)) / score.batch) for name, term in rules.items()}
    return {
        "mean cost of broken rules": -sum(rules[name].factor * means[name] for name in rules),
        "mean violations": sum(means.values()),
        **{f"mean violations, {name}": value for name, value in means.items()},
    }
