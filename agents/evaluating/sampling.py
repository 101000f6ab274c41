"""Pieces drawn from a prior or an agent, and their log-probabilities."""

from __future__ import annotations

import numpy as np
import torch

from agents.composing.compute import stepped_nats
from agents.composing.search import masked, masked_nats
from agents.settings.config import TrainConfig
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.prior import Prior, sample
from rewards.objective import Objective
from rewards.sum import RewardSum

BATCH = 1000  # pieces sampled at once


def sample_many(
    prior: Prior,
    task: Task,
    n: int,
    seed: int,
    temperature: float = 1.0,
    mask: RewardSum | None = None,
) -> Score:
    """Return `n` pieces, drawn in portions; equal seeds give equal pieces.

    With a mask its rules are kept, as by a policy that learned behind it.
    """
    generator, parts = torch.Generator().manual_seed(seed), []
    for done in range(0, n, BATCH):
        page = Score.page(task, min(BATCH, n - done))
        if mask is not None:
            parts.append(masked(prior, page, mask, seed + done, temperature).score)
        else:
            parts.append(sample(prior, page, generator, temperature))
    return Score(np.concatenate([part.tokens for part in parts]), task)


def log_policy(agent: Prior, score: Score, mask: RewardSum | None = None) -> Array:
    """Return log pi in nats (B, V, T) of finished pieces, behind a mask if there is one."""
    if mask is None:
        return agent.log_prob(score)
    return np.concatenate([masked_nats(agent, part, mask) for part in score.chunks(BATCH)])


def tempered_nats(network: Prior, score: Score, temperature: float) -> Array:
    """Return log-probabilities (B, V, T), in nats, of finished pieces drawn at a temperature."""

    def tempered(logits: torch.Tensor, page: Score) -> torch.Tensor:
        allowed = torch.from_numpy(page.allowed())
        return (logits / temperature).masked_fill(~allowed, -torch.inf)

    parts = [stepped_nats(network, part, tempered) for part in score.chunks(BATCH)]
    return np.concatenate(parts)


def objective(
    agent: Prior,
    score: Score,
    reward: RewardSum,
    config: TrainConfig,
    mask: RewardSum | None = None,
) -> float:
    """Return the objective of a run, in nats a piece with its last weights, on its agent's pieces.

    The mean of rules / c + (weight of the prior) log p - (last weight of the entropy) log pi.
    """
    paid = Objective(reward, config.c).scaled(score).sum(axis=(1, 2))
    own = log_policy(agent, score, mask).sum(axis=(1, 2))
    return float((paid - config.last_entropy * own).mean())
