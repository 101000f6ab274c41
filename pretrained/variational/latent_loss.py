"""Losses of a variational autoencoder: the rate, and InfoVAE's discrepancy."""

from __future__ import annotations

import torch
from torch import Tensor

ACTIVE = 0.1  # nats of KL above which a unit counts as used
COLLAPSED = 0.25  # share of the units; a posterior that uses fewer has collapsed


def rates(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(q || N(0, 1)) in nats (B, Z) of each unit, by the closed form."""
    nats: Tensor = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    return nats


def drawn(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return a point (B, Z) drawn from each posterior."""
    return mean + torch.randn_like(mean) * (log_variance / 2).exp()


def with_free_bits(rate: Tensor, free: float) -> Tensor:
    """Return the nats that count: of each unit's mean over the batch at least `free`, summed."""
    counted: Tensor = rate.mean(0).clamp(min=free).sum()
    return counted


def discrepancy(z: Tensor) -> Tensor:
    """Return the squared maximum mean discrepancy of points (B, Z) and a standard normal.

    The kernel of two points is exp(-d / 2Z), d being the square of their distance. What involves
    the normal distribution is integrated and not drawn, so that it is 0 on average for points of
    that distribution (Gretton et al. 2012; the use is that of Zhao, Song and Ermon 2017, InfoVAE).
    """
    n, d = z.shape
    apart = (z[:, None] - z[None]).square().sum(-1)
    among = (torch.exp(-apart / (2 * d)).sum() - n) / max(n * (n - 1), 1)
    one = (d / (d + 1)) ** (d / 2) * torch.exp(-z.square().sum(-1) / (2 * (d + 1)))
    both: float = (d / (d + 2)) ** (d / 2)
    found: Tensor = among - 2 * one.mean() + both
    return found


def active_units(rate: Tensor) -> int:
    """Return the number of units whose mean rate over pieces (N, Z) is above ACTIVE."""
    return int((rate.mean(0) > ACTIVE).sum())


def collapse(rate: Tensor) -> str:
    """Return words on a posterior that uses few of its units (N, Z), '' if it does not."""
    used, units = active_units(rate), rate.shape[1]
    if used >= COLLAPSED * units:
        return ""
    return (
        f"the posterior has collapsed: {used} of {units} units have more than {ACTIVE:g} nat; "
        "lower beta or beta_first, or set free_bits=.1 or mmd=10"
    )
