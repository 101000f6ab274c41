"""Models: what a checkpoint holds, priors and others."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

from torch import nn

from envs.music.codec import Codec
from envs.music.task import Task


class Model(Protocol):
    """A network that can be saved and loaded, see `pretrained.checkpoint`.

    It is of use as one or several of these: a `Prior` writes cell by cell, an `Infiller` fills
    the free cells of a page, a `Latent` knows pieces as points, a `Scorer` tells how likely they
    are.

    Attributes:
        format: its name in checkpoints, such as 'recurrent/1'.
        codec: the range and the grid of its own tokens; it may read tasks of other ranges too.
        net: what is trained and saved.
    """

    format: ClassVar[str]
    codec: Codec
    net: nn.Module

    @property
    @abstractmethod
    def shape(self) -> Mapping[str, Any]:
        """The sizes that `build` needs, in types that JSON has."""

    @classmethod
    @abstractmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a model with random weights, on the CPU.

        Args:
            shape: the property `shape` of the model that was saved, read from a file and not yet
                checked.
            codec: of the network's tokens.

        Raises:
            TypeError, ValueError: a shape that is none of this model's.
        """

    @abstractmethod
    def require(self, task: Task) -> None:
        """Raise ValueError unless the model can read pieces of this task; says what it can read."""
