"""Which of many candidates to show: good ones, and no two that are nearly the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from envs.music.score import Score

NEAREST = 0.25  # share of free cells in which two melodies that are shown differ at least


def rank(
    score: Score,
    worth: npt.ArrayLike,
    n: int,
    nearest: float = NEAREST,
    refuse: Callable[[int], bool] = lambda row: False,
) -> list[int]:
    """Numbers of the best `n` candidates, best first, each unlike those before it.

    Candidates are taken in order of their worth and passed over if they differ from one already
    taken in less than `nearest` of the cells that are not given: in the pitch last begun, or in
    whether a note begins there. If too few are left, those
    passed over follow, the most different first: maximal marginal relevance (Carbonell and
    Goldstein 1998) with a threshold in place of a weight.

    Args:
        score: candidates.
        worth: (B,) the higher the better.
        n: how many to choose, at most B.
        nearest: from 0 to 1.
        refuse: says of a candidate's number that it is not to be taken; asked when its turn comes.

    Returns:
        `n` numbers, fewer if too many were refused.

    Raises:
        ValueError: more wanted than there are.
    """
    if not 1 <= n <= score.batch:
        raise ValueError(f"n={n}: expected 1 to {score.batch}, the candidates")
    free = score.task.free if score.task.free.any() else np.ones_like(score.task.free)
    pitch, onset = score.pitch[:, free], score.onset[:, free]
    distance = np.ones(score.batch)  # to the nearest that is taken
    taken: list[int] = []
    waiting = np.argsort(-np.asarray(worth, np.float64), kind="stable").tolist()
    while len(taken) < n and waiting:
        apart = [row for row in waiting if distance[row] >= nearest]
        row = apart[0] if apart else max(waiting, key=lambda r: distance[r])
        waiting.remove(row)
        if refuse(row):
            continue
        taken.append(row)
        differs = (pitch != pitch[row]) | (onset != onset[row])
        distance = np.minimum(distance, differs.mean(axis=1))
    return taken
