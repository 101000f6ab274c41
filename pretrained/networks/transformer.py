"""The decoder-only Transformer over one line, fed as `networks.inputs` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pretrained.networks.attention import RECIPE, Attended, Blocks, BlockShape
from pretrained.networks.inputs import METRE, Past, PlacedNetwork, check_sizes
from pretrained.networks.per_voice import PerVoice


@dataclass(frozen=True)
class TransformerShape:
    """The sizes of the network.

    Attributes:
        vocab: number of tokens; one more input stands for "nothing yet".
        width: of the features and of the summed input embedding, a multiple of the heads.
        layers: blocks.
        heads: of each block.
        feed: units of each feed-forward layer.
        window: cells that a cell sees.
        lookback: bars looked back to: 1 up to a number, or those listed; 0 for a network without.
        places: how many of `inputs.PLACE` it sees: METRE of them, or all.
        ahead: units that read what is given ahead, see `networks.ahead`; 0 for a network without.
    """

    vocab: int = 38
    width: int = 128
    layers: int = 4
    heads: int = 4
    feed: int = 512
    window: int = 320
    lookback: int | tuple[int, ...] = 0
    places: int = METRE
    ahead: int = 0

    def __post_init__(self) -> None:
        sizes = {"vocab": (1, 4096), "width": (6, 4096), "layers": (1, 64), "heads": (1, 64)}
        sizes |= {"feed": (1, 2**14), "window": (1, 4096)}
        object.__setattr__(self, "lookback", check_sizes(self, sizes))
        if self.width % (2 * self.heads) or self.width < 6 * self.heads:
            raise ValueError(
                f"network width={self.width}: expected an even number for each of {self.heads} "
                "heads, at least 6"
            )


class TransformerNet(PlacedNetwork):
    """Embedding, blocks of attention and linear read-out.

    Args:
        shape: sizes.
        dropout: share of the outputs, and of the units in the blocks, dropped while training.
    """

    shape: TransformerShape

    def __init__(self, shape: TransformerShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.make_inputs(shape.width)
        size = shape.width // shape.heads
        block = BlockShape(shape.width, shape.heads, size, shape.feed, shape.window)
        self.blocks = Blocks(shape.layers, block, dropout)
        self.norm = nn.LayerNorm(shape.width)
        self.make_outputs(shape.width)
        self.dropout = nn.Dropout(dropout)

    def along(self, tokens: Tensor, place: Tensor, bf16: bool = False) -> Tensor:
        """Return features (B, T, width) of whole lines; the blocks may run in bfloat16."""
        x = self.inputs_along(tokens, place)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            x = self.blocks.along(x, place)
        features: Tensor = self.norm(x.float())
        return features

    def start(self, batch: int) -> tuple[Past, Attended]:
        """Return the state before the first cell."""
        return self.nothing_past(batch), self.blocks.start(batch, self.head.weight)

    def take(self, state: tuple[Past, Attended], rows: Tensor) -> tuple[Past, Attended]:
        """Return the state of some lines (N,)."""
        return state[0].take(rows), state[1].take(rows)

    def after(
        self, token: Tensor, place: Tensor, state: tuple[Past, Attended]
    ) -> tuple[Tensor, tuple[Past, Attended]]:
        """Read a token (B,); return features (B, width) of the cell behind it, and the state."""
        x, past = self.step_inputs(token, place, state[0])
        x, attended = self.blocks.after(x, place, state[1])
        return self.norm(x), (past, attended)


class TransformerPrior(PerVoice):
    """The Transformer as a prior; each voice is a line of its own to it."""

    format: ClassVar[str] = "transformer/1"
    net: TransformerNet
    network, sizes = TransformerNet, TransformerShape
    recipe: ClassVar[Mapping[str, Any]] = {
        **{"width": 128, "layers": 4, "heads": 4, "feed": 512, "lookback": (1, 2, 4, 8)},
        **{"window": 320, "ahead": 128},
        **RECIPE,
    }
