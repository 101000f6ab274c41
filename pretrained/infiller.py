"""Infillers: models that fill the free cells of a page, in any order they like."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.prior import Prior


@runtime_checkable
class Infiller(Protocol):
    """A model that fills free cells around given ones; it may hear what follows them.

    `pretrained.infiller_check.check_infiller` tells whether it keeps what is promised here.
    """

    @property
    def codec(self) -> Codec:
        """The range and the grid of its own tokens; it may fill pages of other ranges too."""

    def require(self, task: Task) -> None:
        """Raise ValueError unless the model can fill pages of this task; says what it can fill."""

    def fill(
        self,
        page: Score,
        n: int = 1,
        seed: int | torch.Generator = 0,
        temperature: float = 1.0,
    ) -> Score:
        """Return `n` finished pieces; what is given or written stays, and the grammar is kept.

        Args:
            page: an unfinished score of one piece.
            n: number of pieces, at least 1.
            seed: of the draw; the same seed gives the same pieces.
            temperature: above 0; 1 draws from the model as it is.

        Raises:
            ValueError: a task that `require` refuses, a page of several pieces or without a free
                cell, or a number out of range.
        """


def only_fills(model: object) -> bool:
    """True if a model fills pages and writes none cell by cell, as a prior does."""
    return isinstance(model, Infiller) and not isinstance(model, Prior)
