"""An LSTM with causal attention over its outputs: it begins as the LSTM and learns to look back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from pretrained.networks.attention import RECIPE, Attended, Blocks, BlockShape
from pretrained.networks.inputs import check_sizes
from pretrained.networks.per_voice import PerVoice
from pretrained.networks.recurrent import Hidden, NetShape, RecurrentNet, RecurrentPrior


class AttentiveState(NamedTuple):
    """State between two cells."""

    hidden: Hidden
    attended: Attended


@dataclass(frozen=True)
class AttentiveShape(NetShape):
    """The sizes of the network: those of an LSTM, and of the blocks over it.

    Attributes:
        blocks: of attention.
        heads: of each block.
        head_size: of each head.
        feed: units of each feed-forward layer.
        window: cells that a cell sees.
    """

    blocks: int = 1
    heads: int = 4
    head_size: int = 32
    feed: int = 256
    window: int = 320

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = {"blocks": (1, 16), "heads": (1, 64), "head_size": (6, 512)}
        sizes |= {"feed": (1, 2**14), "window": (1, 4096)}
        check_sizes(self, sizes)
        if self.head_size % 2:
            raise ValueError(f"network head_size={self.head_size}: expected an even number")


class AttentiveNet(RecurrentNet):
    """An LSTM, blocks of attention over its outputs, and a linear read-out.

    Args:
        shape: sizes.
        dropout: share of the inputs, the outputs and the units in the blocks that are dropped
            while training.
    """

    shape: AttentiveShape

    def __init__(self, shape: AttentiveShape, dropout: float = 0.0) -> None:
        super().__init__(shape, dropout)
        sizes = shape.heads, shape.head_size, shape.feed, shape.window
        block = BlockShape(shape.hidden, *sizes)
        self.blocks = Blocks(shape.blocks, block, dropout)

    @classmethod
    def over(cls, net: RecurrentNet, dropout: float = 0.0, **sizes: int) -> AttentiveNet:
        """Return an LSTM with attention that gives the probabilities of an LSTM.

        Args:
            net: the LSTM, which is copied.
            dropout: as of the class.
            sizes: of the blocks.
        """
        new = cls(AttentiveShape(**asdict(net.shape), **sizes), dropout)
        new.load_state_dict(net.state_dict(), strict=False)
        return new

    def along(self, tokens: Tensor, place: Tensor, bf16: bool = False) -> Tensor:
        """Return features (B, T, hidden) of whole lines; all may be computed in bfloat16."""
        x = super().along(tokens, place, bf16)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            x = self.blocks.along(x, place)
        return x.float()

    def start(self, batch: int) -> Any:
        """Return the AttentiveState before the first cell."""
        attended = self.blocks.start(batch, self.head.weight)
        return AttentiveState(super().start(batch), attended)

    def take(self, state: Any, rows: Tensor) -> Any:
        """Return the AttentiveState of some lines (N,)."""
        return AttentiveState(super().take(state.hidden, rows), state.attended.take(rows))

    def after(self, token: Tensor, place: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read a token (B,); return features (B, hidden) of the cell behind it, and the state."""
        x, hidden = super().after(token, place, state.hidden)
        x, attended = self.blocks.after(x, place, state.attended)
        return x, AttentiveState(hidden, attended)


class AttentivePrior(PerVoice):
    """The LSTM with attention as a prior; each voice is a line of its own to it."""

    format: ClassVar[str] = "lstm-attention/1"
    net: AttentiveNet
    network, sizes = AttentiveNet, AttentiveShape
    recipe: ClassVar[Mapping[str, Any]] = {
        **{"hidden": 256, "layers": 1, "embed": 128, "lookback": (1, 2, 4, 8)},
        **{"blocks": 1, "heads": 4, "head_size": 32, "feed": 256, "window": 320, "ahead": 128},
        **RECIPE,
    }

    @classmethod
    def over(cls, prior: RecurrentPrior) -> Self:
        """Return a prior that gives the probabilities of an LSTM, whose attention may learn."""
        return cls(AttentiveNet.over(prior.net), prior.codec)
