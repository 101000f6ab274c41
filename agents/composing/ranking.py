"""Choice of good candidates that meet all demands, no two of which are nearly the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from agents.composing.asked import give_up
from agents.composing.compute import ComputeMeter
from agents.composing.demands import Kept, keep
from agents.composing.masks import Demands
from agents.composing.search import SearchResult
from envs.music.score import Score
from pretrained.prior import Prior
from rewards.measures.novelty import novelty
from rewards.sum import RewardSum

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


def _melodies(pieces: Score | None) -> Score | None:
    """Return the pieces that have a note, each of them once; None if there is none."""
    if pieces is None:
        return None
    _, first = np.unique(pieces.tokens, axis=0, return_index=True)
    rows = [row for row in np.sort(first).tolist() if pieces.onset[row].any()]
    return pieces.take(rows) if rows else None


def _advice(found: Kept, n: int) -> str:
    """Return advice to somebody whose demands fewer than `n` melodies meet."""
    if found.pieces is None:
        name = found.broken.most_common(1)[0][0]
        if 2 * found.at_given < found.begun:
            return f"Ask for more bars or a wider range, or {give_up(name)}"
        why = ": they are in another key" if name in ("--key", "in_key") else ""
        return (
            f"The bars or notes that are given break {name}{why}. Have more written anew, or "
            f"{give_up(name)}"
        )
    melodies = _melodies(found.pieces)
    if melodies is None:
        return "Only silence keeps the demands: leave one out, or ask for another range"
    if found.count < n:
        return "Leave one out, or ask for more bars or a wider range"
    return (
        f"Only {melodies.batch} of them differ and are not silent: ask for fewer, or for more bars"
    )


def best_kept(
    network: Prior,
    page: Score,
    demands: Demands,
    reward: RewardSum,
    n: int,
    candidates: int,
    seed: int = 0,
    temperature: float = 1.0,
    masks: RewardSum | None = None,
) -> SearchResult:
    """Return the `n` best of n * candidates pieces that meet all demands, no two nearly the same.

    The arguments are those of `agents.composing.demands.keep`, and the reward says what is best.

    Raises:
        ValueError: too few pieces meet the demands, or too many are near-copies of tunes that the
            prior learned from; the message names the demands that stopped most pieces.
    """
    found = keep(network, page, demands, n * candidates, seed, temperature, masks=masks)
    return choose(found, page, reward, n)


def choose(
    found: Kept, page: Score, reward: RewardSum, n: int, copies: bool = False
) -> SearchResult:
    """Return the `n` best pieces of a search for what meets all demands, no two nearly the same.

    Near-copies of tunes that the prior learned from are left out unless `copies` permits them.

    Raises:
        ValueError: as `best_kept`.
    """
    pieces = _melodies(found.pieces)
    if pieces is None or pieces.batch < n:
        raise ValueError(f"the demands cannot be met: {found}; expected {n}. {_advice(found, n)}")
    meter = ComputeMeter()
    returns = meter.returns(reward, pieces)
    all_free = bool(page.task.free.all()) and not page.n_written and not copies

    def copied(row: int) -> bool:
        return all_free and novelty(pieces[row : row + 1])[0].near_copy

    best = rank(pieces, returns, n, refuse=copied)
    if len(best) < n:
        raise ValueError(
            f"of {pieces.batch} candidates only {len(best)} are no near-copies of tunes that the "
            f"prior learned from; expected {n}. Ask for more `candidates` or another `seed`"
        )
    return SearchResult(pieces.take(best), returns[best], found.compute + meter.read())
