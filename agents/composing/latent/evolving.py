"""Search for points whose pieces a reward pays best, by the cross-entropy method.

Each piece that is wanted has a search of its own: a normal distribution of points, at first the
model's own, moves towards those of its draws that are paid best (Rubinstein and Kroese 2004; with a
diagonal covariance, as in the separable CMA-ES of Ros and Hansen 2008).
"""

from __future__ import annotations

import numpy as np
import torch

from agents.composing.compute import ComputeMeter
from agents.composing.search import SearchResult
from envs.music.score import Score
from pretrained.latent import Latent
from rewards.sum import RewardSum

ELITE = 0.25  # share of the draws towards which a distribution moves
SMOOTH = 0.7  # share of the new mean and spread in the next distribution
LEAST = 0.1  # least spread of a coordinate


def evolve(
    latent: Latent,
    page: Score,
    reward: RewardSum,
    n: int = 1,
    calls: int = 256,
    seed: int = 0,
    temperature: float = 0.0,
    *,
    population: int = 32,
) -> SearchResult:
    """Return `n` finished pieces, of each search the one that the reward pays best.

    Args:
        latent: decodes the points.
        page: an unfinished score of one piece.
        reward: says what is best.
        n: number of pieces, each of a search of its own.
        calls: pieces decoded for each, at least `population`; what does not fill one more
            population is left.
        seed: of the draws.
        temperature: of the decoder, from 0; 0 decodes each point in one way.
        population: points drawn from a distribution, at least 4.

    Raises:
        ValueError: a number out of range, or a page that the model cannot read.
    """
    if n < 1 or population < 4 or calls < population:
        raise ValueError(
            f"n={n}, calls={calls}, population={population}: expected n from 1, a population from "
            "4 and at least as many calls"
        )
    latent.require(page.task)
    meter, rng = ComputeMeter(), torch.Generator().manual_seed(seed)
    size, elite, rows = latent.n_latent, max(2, int(ELITE * population)), np.arange(n)
    mean, spread = torch.zeros(n, 1, size), torch.ones(n, 1, size)
    tokens, returns = np.zeros((n, *page.tokens.shape[1:]), np.int16), np.full(n, -np.inf)
    for _ in range(calls // population):
        z = mean + spread * torch.randn(n, population, size, generator=rng)
        pieces = latent.decode(z.flatten(0, 1), page, rng, temperature)
        meter.tokens += pieces.batch * page.task.steps
        paid = meter.returns(reward, pieces).reshape(n, population)
        best = paid.argmax(axis=1)
        better = paid[rows, best] > returns
        tokens[better] = pieces.tokens[rows * population + best][better]
        returns = np.maximum(returns, paid[rows, best])
        order = torch.from_numpy(np.argsort(-paid, axis=1, kind="stable")[:, :elite].copy())
        chosen = z.gather(1, order[..., None].expand(-1, -1, size))
        mean = torch.lerp(mean, chosen.mean(1, keepdim=True), SMOOTH)
        spread = torch.lerp(spread, chosen.std(1, keepdim=True), SMOOTH).clamp(min=LEAST)
    return SearchResult(Score(tokens, page.task), returns, meter.read())
