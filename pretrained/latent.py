"""Latents: models that know pieces as points of a space, near which similar pieces lie."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task


@runtime_checkable
class Latent(Protocol):
    """A model that makes a point `z` of a piece, and pieces of a point.

    Points that nothing is known of are drawn from a standard normal distribution.
    `pretrained.variational.latent_check.check_latent` tells whether it keeps what is promised here.
    """

    @property
    def codec(self) -> Codec:
        """The range and the grid of its own tokens; it may read tasks of other ranges too."""

    @property
    def n_latent(self) -> int:
        """The number of dimensions Z of its points."""

    def require(self, task: Task) -> None:
        """Raise ValueError unless the model can read pieces of this task; says what it can read."""

    def encode(self, score: Score) -> Tensor:
        """Return the points (B, Z) float32 of finished pieces, the means of their posteriors.

        Raises:
            ValueError: a task that `require` refuses, or pieces that are not finished.
        """

    def decode(
        self,
        z: Tensor,
        page: Score,
        seed: int | torch.Generator = 0,
        temperature: float = 1.0,
    ) -> Score:
        """Return a finished piece of each point; what is given or written on the page stays.

        Args:
            z: (B, Z) float32.
            page: an unfinished score of one piece.
            seed: of the draw; the same seed gives the same pieces.
            temperature: at least 0; 1 draws from the decoder as it is, 0 takes the likeliest token.

        Raises:
            ValueError: points of another number of dimensions or not finite, a task that `require`
                refuses, or a number out of range.
        """
