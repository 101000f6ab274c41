"""Pieces drawn from a prior or an agent, and their log-probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from agents.settings.config import TrainConfig
    from envs.music.score import Score
    from envs.music.task import Task
    from pretrained.prior import Prior
    from rewards.sum import RewardSum

    Array = npt.NDArray[np.float32]

BATCH = 1000  # pieces sampled at once


def sample_many(
    prior: Prior,
    task: Task,
    n: int,
    seed: int,
    temperature: float = 1.0,
    mask: RewardSum | None = None,
) -> Score:
    """`n` pieces drawn in portions; the same seed gives the same pieces.

    With a mask its rules are kept, as by a policy that learned behind it.
    """
    import numpy as np
    import torch

    from agents.composing.search import masked
    from envs.music.score import Score
    from pretrained.prior import sample

    if mask is not None:
        found = [
            masked(prior, Score.page(task, min(BATCH, n - done)), mask, seed + done, temperature)
            for done in range(0, n, BATCH)
        ]
        return Score(np.concatenate([each.score.tokens for each in found]), task)

    torch_rng = torch.Generator().manual_seed(seed)
    parts = [
        sample(prior, Score.page(task, min(BATCH, n - done)), torch_rng, temperature).tokens
        for done in range(0, n, BATCH)
    ]
    return Score(np.concatenate(parts), task)


def log_policy(agent: Prior, score: Score, mask: RewardSum | None = None) -> Array:
    """log pi in nats (B, V, T) of finished pieces, behind a mask if there is one."""
    import numpy as np

    from agents.composing.search import masked_nats

    if mask is None:
        return agent.log_prob(score)
    return np.concatenate([masked_nats(agent, part, mask) for part in score.chunks(BATCH)])


def objective(
    agent: Prior,
    score: Score,
    reward: RewardSum,
    config: TrainConfig,
    mask: RewardSum | None = None,
) -> float:
    """Return the objective of a run on pieces its agent drew: nats a piece, last weights.

    The mean of rules / c + (weight of the prior) log p - (last weight of the entropy) log pi.
    """
    from rewards.objective import Objective

    paid = Objective(reward, config.c).scaled(score).sum(axis=(1, 2))
    own = log_policy(agent, score, mask).sum(axis=(1, 2))
    return float((paid - config.last_entropy * own).mean())
