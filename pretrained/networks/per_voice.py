"""PerVoice: a network of one line as a prior of pieces, which is deaf to the other voices."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pretrained.networks.lens import Lens
from pretrained.networks.network_prior import Network, NetworkPrior


class LineNetwork(Network):
    """A network that reads tokens of one line and the places of their cells.

    Its states hold tensors that are never written into.
    """

    start_token: int  # the input that stands for "nothing yet"

    @abstractmethod
    def forward(self, tokens: Tensor, place: Tensor, bf16: bool = False) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, T, ...) at each cell given the tokens (B, T) before it."""

    @abstractmethod
    def start(self, batch: int) -> Any:
        """Return the state before the first cell."""

    @abstractmethod
    def step(self, token: Tensor, place: Tensor, state: Any) -> tuple[Tensor, Tensor, Any]:
        """Read the token (B,) before a cell of a place; return its logits, features and state."""

    @abstractmethod
    def take(self, state: Any, rows: Tensor) -> Any:
        """Return the state of some lines (N,)."""


@dataclass(frozen=True)
class Lines:
    """State of all voices.

    Attributes:
        lens: of the pieces.
        asked: number of cells, in writing order, that were asked about.
        hidden: the network's state of each voice, before its next cell.
        last: the token (B,) read last in each voice, the network's own.
    """

    lens: Lens
    asked: int
    hidden: tuple[Any, ...]
    last: tuple[Tensor, ...]


class PerVoice(NetworkPrior):
    """A prior that reads each voice as a line of its own: no voice hears another.

    Args:
        net: a network of one line.
        codec: meaning of its tokens.
    """

    one_line = True
    net: LineNetwork

    def forward(self, pieces: Tensor, context: Tensor, bf16: bool = False) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, V * T, ...) along whole pieces, in writing order."""
        logits, features = self._lines(pieces, context, bf16)
        return in_writing_order(logits, pieces), in_writing_order(features, pieces)

    def logits_along(self, pieces: Tensor, context: Tensor) -> Tensor:
        """Return the logits of `forward` alone; does not move the features, which are many."""
        return in_writing_order(self._lines(pieces, context, bf16=False)[0], pieces)

    def _lines(self, pieces: Tensor, context: Tensor, bf16: bool) -> tuple[Tensor, Tensor]:
        """Return logits and features (B * V, T, ...) of all lines."""
        voices, cells = pieces.shape[1:]
        lens = Lens.of(self.codec, context, cells).repeated(voices)
        logits, features = self.net(lens.read(pieces.reshape(-1, cells)), lens.places, bf16=bf16)
        return lens.answer(logits), features

    def forward_at(self, pages: Tensor, context: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, ...) at one cell (B,) of each page; reads its voice."""
        time, voice = cell // pages.shape[1], cell % pages.shape[1]
        row, cells = torch.arange(len(pages), device=pages.device), int(time.max()) + 1
        lens = Lens.of(self.codec, context, cells)
        logits, features = self.net(lens.read(pages[row, voice, :cells]), lens.places)
        return lens.answer(logits[row, time]), features[row, time]

    def begin(self, context: Tensor, voices: int, cells: int) -> Lines:
        """Return the state before the first cell."""
        start = torch.full((len(context),), self.net.start_token, device=context.device)
        hidden = (self.net.start(len(context)),) * voices
        return Lines(Lens.of(self.codec, context, cells), 0, hidden, (start,) * voices)

    def advance(self, state: Lines, tokens: Tensor) -> tuple[Tensor, Tensor, Lines]:
        """Read tokens (B, n); return logits and features (B, ...) of the cell after them."""
        hidden, last, voices = list(state.hidden), list(state.last), len(state.hidden)
        read = max(state.asked - 1, 0)  # cells read so far
        own = state.lens.read(tokens).unbind(dim=1)
        logits = features = torch.empty(0)
        for cell in range(state.asked, read + len(own) + 1):
            if cell > read:
                last[(cell - 1) % voices] = own[cell - 1 - read]
            voice, place = cell % voices, state.lens.places[:, cell // voices]
            logits, features, hidden[voice] = self.net.step(last[voice], place, hidden[voice])
        after = Lines(state.lens, read + len(own) + 1, tuple(hidden), tuple(last))
        return state.lens.answer(logits), features, after

    def pick(self, state: Lines, rows: Tensor) -> Lines:
        """Return the state of some pieces (N,)."""
        return replace(
            state,
            lens=state.lens.take(rows),
            hidden=tuple(self.net.take(hidden, rows) for hidden in state.hidden),
            last=tuple(last[rows] for last in state.last),
        )


def in_writing_order(lines: Tensor, pieces: Tensor) -> Tensor:
    """Return what belongs to the lines (B * V, T, ...) of pieces (B, V, T) as (B, T * V, ...)."""
    return lines.reshape(*pieces.shape, -1).transpose(1, 2).flatten(1, 2)
