"""The sizes of a network of voices, what it remembers, and what it hears ahead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

from torch import Tensor

from envs.music.codec import FIRST_PITCH
from pretrained.networks.ahead import Heard
from pretrained.networks.attention import Attended
from pretrained.networks.singing.sung import Coming


@dataclass(frozen=True)
class VoicesShape:
    """The sizes of the network.

    Attributes:
        vocab: number of tokens.
        hidden: units of each recurrent layer.
        layers: recurrent layers.
        embed: size of what is told of a frame.
        blocks: of attention over frames.
        heads: of each block.
        head_size: of each head; even.
        feed: units of each block's feed-forward layer.
        window: frames that a frame sees.
        units: of the read-out of a cell.
        ahead: units that read what is given ahead in the cell's own voice.
        coming: onsets of each other voice that a cell is told of where they are given ahead.
        compass: 1 if it is told of the highest and lowest note of its own voice so far, and has
            logits by the distance from them and from the other voices; else 0.
        depth: layers of the read-out.
    """

    vocab: int = 60
    hidden: int = 256
    layers: int = 1
    embed: int = 128
    blocks: int = 1
    heads: int = 4
    head_size: int = 32
    feed: int = 256
    window: int = 320
    units: int = 192
    ahead: int = 64
    coming: int = 1
    compass: int = 0
    depth: int = 1

    def __post_init__(self) -> None:
        limits = {"layers": 16, "blocks": 16, "heads": 64, "head_size": 512, "window": 4096}
        limits |= {"coming": 64, "compass": 1, "depth": 16}
        least = {"vocab": FIRST_PITCH + 12, "head_size": 6, "compass": 0}
        for name, value in asdict(self).items():
            low, high = least.get(name, 1), limits.get(name, 8192)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"network {name}={value!r}: expected a whole number {low}..{high}")
        if self.head_size % 2:
            raise ValueError(f"network head_size={self.head_size}: expected an even number")


class FrameMemory(NamedTuple):
    """State of the network at a frame, and the frame's features (B, hidden)."""

    h: Tensor
    c: Tensor
    attended: Attended
    features: Tensor

    def take(self, rows: Tensor) -> FrameMemory:
        """Return that of some pieces (N,)."""
        attended = self.attended.take(rows)
        return FrameMemory(self.h[:, rows], self.c[:, rows], attended, self.features[rows])


class HeardAhead(NamedTuple):
    """Rows of what is given ahead of a cell: in all voices (B, V, n), and in its own (B, 1)."""

    coming: Coming
    own: Heard
