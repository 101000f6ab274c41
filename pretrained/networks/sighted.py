"""A network that is also told what rules see of each token that may be written next.

Rules are not known here: a `Sight` gives numbers, and `rewards.sight.RuleSight` is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy.typing as npt
import torch
from torch import Tensor, nn

from envs.music.score import Score
from envs.music.task import Task

UNITS = 48  # of the layers that read a sight
FARTHEST = 5.0  # standard deviations at which a column is cut
SMALLEST = 1e-3  # standard deviation of a column


class SightError(ValueError):
    """A sight that cannot be had, or that sees other things than its network learned with."""


class Sight(Protocol):
    """Numbers for each token that may be written next.

    Attributes:
        width: columns of numbers, of which the first is 1 for a token that is allowed.
    """

    width: int

    @property
    def description(self) -> Mapping[str, Any]:
        """All that `rewards.sight.read` needs to make it again, in types that JSON has; no code."""

    def at(self, score: Score) -> npt.NDArray[Any]:
        """Return float32 (B, vocab, width): of each token in the next cell, 0 where forbidden."""

    def along(self, score: Score) -> npt.NDArray[Any]:
        """Return float32 (B, V * T, vocab, width) of all cells, in writing order."""

    def require(self, task: Task) -> None:
        """Raise ValueError unless pieces of this task can be seen."""


class SightedNet(nn.Module):
    """A network, and what turns the numbers of a sight into a change of its logits.

    Let x be the numbers of a token, m their mean over the tokens that are allowed, and f the
    network's features. The change is u relu(A [x, x - m] + B f) + w [x, x - m] + g(f, m) (x - m).
    u, w and the last layer of g begin with 0, and so does the change.

    Args:
        inner: the network.
        features: their number.
        width: columns of the sight.
    """

    def __init__(self, inner: nn.Module, features: int, width: int) -> None:
        super().__init__()
        self.inner = inner
        self.of_token = nn.Linear(2 * width, UNITS)
        self.of_features = nn.Linear(features, UNITS)
        self.out = nn.Linear(UNITS, 1, bias=False)
        self.straight = nn.Linear(2 * width, 1, bias=False)
        self.slopes = nn.Sequential(
            nn.Linear(features + width, UNITS), nn.ReLU(), nn.Linear(UNITS, width)
        )
        for layer in (self.out, self.straight, cast(nn.Linear, self.slopes[-1])):
            for weight in layer.parameters():
                nn.init.zeros_(weight)
        self.mean: Tensor
        self.spread: Tensor
        self.spread_at_once: Tensor
        for name in ("mean", "spread", "spread_at_once"):
            self.register_buffer(name, torch.ones(width))

    def fit_scale(self, seen: Sequence[Tensor]) -> None:
        """Set the scale of the columns by what is seen of the tokens, (N, vocab, width) each."""
        known = [part[_allowed(part)] for part in seen]
        apart = [(part - _mean(part)[:, None])[_allowed(part)] for part in seen]
        self.mean.copy_(torch.cat(known).mean(0))
        self.spread.copy_(torch.cat(known).std(0).clamp(min=SMALLEST))
        self.spread_at_once.copy_(torch.cat(apart).std(0).clamp(min=SMALLEST))

    def scaled(self, seen: Tensor) -> Tensor:
        """Return columns (..., width) in standard deviations from their means."""
        return ((seen - self.mean) / self.spread).clamp(-FARTHEST, FARTHEST)

    def change(self, features: Tensor, seen: Tensor) -> Tensor:
        """Return what is added to the logits, (..., vocab).

        Args:
            features: (..., n_features) of the inner network.
            seen: (..., vocab, width).
        """
        middle = _mean(seen)
        apart = ((seen - middle[..., None, :]) / self.spread_at_once).clamp(-FARTHEST, FARTHEST)
        apart = apart * _allowed(seen)[..., None]
        both = torch.cat([self.scaled(seen), apart], dim=-1)
        units = self.of_token(both) + self.of_features(features)[..., None, :]
        slopes = self.slopes(torch.cat([features, self.scaled(middle)], dim=-1))
        change: Tensor = self.out(units.relu()) + self.straight(both) + apart @ slopes[..., None]
        return change[..., 0]


def _allowed(seen: Tensor) -> Tensor:
    """Return True (...) for the tokens (..., width) that are seen at all."""
    return seen[..., 0] > 0


def _mean(seen: Tensor) -> Tensor:
    """Return the mean (..., width) over the tokens (..., vocab, width) that are allowed."""
    mask = _allowed(seen)[..., None]
    return (seen * mask).sum(-2) / mask.sum(-2).clamp(min=1)
