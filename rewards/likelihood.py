"""The prior as a reward term: how likely is each token under a pretrained network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array

if TYPE_CHECKING:
    from envs.music.task import Task
    from pretrained.prior import Prior


class Likelihood:
    """log p of each token under a prior, in nats; a reward function.

    Args:
        checkpoint: name or path of a checkpoint, as `pretrained.load` takes it, with '+memory'
            behind it for a prior that remembers the piece; or a prior.
        floor: nats below which a token is no worse. What the grammar forbids has no likelihood
            at all, and one such token must not outweigh everything else.

    Raises:
        FileNotFoundError, ValueError: the checkpoint cannot be loaded.
    """

    cellwise = True
    source = "Jaques et al. (2017): log p(a|s) under the Note RNN"

    def __init__(self, *, checkpoint: str | Prior = "folk", floor: float = -20.0) -> None:
        self.floor = floor
        self.name = checkpoint if isinstance(checkpoint, str) else ""
        if isinstance(checkpoint, str):
            from pretrained.checkpoint import load_once

            self.prior: Prior = load_once(checkpoint)
        else:
            self.prior = checkpoint

    def require(self, task: Task) -> None:
        """Raise ValueError unless the prior can read pieces of this task."""
        self._on(task).require(task)

    def _on(self, task: Task) -> Prior:
        """Return the prior, or one that asks it on the task's grid."""
        from pretrained.networks.regrid import on_grid

        return on_grid(self.prior, task)

    def __call__(self, score: Score) -> Array:
        """Nats (B, V, T); at the newest cell only, (B, 1, 1)."""
        if score.finished and score.is_whole:
            nats = self._on(score.task).log_prob(score)
        else:
            (nats,) = score.scan_all(self._step, self._start)
        return np.maximum(nats, np.float32(self.floor))

    def _start(self, score: Score) -> tuple[Any, ...]:
        return (self._on(score.task).start(score.task, score.batch),)

    def _step(self, state: tuple[Any, ...], here: Score) -> tuple[tuple[Any, ...], Any]:
        import torch

        logits, after = self._on(here.task).step(state[0], here.before)
        token = torch.from_numpy(here.tokens[:, 0, 0].astype(np.int64))
        nats = logits.log_softmax(dim=-1).gather(1, token[:, None])[:, 0]
        return (after,), (nats.numpy()[:, None, None],)


class Surprise:
    """The mean surprise of a piece under a prior, in nats per token: a trait, not a likelihood.

    It is no log p of the objective, so c divides it as it does every rule.

    Args:
        checkpoint: as `Likelihood` takes it.

    Raises:
        FileNotFoundError, ValueError: the checkpoint cannot be loaded.
    """

    cellwise = True
    source = "Pearce (2005): information content, -log p under a model of melody"

    def __init__(self, *, checkpoint: str | Prior = "folk") -> None:
        self.likelihood = Likelihood(checkpoint=checkpoint)
        self.require = self.likelihood.require

    def __call__(self, score: Score) -> Array:
        """Return -log p (B, V, T) divided by the number of free cells; (B, 1, 1) at the newest."""
        return self.likelihood(score) / np.float32(-max(1, int(score.task.free.sum())))
