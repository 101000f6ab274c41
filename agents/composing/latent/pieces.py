"""Melodies that a request asks of a latent model: near a theme, or between two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from agents.composing.compute import ComputeMeter
from agents.composing.demands import Kept
from agents.composing.infilling.filling import fill_kept, good_pieces
from agents.composing.latent.points import Apart, Between, Points, Variation, theme_score
from agents.composing.latent.varying import Neighbours
from agents.composing.masks import Demands
from agents.composing.ranking import choose
from agents.composing.search import SearchResult
from envs.music.score import Score
from pretrained.corpora.edit_distance import edit_distances
from rewards.sum import RewardSum

TRIES = 8  # times as many pieces as candidates that are drawn for a step
NOISE = 0.1  # spread of the points of a step; each further try has more


def pieces_at_points(
    given: Points,
    page: Score,
    demands: Demands,
    reward: RewardSum,
    n: int,
    candidates: int,
    seed: int = 0,
    temperature: float = 1.0,
) -> SearchResult:
    """Return the `n` melodies that are asked of a latent model; all of them meet the demands.

    Variations come best first; melodies between two themes in their order.

    Args:
        given: a `Variation` or a `Between`.
        page: an unfinished score of one piece.
        demands: cellwise terms by name, possibly none.
        reward: says what is best.
        n: number of melodies.
        candidates: pieces drawn for each melody.
        seed: of the draws.
        temperature: of the draws, above 0.

    Raises:
        ValueError: the model does not know such pieces, there are none at the distance that is
            asked for, or too few keep the demands.
    """
    numbers = page, demands, reward, n, candidates, seed, temperature
    if isinstance(given, Variation):
        return variations(given, *numbers)
    if isinstance(given, Between):
        return between(given, *numbers)
    raise TypeError(f"given={type(given).__name__}: expected a Variation or a Between")


def variations(
    given: Variation,
    page: Score,
    demands: Demands,
    reward: RewardSum,
    n: int,
    candidates: int,
    seed: int = 0,
    temperature: float = 1.0,
) -> SearchResult:
    """Return `n` variations of a theme, best first, see `pieces_at_points`."""
    theme = theme_score(given.piece, page.task)
    neighbours = Neighbours(given.model(page.task), theme, given.distance)
    found = fill_kept(neighbours, page, demands, n * candidates, seed, temperature)
    result = choose(found, page, reward, n, copies=True)
    names, asked = (given.source,), given.distance
    far = [Apart(names, (d,), asked) for d in neighbours.distances(result.score.tokens).tolist()]
    return replace(result, movements=tuple(far))


def between(
    given: Between,
    page: Score,
    demands: Demands,
    reward: RewardSum,
    n: int,
    candidates: int,
    seed: int = 0,
    temperature: float = 1.0,
) -> SearchResult:
    """Return `n` melodies from one theme to the other, in their order, see `pieces_at_points`.

    Each is what is decoded greedily if it keeps the demands; else the nearest to it of the pieces
    drawn around its point that keep them.
    """
    model, meter = given.model(page.task), ComputeMeter()
    one, two = (model.encode(piece.score) for piece, _ in given.themes)
    rng, task = torch.Generator().manual_seed(seed), page.task
    chosen = []
    for step, z in enumerate(way(one, two, n), 1):
        found = Kept()
        plain = model.decode(z[None], page, rng, 0.0)
        pieces, kept = plain, good_pieces(plain, demands, found)
        for again in range(TRIES):
            if kept.any():
                break
            noise = torch.randn(candidates, len(z), generator=rng) * NOISE * (again + 1)
            pieces = model.decode(z + noise, page, rng, temperature)
            kept = good_pieces(pieces, demands, found)
            found.begun += candidates
            meter.tokens += candidates * task.steps
        if not kept.any():
            raise ValueError(
                f"step {step} of {n} between {given.source} and {given.other}: {found}; leave a "
                "demand out, or ask for more `candidates`"
            )
        good = pieces.tokens[kept]
        away = edit_distances(good, np.repeat(plain.tokens, len(good), axis=0))
        chosen.append(good[away.argmin()])
        meter.tokens += task.steps
    score = Score(np.stack(chosen), task)
    themes = [theme_score(piece, task).tokens for piece, _ in given.themes]
    far = [edit_distances(score.tokens, np.repeat(theme, n, axis=0)) for theme in themes]
    names = given.source, given.other
    moves = tuple(Apart(names, pair) for pair in zip(*(d.tolist() for d in far), strict=True))
    return SearchResult(score, meter.returns(reward, score), meter.read(), moves)


def way(one: Tensor, two: Tensor, n: int) -> Tensor:
    """Return `n` points (n, Z) on the way from one point (1, Z) to another, without the ends.

    They lie at equal parts of a straight line.
    """
    share = torch.linspace(0, 1, n + 2)[1:-1, None]
    return (1 - share) * one + share * two
