"""Priors: what music is likely, as log-probabilities of tokens given those before them."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task

ILLEGAL = -1e9  # log-probability of what the grammar forbids; finite, so 0 * it stays a number


@runtime_checkable
class Prior(Protocol):
    """A model of what is likely."""

    codec: Codec

    def require(self, task: Task) -> None:
        """Raise ValueError unless the prior can read pieces of this task."""
        ...

    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Nats (B, V, T) of each token given those before it in its voice, teacher-forced."""
        ...


class AutoregressivePrior(Prior, Protocol):
    """A prior that can also be asked token by token."""

    def start(self, task: Task, batch: int) -> Any:
        """The state before the first cell of one voice of `batch` pieces."""
        ...

    def step(self, token: Tensor | None, state: Any) -> tuple[Tensor, Any]:
        """Logits (B, vocab) of the next token, after `token` (B,), None at the first cell."""
        ...


def sample(
    prior: AutoregressivePrior,
    page: Score,
    seed: int | torch.Generator = 0,
    temperature: float = 1.0,
) -> Score:
    """Fill a page by drawing from a prior, cell by cell; given cells keep their tokens.

    Args:
        prior: any autoregressive prior.
        page: an unfinished score.
        seed: of the draw; the same seed gives the same pieces.
        temperature: above 0; 1 draws from the prior as it is.

    Raises:
        ValueError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: expected a number above 0")
    rng = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    task, score = page.task, page
    states = [prior.start(task, page.batch) for _ in range(task.voices)]
    last: list[Tensor | None] = [None] * task.voices
    tokens = page.tokens
    for cell in range(task.steps):
        time, voice = divmod(cell, task.voices)
        logits, states[voice] = prior.step(last[voice], states[voice])
        if cell < page.n_written:
            token = torch.from_numpy(tokens[:, voice, time].astype(np.int64))
        else:
            allowed = torch.from_numpy(score.allowed())
            scaled = (logits / temperature).masked_fill(~allowed, -torch.inf)
            token = draw(scaled, rng)
            score = score.write(token.numpy())
        last[voice] = token
    return score


def draw(logits: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """One token (B,) from each row of logits (B, vocab): the Gumbel-max trick."""
    noise = torch.empty_like(logits).exponential_(generator=rng)
    return (logits - noise.log()).argmax(dim=-1)
