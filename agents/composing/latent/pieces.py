"""Melodies that a request asks of a latent model: near a theme, or between two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from agents.composing.compute import ComputeMeter
from agents.composing.demands import Kept
from agents.composing.infilling.filling import fill_kept, meeting
from agents.composing.latent.points import Apart, Between, Points, Variation, theme_score
from agents.composing.latent.varying import Neighbours
from agents.composing.masks import Demands
from agents.composing.ranking import choose
from agents.composing.search import SearchResult
from envs.music.score import Score
from envs.music.tape import Array
from pretrained.corpora.edit_distance import edit_distances
from rewards.sum import RewardSum

AROUND = 16  # times as many points as candidates that are tried for a step
TRIES = 8  # rounds of them, until one keeps the demands
NOISE = 0.35  # spread of the points of a step, that of a posterior; each further round has more


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
    found.compute = replace(found.compute, tokens=neighbours.cells)
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

    Each is the best of what is decoded greedily at its point and around it that keeps the demands
    and is no nearer to the first end, and no farther from the last, than the melody before it.
    None is a copy of one before unless nothing else keeps the demands.
    """
    model, meter = given.model(page.task), ComputeMeter()
    rng, task = torch.Generator().manual_seed(seed), page.task
    themes = [theme_score(piece, task) for piece, _ in given.themes]  # in the octave of the page
    one, two = map(model.encode, themes)
    meter.tokens += 4 * task.steps  # both themes, read and written
    ends = [model.decode(z, page, rng, 0.0).tokens for z in (one, two)]
    chosen, before = list[Array](), np.array([0.0, 1.0])
    for step, z in enumerate(way(one, two, n), 1):
        found = Kept()
        for again in range(TRIES):
            noise = torch.randn(AROUND * candidates, len(z), generator=rng) * NOISE * (again + 1)
            noise[0] = 0.0  # the point itself
            pieces = model.decode(z + noise, page, rng, temperature * bool(again))
            meter.tokens += pieces.batch * task.steps
            kept = meeting(pieces, demands, found) & pieces.onset.any(axis=(1, 2))
            found.begun += pieces.batch
            if kept.any():
                break
        else:
            raise ValueError(
                f"step {step} of {n} between {given.source} and {given.other}: {found}; leave a "
                "demand out, or ask for more `candidates`"
            )
        good = pieces.take(np.flatnonzero(kept))
        far = np.stack([_distances(good.tokens, end) for end in ends], axis=1)
        late = np.maximum(before[0] - far[:, 0], 0) + np.maximum(far[:, 1] - before[1], 0)
        late += [any((piece == other).all() for other in chosen) for piece in good.tokens]
        paid = meter.returns(reward, good)
        best = np.lexsort((-paid, late))[0]  # in order, then the best paid
        chosen.append(good.tokens[best])
        before = far[best]
    score = Score(np.stack(chosen), task)
    apart = [_distances(score.tokens, theme.tokens) for theme in themes]
    pairs = zip(*(far.tolist() for far in apart), strict=True)
    moves = tuple(Apart((given.source, given.other), pair) for pair in pairs)
    return SearchResult(score, meter.returns(reward, score), meter.read(), moves)


def _distances(tokens: Array, one: Array) -> Array:
    """Return the distances (N,) of pieces (N, 1, T) from one (1, 1, T)."""
    return edit_distances(tokens, np.repeat(one, len(tokens), axis=0))


def way(one: Tensor, two: Tensor, n: int) -> Tensor:
    """Return `n` points (n, Z) on the way from one point (1, Z) to another, without the ends.

    They lie at equal parts of a straight line.
    """
    share = torch.linspace(0, 1, n + 2)[1:-1, None]
    return (1 - share) * one + share * two
