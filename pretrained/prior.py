"""Priors: which music is likely, as log-probabilities of tokens given those written before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task

ILLEGAL = -1e9  # log-probability of what the grammar forbids; finite, so 0 * it stays a number


@runtime_checkable
class Scorer(Protocol):
    """A model that tells how likely finished pieces are."""

    codec: Codec

    def require(self, task: Task) -> None:
        """Raise ValueError unless the model can read pieces of this task."""
        ...

    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return nats (B, V, T) of each token given the cells written before it."""
        ...


@runtime_checkable
class Prior(Scorer, Protocol):
    """A model that writes: it hears every cell written so far, of all voices, in writing order."""

    def start(self, task: Task, batch: int) -> Any:
        """Return the state before the first cell of `batch` pieces of a task."""
        ...

    def step(self, state: Any, score: Score) -> tuple[Tensor, Any]:
        """Return logits (B, vocab of the task) of the next cell of a score, and the next state.

        Every cell written since the state is read, so that a state just started catches up with
        a primer. Tokens that the grammar forbids have ILLEGAL; cells given in advance have the
        logits of any other cell. The state passed in is left as it was.

        Raises:
            ValueError: the score has fewer cells than the state has read, or none to write.
        """
        ...

    def take(self, state: Any, rows: Tensor) -> Any:
        """Return the state of some pieces; `rows` (N,) are their numbers and may repeat."""
        ...


@runtime_checkable
class Trainable(Prior, Protocol):
    """An architecture: a prior whose network can be trained, saved, and act as a policy.

    `pretrained.networks.network_prior.NetworkPrior` gives the methods of a Prior in terms of
    `forward`, `begin`, `advance` and `pick`.

    Attributes:
        format: its name in checkpoints, such as 'recurrent/1'.
        net: what is trained and saved. Q-learning needs a `net.head`, the `nn.Linear` that reads
            the logits from the features.
    """

    format: ClassVar[str]

    @property
    def net(self) -> nn.Module:
        """The network."""
        ...

    @property
    def n_features(self) -> int:
        """Number of features at a cell, from which a policy reads its value."""
        ...

    @property
    def shape(self) -> Mapping[str, Any]:
        """The sizes that `build` needs, in types that JSON has."""
        ...

    @classmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a prior with random weights.

        Raises:
            TypeError, ValueError: a shape that is none of this architecture's.
        """
        ...

    def log_probs(self, score: Score) -> Tensor:
        """Return nats (B, V * T, vocab) of every token along finished pieces, in writing order."""
        ...

    def forward(self, pieces: Tensor, context: Tensor, bf16: bool = False) -> tuple[Tensor, Tensor]:
        """Return logits (B, V * T, vocab) and features (B, V * T, n_features) along whole pieces.

        In writing order, each cell given those before it; logits are not masked.

        Args:
            pieces: (B, V, T) int64 tokens of the tasks.
            context: (B, len(CONTEXT)) of any cell, see `envs.music.task.CONTEXT`.
            bf16: compute in bfloat16 where that is faster.
        """
        ...

    def forward_at(self, pages: Tensor, context: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, vocab) and features (B, n_features) at one cell of each page.

        Args:
            pages: (B, V, T) int64; any token stands where nothing is written.
            context: as in `forward`.
            cell: (B,) number of the cell in writing order.
        """
        ...

    def begin(self, context: Tensor, voices: int, cells: int) -> Any:
        """Return the state before the first cell of pieces of `cells` cells in each voice."""
        ...

    def advance(self, state: Any, tokens: Tensor) -> tuple[Tensor, Tensor, Any]:
        """Read `tokens` (B, n) of the next n cells in writing order.

        n is at least 1, but for the first call, which may read none.

        Returns:
            logits (B, vocab) and features (B, n_features) of the cell after them, and the state.
        """
        ...

    def pick(self, state: Any, rows: Tensor) -> Any:
        """Return a state of `begin` or `advance` for some pieces (N,)."""
        ...


def sample(
    prior: Prior, page: Score, seed: int | torch.Generator = 0, temperature: float = 1.0
) -> Score:
    """Fill a page by drawing from a prior, cell by cell; given cells keep their tokens.

    Args:
        prior: any prior.
        page: an unfinished score.
        seed: of the draw; the same seed gives the same pieces.
        temperature: above 0; 1 draws from the prior as it is.

    Raises:
        ValueError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: expected a number above 0")
    rng = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    score, state = page, prior.start(page.task, page.batch)
    while not score.finished:
        logits, state = prior.step(state, score)
        allowed = torch.from_numpy(score.allowed())
        scaled = (logits / temperature).masked_fill(~allowed, -torch.inf)
        score = score.write(draw(scaled, rng).numpy())
    return score


def draw(logits: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Draw one token (B,) from each row of logits (B, vocab), by the Gumbel-max trick."""
    noise = torch.empty_like(logits).exponential_(generator=rng)
    return (logits - noise.log()).argmax(dim=-1)
