"""Priors: which music is likely, as log-probabilities of tokens given those written before them.

A new architecture is a file of its own and a line in `pretrained.networks.architectures`. It is a
`Trainable`. The shortest way to one is a subclass of `NetworkPrior`, see
`pretrained.networks.network_prior`: it adds `format`, `build`, `forward`, `begin`, `advance` and
`pick` to a network with a linear read-out. `pretrained.conformance.check_prior` tells whether it
keeps what is promised here.

Shapes: B pieces of V voices and T cells. Tokens are int64 from 0 up to, without it, the vocabulary
of the task, see `envs.music.codec.Codec`. Writing order is time by time and, at a time, voice by
voice: cell number n is voice n % V at time n // V. Logits and features are float32.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from envs.music.codec import UNWRITTEN, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.saved_model import Model

ILLEGAL = -1e9  # log-probability of what the grammar forbids; finite, so 0 * it stays a number


@runtime_checkable
class Scorer(Protocol):
    """A model that tells how likely finished pieces are; judges and the likelihood term ask it.

    Attributes:
        codec: the range and the grid of its own tokens; it may read tasks of other ranges too.
        one_line: optional, False where it is left out, see `hears_one_line`.
        any_grid: optional, False where it is left out, see `reads_any_grid`.
    """

    codec: Codec

    def require(self, task: Task) -> None:
        """Raise ValueError unless the model can read pieces of this task.

        Called once for each task, before any piece of it: by the loader of a checkpoint, by a
        training and by a composer.
        """

    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return nats (B, V, T) of each token given the cells written before it.

        Called with finished pieces: by rewards, metrics and explanations.

        Raises:
            ValueError: pieces that are not finished, or of a task that `require` refuses.
        """


@runtime_checkable
class Prior(Scorer, Protocol):
    """A model that writes: it hears every cell written so far, of all voices, in writing order.

    `sample` and every search of `agents.composing` call `start` once for a batch, then `step`
    once for each cell, and `take` where they drop, copy or reorder pieces. A state belongs to the
    prior alone; nobody else looks into it.
    """

    def start(self, task: Task, batch: int) -> Any:
        """Return the state before the first cell of `batch` pieces of a task.

        Raises:
            ValueError: a task that `require` refuses.
        """

    def step(self, state: Any, score: Score) -> tuple[Tensor, Any]:
        """Return logits (B, vocab of the task) of the next cell of a score, and the next state.

        Every cell written since the state is read, so that a state just started catches up with
        a primer. Tokens that the grammar forbids have ILLEGAL; cells given in advance have the
        logits of any other cell. The state passed in is left as it was.

        Raises:
            ValueError: the score has fewer cells than the state has read, or none to write.
        """

    def take(self, state: Any, rows: Tensor) -> Any:
        """Return the state of some pieces; `rows` (N,) int64 are their numbers and may repeat."""


