"""How likely a piece is to a model that fills cells in any order, as a reward term.

python -m agents.compose --method best-of-n --reward diffusion=1 common_practice=1
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array

if TYPE_CHECKING:
    from envs.music.task import Task
    from pretrained.prior import Scorer


class AnyOrderLikelihood:
    """Nats of a whole piece under a model that tells how likely finished pieces are.

    One number per piece, at its end: such a model reads no piece in the making. For masked
    diffusion it is an any-order bound, see `pretrained.diffusion.MaskedDiffusion.log_prob`.

    Args:
        checkpoint: name or path of a checkpoint, or a model.
        floor: nats of a token below which it is no worse.

    Raises:
        FileNotFoundError, ValueError: the checkpoint cannot be loaded, or does not tell it.
    """

    source = "Hoogeboom et al. (2022): order-agnostic bound on log p"

    def __init__(self, *, checkpoint: str | Scorer = "diffusion", floor: float = -20.0) -> None:
        self.floor = floor
        if isinstance(checkpoint, str):
            from pretrained.checkpoint import load_scorer

            self.model: Scorer = load_scorer(checkpoint)
        else:
            self.model = checkpoint

    def require(self, task: Task) -> None:
        """Raise ValueError unless the model can read pieces of this task."""
        self.model.require(task)

    def __call__(self, score: Score) -> Array:
        """Return nats (B,) of finished pieces."""
        nats = np.maximum(self.model.log_prob(score), np.float32(self.floor))
        return np.asarray(nats.sum(axis=(1, 2)))
