"""GDPO: a policy gradient on whole pieces in which each term is normalised before the sum.

Where a reward is summed first and normalised then, as in GRPO, a term of small spread is drowned by
one of large spread, and different pieces come to the same advantage. GDPO divides each term by its
own spread in a group, weighs and sums them, and normalises the sum over the rollout (Liu et al.
2026, "GDPO: Group reward-Decoupled Normalization Policy Optimization", arXiv 2601.05242).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from agents.algorithms.piece_gradient import PieceBuffer, group_advantages
from envs.music.tape import Array


def decoupled_advantages(
    returns: Mapping[str, Array], weights: Mapping[str, float], group_size: int
) -> Array:
    """Return the sum (N,) of the terms' advantages in standard deviations of the group, weighed.

    It has the spread of the plain sum of the returns, so that it is divided by c as that is.

    Args:
        returns: (N,) what pieces get from each term, weighted; pieces of a group side by side.
        weights: of the terms; a sign is in the returns already.
        group_size: pieces in a group.

    Raises:
        ValueError: as `group_advantages`.
    """
    parts = [
        abs(weights[name]) * group_advantages(paid, group_size, divide=True)
        for name, paid in returns.items()
    ]
    summed = np.sum(parts, axis=0)
    plain = group_advantages(np.sum(list(returns.values()), axis=0), group_size, divide=False)
    return np.asarray(summed * (plain.std() / (summed.std() + 1e-8)), np.float32)


class DecoupledBuffer(PieceBuffer):
    """A PieceBuffer in which the terms of the reward are normalised one by one.

    The KL to the prior, log p and -log pi, is no term: it is added after they are divided by c.
    """

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: Array) -> None:
        """Score the pieces and set their advantages and returns.

        Raises:
            RewardError: a reward term failed.
        """
        super().compute_returns_and_advantage(last_values, dones)
        objective = self.objective
        if objective is None or objective.rules is None:
            return
        terms = objective.rules.terms
        paid = {name: self.parts[name].sum(axis=(1, 2)) for name in terms}
        weights = {name: term.weight for name, term in terms.items()}
        size = self.group_size
        rules = sum(paid.values()) / objective.c
        beside = group_advantages(self.piece_returns() - rules, size, divide=False)
        advantages = decoupled_advantages(paid, weights, size) / objective.c + beside
        by_episode = advantages.reshape(self.episodes, self.n_envs)
        self.advantages = np.repeat(by_episode, self.steps, axis=0)
        self.returns = self.values + self.advantages
