"""How much of the music of real pieces generated ones reach: coverage, density, and n-grams.

Coverage and density are those of Naeem et al. (2020, arXiv 2002.09797), on histograms of pitch
classes, intervals and note lengths of each piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.music.codec import FIRST_PITCH
from envs.music.score import Score
from pretrained.corpora.histograms import distances, histograms

NEIGHBOURS = 5  # k of Naeem et al.
GRAM = 4  # notes of a gram
ROUNDING = 1e-9  # histograms of few notes are often just as far from each other
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Coverage:
    """How generated pieces spread over real ones.

    Attributes:
        coverage: share of real pieces with a generated one nearer than the k-th nearest real one;
            of as many real pieces drawn anew it is nearly 1 for pieces like them.
        density: mean number of real pieces as near to a generated one, over k; 1 for pieces like
            the real ones, more where they crowd about the commonest, less where they are unlike.
        clusters: share of clusters of tunes that have a piece so covered.
        distinct: share of generated pieces that are different.
        grams: number of different grams of notes in the generated pieces, over that of the real.
    """

    coverage: float
    density: float
    clusters: float
    distinct: float
    grams: float

    def __str__(self) -> str:
        return (
            f"coverage {self.coverage:.2f}  density {self.density:.2f}  clusters "
            f"{self.clusters:.2f}  distinct {self.distinct:.2f}  n-grams {self.grams:.2f} of real"
        )


def coverage_of(
    made: Sequence[Score],
    real: Sequence[Score],
    clusters: npt.ArrayLike | None = None,
    k: int = NEIGHBOURS,
) -> Coverage:
    """Return how generated pieces spread over real ones.

    Args:
        made: generated pieces of one voice; as many as real ones, where figures are compared.
        real: real pieces of one voice.
        clusters: number of the cluster of each real piece; None if each is one of its own.
        k: nearest real pieces that make a neighbourhood.

    Raises:
        ValueError: no more than `k` real pieces.
    """
    x, y = features(real), features(made)
    if len(x) <= k:
        raise ValueError(f"{len(x)} real pieces: coverage needs more than k={k}; give more tunes")
    reach, near = neighbourhoods(x, k) + ROUNDING, distances(y, x)
    covered = (near <= reach).any(axis=0)
    number = np.arange(len(x)) if clusters is None else np.asarray(clusters)
    lines = [line.tobytes() for score in made for line in score.tokens[:, 0].astype(np.int16)]
    return Coverage(
        coverage=float(covered.mean()),
        density=float((near <= reach).sum() / (k * len(y))),
        clusters=len(set(number[covered].tolist())) / len(set(number.tolist())),
        distinct=len(set(lines)) / len(lines),
        grams=len(grams(made)) / max(1, len(grams(real))),
    )


def features(scores: Iterable[Score]) -> Floats:
    """Return the histograms (N, n) of pieces side by side."""
    return np.concatenate([np.concatenate([*histograms(s).values()], axis=1) for s in scores])


def neighbourhoods(points: Floats, k: int) -> Floats:
    """Return the distance (N,) of each point to the k-th nearest other one."""
    apart = distances(points, points)
    np.fill_diagonal(apart, np.inf)
    return np.asarray(np.partition(apart, k - 1, axis=1)[:, k - 1])


def grams(scores: Iterable[Score]) -> set[tuple[int, ...]]:
    """Return the different runs of GRAM notes, as intervals and times between their onsets."""
    found: set[tuple[int, ...]] = set()
    for score in scores:
        for line in score.tokens[:, 0].astype(int):
            at = np.flatnonzero(line >= FIRST_PITCH)
            moves = np.stack([np.diff(line[at]), np.diff(at)], axis=1)
            for start in range(len(moves) - GRAM + 2):
                found.add(tuple(moves[start : start + GRAM - 1].ravel().tolist()))
    return found
