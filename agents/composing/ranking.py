"""Choice of good candidates, no two of which are nearly the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from envs.music.score import Score

NEAREST = 0.25  # least share of free cells in which two chosen melodies differ


def rank(
    score: Score,
    worth: npt.ArrayLike,
    n: int,
    refuse: Callable[[int], bool] = lambda row: False,
) -> list[int]:
    """Return the numbers of the best `n` candidates, best first, each different from the others.

    Candidates are taken in order of worth. One is skipped if it differs from a candidate already
    taken in fewer than NEAREST of the free cells; cells differ in the last pitch begun, or if
    only one of them begins a note. If too few are left, skipped ones follow, the most different
    first: maximal marginal relevance (Carbonell and Goldstein 1998) with a threshold for a weight.

    Args:
        score: the candidates.
        worth: (B,) values, higher is better.
        n: number of candidates to choose, at most B.
        refuse: returns True for the number of a candidate that must not be taken; called when its
            turn comes.

    Returns:
        `n` numbers, fewer if too many were refused.

    Raises:
        ValueError: `n` outside 1..B.
    """
    if not 1 <= n <= score.batch:
        raise ValueError(f"n={n}: expected 1 to {score.batch}, the candidates")
    free = score.task.free if score.task.free.any() else np.ones_like(score.task.free)
    pitch, onset = score.pitch[:, free], score.onset[:, free]
    distance = np.ones(score.batch)  # to the nearest candidate taken
    taken: list[int] = []
    waiting = np.argsort(-np.asarray(worth, np.float64), kind="stable").tolist()
    while len(taken) < n and waiting:
        apart = [row for row in waiting if distance[row] >= NEAREST]
        row = apart[0] if apart else max(waiting, key=lambda r: distance[r])
        waiting.remove(row)
        if refuse(row):
            continue
        taken.append(row)
        differs = (pitch != pitch[row]) | (onset != onset[row])
        distance = np.minimum(distance, differs.mean(axis=1))
    return taken
