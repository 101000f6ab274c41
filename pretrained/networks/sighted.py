"""A network that is also told what rules see of each token that may be written next.

Rules are not known here: a `Sight` gives numbers, and `rewards.sight.RuleSight` is one.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self, cast

import numpy.typing as npt
import torch
from torch import Tensor, nn

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.networks.network_prior import NetworkPrior, device_of
from pretrained.prior import Trainable, hears_one_line, sample

READER = "rewards.sight"  # whose `read` makes a sight of its description
UNITS = 48  # of the layers that read a sight
PIECES = 32  # of the prior, by which the columns are scaled
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
        """All that `READER` needs to make it again, in types that JSON has; no code."""

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


class SightedPrior(NetworkPrior):
    """A prior whose network is told what a sight sees; it begins with the inner prior's logits.

    `forward`, `forward_at` and `advance` take `seen`, which a policy has from its observations.
    Its features are those of the inner network.

    Args:
        inner: prior of any other architecture.
        sight: the numbers.
    """

    format: ClassVar[str] = "sighted/1"
    net: SightedNet  # type: ignore[assignment]
    most_cells = 8192  # what is seen of them takes memory

    def __init__(self, inner: Trainable, sight: Sight) -> None:
        if isinstance(inner, SightedPrior):
            raise SightError("expected a prior without sight, got one that has it already")
        self.inner, self._sight, self.codec = inner, sight, inner.codec
        net = SightedNet(inner.net, inner.n_features, sight.width)
        self.net = net.eval().requires_grad_(False)

    @classmethod
    def over(cls, inner: Trainable, sight: Sight, tasks: Sequence[Task]) -> Self:
        """Return a prior of an inner prior's probabilities, scaled by its pieces of some tasks."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            new = cls(copy.deepcopy(inner), sight)
        seen = []
        for number, task in enumerate(tasks):
            score = sample(inner, Score.page(task, PIECES), number)
            seen.append(torch.from_numpy(sight.along(score)).flatten(0, 1))
        new.net.fit_scale(seen)
        return new

    @property
    def sight(self) -> Sight:
        """The numbers that it is told."""
        return self._sight

    @property
    def one_line(self) -> bool:
        """True if the inner prior hears one line at a time."""
        return hears_one_line(self.inner)

    @property
    def hears_ahead(self) -> bool:
        """True if the inner prior reads the cells that are given ahead."""
        return self.inner.hears_ahead

    @property
    def n_features(self) -> int:
        """Number of features at a cell."""
        return self.inner.n_features

    @property
    def shape(self) -> Mapping[str, Any]:
        """Format and shape of the inner network, and the description of the sight."""
        inner = [self.inner.format, dict(self.inner.shape)]
        return {"inner": inner, "sight": dict(self._sight.description)}

    @classmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a prior with random weights; rules of its sight are never imported by their names.

        Raises:
            SightError: a rule that neither ships nor was made known, or that has changed.
        """
        from pretrained.networks.architectures import architecture

        name, sizes = shape["inner"]
        sight = importlib.import_module(READER).read(shape["sight"])
        return cls(architecture(name).build(sizes, codec), sight)

    def require(self, task: Task) -> None:
        """Raise ValueError unless network and sight can read pieces of this task."""
        self.inner.require(task)
        self._sight.require(task)

    # -- reading ---------------------------------------------------------------------------------

    def _told(self, logits: Tensor, features: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        if seen is None:
            raise ValueError(
                "this network was trained with what rules see of each token; expected `seen` "
                "beside the pieces, as its policy's observations have it"
            )
        return logits + self.net.change(features, seen.float()), features

    def forward(
        self,
        pieces: Tensor,
        context: Tensor,
        bf16: bool = False,
        given: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, V * T, ...); `seen` is (B, V * T, vocab, width)."""
        known = {} if given is None else {"given": given}
        return self._told(*self.inner.forward(pieces, context, bf16, **known), seen)

    def forward_at(
        self, pages: Tensor, context: Tensor, cell: Tensor, seen: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, ...) at one cell; `seen` is (B, vocab, width)."""
        return self._told(*self.inner.forward_at(pages, context, cell), seen)

    def begin(self, context: Tensor, voices: int, cells: int) -> Any:
        """Return the state before the first cell."""
        return self.inner.begin(context, voices, cells)

    def advance(
        self,
        state: Any,
        tokens: Tensor,
        page: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Any]:
        """Read tokens (B, n); `seen` (B, vocab, width) is of the cell after them."""
        known = {} if page is None else {"page": page}
        logits, features, state = self.inner.advance(state, tokens, **known)
        return *self._told(logits, features, seen), state

    def pick(self, state: Any, rows: Tensor) -> Any:
        """Return the state of some pieces (N,)."""
        return self.inner.pick(state, rows)

    def _seen_at(self, score: Score) -> dict[str, Tensor]:
        return {"seen": torch.from_numpy(self._sight.at(score)).to(device_of(self))}

    def _seen_along(self, score: Score) -> dict[str, Tensor]:
        return {"seen": torch.from_numpy(self._sight.along(score)).to(device_of(self))}
