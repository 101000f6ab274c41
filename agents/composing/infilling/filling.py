"""Pieces of an infiller that meet all demands.

An infiller writes no piece cell by cell, so demands cannot stop it on the way: pieces are filled,
and those that break a demand are left out.
"""

from __future__ import annotations

import numpy as np
import torch

from agents.composing.compute import ComputeMeter
from agents.composing.demands import Kept
from agents.composing.masks import Demands, breaks
from agents.composing.ranking import choose
from agents.composing.search import SearchResult
from envs.music.score import Score
from envs.music.tape import Array
from pretrained.infiller import Infiller
from rewards.sum import RewardSum

ROUNDS = 16  # times as many pieces as are wanted that are filled at most
HOPELESS = 32  # pieces, none of which meets the demands, after which it is given up
FEWEST = 8  # pieces of a round
ROUND_CELLS = 2**18  # of pieces filled together: bounds memory


def best_filled(
    network: Infiller,
    page: Score,
    demands: Demands,
    reward: RewardSum,
    n: int,
    candidates: int,
    seed: int = 0,
    temperature: float = 1.0,
) -> SearchResult:
    """Return the `n` best of n * candidates pieces that meet all demands, no two nearly the same.

    The arguments are those of `fill_kept`, and the reward says what is best.

    Raises:
        ValueError: as `agents.composing.ranking.choose`.
    """
    found = fill_kept(network, page, demands, n * candidates, seed, temperature)
    try:
        return choose(found, page, reward, n)
    except ValueError as error:
        if not demands:
            raise
        raise ValueError(
            f"{error}. Pages are filled without regard to demands; of a diffusion "
            "method='guided-infill' (--method guided-infill) is led by them"
        ) from None


def filled(
    network: Infiller,
    page: Score,
    reward: RewardSum,
    n: int,
    seed: int = 0,
    temperature: float = 1.0,
) -> SearchResult:
    """Return `n` pieces as an infiller draws them, in no order."""
    meter = ComputeMeter()
    pieces = network.fill(page, n, seed, temperature)
    meter.tokens += n * cells_read(network, page)
    returns = meter.returns(reward, pieces)
    return SearchResult(pieces, returns, meter.read())


def cells_read(network: Infiller, page: Score) -> int:
    """Return the number of cells that a network reads to fill a page; each once if it is silent."""
    told = getattr(network, "cells_read", None)
    return page.task.steps if told is None else int(told(page))


def fill_kept(
    network: Infiller,
    page: Score,
    demands: Demands,
    n: int,
    seed: int = 0,
    temperature: float = 1.0,
) -> Kept:
    """Fill pages until `n` pieces meet all demands, or ROUNDS times `n` have been filled.

    Args:
        network: fills the pages.
        page: an unfinished score of one piece.
        demands: cellwise terms by name, possibly none.
        n: number of pieces wanted.
        seed: of the draws.
        temperature: of the draws, above 0.
    """
    rng, meter, found = torch.Generator().manual_seed(seed), ComputeMeter(), Kept()
    kept = page.tokens[:0]
    most = max(1, ROUND_CELLS // page.task.steps)
    while len(kept) < n and found.begun < ROUNDS * n:
        size = min(max(n - len(kept), FEWEST), most)
        pieces = network.fill(page, size, rng, temperature)
        meter.tokens += size * cells_read(network, page)
        meter.cells += size * page.task.steps * bool(demands)
        found.begun += size
        kept = np.concatenate([kept, pieces.tokens[meeting(pieces, demands, found)]])
        if not len(kept) and found.begun >= max(HOPELESS, n):
            break
    if len(kept):
        found.pieces = Score(kept[:n], page.task)
    found.compute = meter.read()
    return found


def meeting(pieces: Score, demands: Demands, found: Kept) -> Array:
    """Return True (B,) for each piece that meets all demands; count what stopped the others."""
    task, good = pieces.task, np.ones(pieces.batch, bool)
    for name, term in demands.items():
        broken = np.any(breaks(term, pieces), axis=1)  # (B, T)
        rows = np.flatnonzero(good & broken.any(axis=1))
        bars = (broken[rows].argmax(axis=1) - task.pickup) // task.bar_cells + 1
        found.broken[name] += len(rows)
        found.bars.update((name, bar) for bar in bars.tolist())
        good[rows] = False
    found.broken = +found.broken
    return good
