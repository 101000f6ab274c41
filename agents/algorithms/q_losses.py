"""Targets, losses and gradient clipping of Q-learning on whole pieces."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from envs.music.tape import Array


def in_writing_order(cells: Array) -> Array:
    """Return values (B, V, T) of cells as (B, T * V), in writing order."""
    return cells.transpose(0, 2, 1).reshape(len(cells), -1)


def bootstrapped(rewards: Tensor, values: Tensor, gamma: float) -> Tensor:
    """Return the targets y_t = r_t + gamma V_{t+1}, without V at a piece's last step.

    Args:
        rewards: (B, steps, ...) of each step.
        values: (B, steps, ...) of the state before each step.
        gamma: discount.
    """
    after = torch.zeros_like(values)
    after[:, :-1] = values[:, 1:]
    return rewards + gamma * after


def quantile_huber_loss(quantiles: Tensor, targets: Tensor) -> Tensor:
    """Return the Huber loss of width 1 of quantile regression, summed over quantiles, a scalar.

    Dabney et al. (2018), equation 10: the error of each quantile against each target has the
    weight `abs(tau_i - 1(error < 0))` at the midpoints tau_i, like in sb3-contrib's function of
    this name.

    Args:
        quantiles: (N, n) predicted quantiles.
        targets: (N, m) samples of the target's distribution.
    """
    n = quantiles.shape[1]
    midpoints = (torch.arange(n, device=quantiles.device) + 0.5)[:, None] / n
    error = targets[:, None, :] - quantiles[:, :, None]
    size = error.abs()
    huber = torch.where(size > 1, size - 0.5, 0.5 * error**2)
    weight = (midpoints - (error.detach() < 0).float()).abs()
    return (weight * huber).mean(dim=2).sum(dim=1).mean()


def clip_each(weights: Iterable[torch.nn.Parameter], norm: float) -> None:
    """Clip the gradient of each weight to the L2 norm `norm`, as RL Tuner does."""
    for weight in weights:
        torch.nn.utils.clip_grad_norm_(weight, norm)


def of_actions(values: Tensor, actions: Tensor) -> Tensor:
    """Return the values (B, steps, n) of actions (B, steps) in values (B, steps, vocab, n)."""
    index = actions[..., None, None].expand(-1, -1, 1, values.shape[3])
    return values.gather(2, index)[:, :, 0]