@runtime_checkable
class Trainable(Model, Prior, Protocol):
    """An architecture: a prior whose network can be trained, saved, and act as a policy.

    Who calls what: `pretrained.checkpoint` writes `format`, `shape`, the codec and `net`'s weights,
    and loads them with `build`. `agents.learning.policy.PriorPolicy` acts with `begin` and
    `advance`, learns with `forward` and reads single observations with `forward_at`; its value is
    a linear read-out of the features. `NetworkPrior` makes the methods of a `Prior` of them, with
    `pick` for `take`. So a network must give equal logits in both ways: of whole pieces at once,
    and cell by cell.

    Tokens are those of the task, whose range and key are others than the network's:
    `pretrained.networks.lens.Lens` reads them as the network's own, moves the logits back, and
    tells each cell's place in the bar and the plan.

    Attributes:
        hears_ahead: True if it reads the cells that are given ahead of the one it is asked about,
            and takes `given` in `forward` and `page` in `advance`; others are never given them.
        net: of a `Model`; Q-learning needs a `net.head`, the `nn.Linear` that reads the logits from
            the features.
    """

    @property
    def hears_ahead(self) -> bool:
        """True if it reads the cells that are given ahead; False unless it says so."""
        return False

    @property
    def sight(self) -> Any:
        """The `Sight` it is told of, None for none, see `pretrained.networks.sighted`.

        With one, `forward`, `forward_at` and `advance` take `seen`.
        """
        return None

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number of features at a cell, from which a policy reads its value."""

    @abstractmethod
    def forward(
        self, pieces: Tensor, context: Tensor, bf16: bool = False, given: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits (B, V * T, vocab) and features (B, V * T, n_features) along whole pieces.

        In writing order, each cell given those before it; logits are not masked. Gradients flow.

        Args:
            pieces: (B, V, T) int64 tokens of the tasks.
            context: (B, len(CONTEXT)) float32 of any cell, see `envs.music.task.CONTEXT`; pieces of
                one batch may differ in key, range and plan.
            bf16: compute in bfloat16 where that is faster.
            given: (B, V, T) bool, cells given in advance, which all others before them may look
                at; left out where there are none, or where `hears_ahead` is False. What is said
                of a cell depends on those given behind it and on the tokens before it alone.
        """

    @abstractmethod
    def begin(self, context: Tensor, voices: int, cells: int) -> Any:
        """Return the state before the first cell of pieces of `cells` cells in each voice.

        Args:
            context: (B, len(CONTEXT)) of the first cell.
            voices: V.
            cells: T.
        """

    @abstractmethod
    def advance(
        self, state: Any, tokens: Tensor, page: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Any]:
        """Read `tokens` (B, n) of the next n cells in writing order; the state stays as it was.

        n is at least 1, but for the first call, which may read none.

        Args:
            state: of `begin` or `advance`.
            tokens: (B, n) int64.
            page: (B, V, T) int64, all that is written, these tokens too, or given, UNWRITTEN
                elsewhere; left out where nothing is given ahead, or `hears_ahead` is False.

        Returns:
            logits (B, vocab) and features (B, n_features) of the cell after them, and the state.

        Raises:
            IndexError: there is no cell after them, as they reach the end of the pieces.
        """

    @abstractmethod
    def pick(self, state: Any, rows: Tensor) -> Any:
        """Return a state of `begin` or `advance` for some pieces (N,) int64."""

    def forward_at(self, pages: Tensor, context: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, vocab) and features (B, n_features) at one cell of each page.

        Args:
            pages: (B, V, T) int64, UNWRITTEN where nothing is written or given.
            context: (B, len(CONTEXT)) as in `forward`.
            cell: (B,) number of the cell in writing order.
        """
        row, times = torch.arange(len(pages), device=pages.device), int(cell.max()) + 1
        number = torch.arange(pages[0].numel(), device=pages.device).reshape(-1, pages.shape[1]).t()
        given = (pages != UNWRITTEN) & (number > cell[:, None, None])
        if self.hears_ahead and given.any():
            logits, features = self.forward(pages.clamp(min=0), context, given=given)
        else:
            written = pages[..., : -(-times // pages.shape[1])].clamp(min=0)
            logits, features = self.forward(written, context)
        return logits[row, cell], features[row, cell]

    def log_probs(self, score: Score) -> Tensor:
        """Return nats (B, V * T, vocab) of every token along finished pieces, in writing order."""


def hears_one_line(prior: Scorer) -> bool:
    """True if a prior says, by `one_line`, that no voice hears another."""
    return bool(getattr(prior, "one_line", False))


def reads_any_grid(prior: Scorer) -> bool:
    """True if a prior says, by `any_grid`, that it reads tasks of every grid as they are."""
    return bool(getattr(prior, "any_grid", False))


def hears_ahead(prior: Scorer) -> bool:
    """True if a prior says, by `hears_ahead`, that it reads the cells that are given ahead."""
    return bool(getattr(prior, "hears_ahead", False))


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
