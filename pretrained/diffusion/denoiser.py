"""The denoiser: a network that reads pieces with masked cells and tells what stands in each cell.

The input at a cell is its token or the mask, its place in the bar and in the plan, the tokens at
the same place 1, 2, 4 and 8 bars behind and ahead, and how far the cells around repeat those bars
(`bars_apart`). An LSTM reads each line in both directions, blocks of attention compare all cells of
a line by their distance, their phase in the bar and the bars between them, and the read-out adds
to the score of each token that stands bars apart as much as the cell trusts that bar: so it copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.errors import quoted
from pretrained.diffusion.bars_apart import PAIRS, SHIFTS, likeness, there
from pretrained.networks.attention import Block, BlockShape, Turn
from pretrained.networks.inputs import PLACE_SIZES
from pretrained.networks.network_prior import Network

BOUNDS = {
    **{"vocab": (1, 4096), "embed": (1, 4096), "hidden": (1, 4096), "blocks": (0, 16)},
    **{"heads": (1, 64), "head_size": (6, 512), "feed": (1, 2**14), "mix": (0, 4096)},
}
SPREAD = 0.3, 0.03  # of the first weights of tokens, and of all else that is told of a cell


@dataclass(frozen=True)
class DenoiserShape:
    """The sizes of the network.

    Attributes:
        vocab: number of tokens; two more inputs stand for a masked cell, and for none.
        embed: size of the summed input embedding.
        hidden: units of the LSTM in each direction.
        blocks: of attention.
        heads: of each block.
        head_size: of each head.
        feed: units of each feed-forward layer.
        mix: units by which a voice hears the others at the same time; 0 if none hears another.

    Raises:
        ValueError: a size that is no whole number within its bounds.
    """

    vocab: int = 38
    embed: int = 128
    hidden: int = 176
    blocks: int = 1
    heads: int = 4
    head_size: int = 32
    feed: int = 320
    mix: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not low <= value <= high:
                raise ValueError(
                    f"denoiser {name}={quoted(value)}: expected a whole number {low}..{high}"
                )
        if self.head_size % 2:
            raise ValueError(f"denoiser head_size={self.head_size}: expected an even number")


class WholeBlock(Block):
    """Attention of every cell to all cells of its line, and a feed-forward layer beside it."""

    def forward(self, x: Tensor, turn: Turn) -> Tensor:
        """Return features (N, T, width) of whole lines."""
        query, key, value, feed = self._enter(x)
        scores = (turn(query) * self.shape.head_size**-0.5) @ turn(key).transpose(-1, -2)
        return self._leave(x, scores.softmax(dim=-1).to(value.dtype) @ value, feed)


class Denoiser(Network):
    """An LSTM in both directions, attention over its outputs, and a read-out that can copy.

    Args:
        shape: sizes.
        dropout: share of the inputs, the outputs and the units in the blocks that are dropped
            while training.
    """

    shape: DenoiserShape

    def __init__(self, shape: DenoiserShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape, self.mask, token = shape, shape.vocab, shape.vocab + 2
        pairs = [PAIRS] * (2 * len(SHIFTS))
        sizes = [token, *PLACE_SIZES, *[token] * len(SHIFTS), *pairs]
        self.first: Tensor
        self.register_buffer("first", torch.tensor([0, *sizes[:-1]]).cumsum(0), persistent=False)
        self.table = nn.Embedding(sum(sizes), shape.embed)
        nn.init.normal_(self.table.weight[:token], std=SPREAD[0])
        nn.init.normal_(self.table.weight[token:], std=SPREAD[1])
        self.lstm = nn.LSTM(shape.embed, shape.hidden, batch_first=True, bidirectional=True)
        width = 2 * shape.hidden
        if shape.mix:
            self.hear = nn.Linear(width, shape.mix)
            self.answer = nn.Linear(shape.mix, width, bias=False)
            nn.init.zeros_(self.answer.weight)  # at first no voice hears another
        block = BlockShape(width, shape.heads, shape.head_size, shape.feed, 1)
        self.blocks = nn.ModuleList(WholeBlock(block, dropout) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, shape.vocab)
        self.trust = nn.Linear(width, len(SHIFTS))
        for weight in self.trust.parameters():
            nn.init.zeros_(weight)  # at first nothing is copied
        self.dropout = nn.Dropout(dropout)

    def forward(self, pieces: Tensor, place: Tensor, bf16: bool = False) -> Tensor:
        """Return logits (B, V, T, vocab) of every cell.

        Args:
            pieces: (B, V, T) int64; `mask` where a cell is masked.
            place: (B, T, 6) or (1, T, 6) int64, see `networks.inputs.PLACE`.
            bf16: multiply matrices in bfloat16.
        """
        voices = pieces.shape[1]
        lines = pieces.flatten(0, 1)
        if voices > 1 and len(place) > 1:
            place = place.repeat_interleave(voices, dim=0)
        rows, others = self._rows(lines, place)
        x = functional.embedding_bag(rows.flatten(0, 1), self.table.weight, mode="sum")
        x = self.dropout(x.view(*lines.shape, -1))
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
            x = self.lstm(x)[0]
            if voices > 1 and self.shape.mix:
                x = x + self._heard(x, voices)
            cell = torch.arange(x.shape[1], device=x.device)
            number = (place[..., 0] == 0).cumsum(dim=1)
            turn = Turn.at(cell, place, number, self.shape.head_size)
            turn = Turn(*(part[:, None] for part in turn))  # for every head
            for block in self.blocks:
                x = block(x, turn)
        x = self.dropout(self.norm(x.float()))
        scores = functional.pad(self.head(x), (0, 2))
        scores = scores.scatter_add(2, others, self.trust(x))
        logits: Tensor = scores[..., : self.shape.vocab].unflatten(0, (-1, voices))
        return logits

    def _rows(self, lines: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows (N, T, n) of the table for each cell, and the tokens bars apart."""
        bar = place[:, 0, 1]
        others = there(lines, bar, self.mask)
        likes = likeness(lines, others, bar, self.mask)
        kinds = [place[..., n].clamp(max=size - 1) for n, size in enumerate(PLACE_SIZES)]
        spot = torch.stack(kinds, dim=-1).expand(len(lines), -1, -1)
        return torch.cat([lines[..., None], spot, others, *likes], dim=-1) + self.first, others

    def _heard(self, x: Tensor, voices: int) -> Tensor:
        """Return what a voice (B * V, T, width) hears of the mean of the other voices."""
        by_voice = x.unflatten(0, (-1, voices))
        others = (by_voice.sum(dim=1, keepdim=True) - by_voice) / (voices - 1)
        heard: Tensor = self.answer(functional.gelu(self.hear(others)))
        return heard.flatten(0, 1)
