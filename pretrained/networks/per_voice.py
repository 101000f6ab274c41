"""PerVoice: a network of one line as a prior of pieces, which is deaf to the other voices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from envs.music.codec import Codec
from pretrained.networks.lens import Lens
from pretrained.networks.network_prior import Network, NetworkPrior


class LineNetwork(Network):
    """A network that reads tokens of one line and the places of their cells.

    Its states stay as they are: a tensor in them is never written into where a state reads it.
    """

    start_token: int  # the input that stands for "nothing yet"
    token_dropout: float = 0.0  # share of the tokens that it does not see while it is trained

    @property
    def hears_ahead(self) -> bool:
        """True if it has `hear` and `answer_ahead`, and takes `given` in `forward`."""
        return False

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

    def answer_ahead(
        self, features: Tensor, tokens: Tensor, place: Tensor, given: Tensor
    ) -> Tensor:
        """Return logits (B, T, vocab) of which only what reads ahead has gradients.

        Args:
            features: (B, T, n) of whole lines without what is given ahead, without gradients.
            tokens, place: (B, T) and (B, T, 6), see `forward`.
            given: (B, T) bool, the cells that are given in advance.
        """
        raise NotImplementedError(f"{type(self).__name__} does not hear what is given ahead")

    def hear(
        self, features: Tensor, page: Tensor, place: Tensor, time: int | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits (B, vocab) and features (B, n) of a cell with what is given ahead of it.

        Args:
            features: (B, n) of the cell without.
            page: (B, T) int64, the line as far as it is written or given, UNWRITTEN elsewhere.
            place: (B, T, 6) or (1, T, 6).
            time: of the cell, or (B,).
        """
        raise NotImplementedError(f"{type(self).__name__} does not hear what is given ahead")


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

    An architecture adds `format`, `network` and `sizes`; and `recipe`, the settings of
    `pretrained.training.settings.PriorConfig` that it is trained with unless others are asked for.

    Args:
        net: a network of one line.
        codec: meaning of its tokens.
    """

    one_line = True
    net: LineNetwork
    network: ClassVar[type[Any]]  # made of its sizes, with a dropout
    sizes: ClassVar[type[Any]]  # a dataclass whose first field is the size of the vocabulary

    @classmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a prior with random weights."""
        return cls(cls.network(cls.sizes(**shape)), codec)

    @property
    def hears_ahead(self) -> bool:
        """True if the network reads the cells that are given ahead."""
        return self.net.hears_ahead

    def forward(
        self, pieces: Tensor, context: Tensor, bf16: bool = False, given: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, V * T, ...) along whole pieces, in writing order."""
        logits, features = self._lines(pieces, context, bf16, given)
        return in_writing_order(logits, pieces), in_writing_order(features, pieces)

    def logits_along(self, pieces: Tensor, context: Tensor, **given: Any) -> Tensor:
        """Return the logits of `forward` alone; does not move the features, which are many."""
        return in_writing_order(self._lines(pieces, context, False, **given)[0], pieces)

    def _lines(
        self, pieces: Tensor, context: Tensor, bf16: bool, given: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits and features (B * V, T, ...) of all lines."""
        voices, cells = pieces.shape[1:]
        lens = Lens.of(self.codec, context, cells).repeated(voices)
        known = {} if given is None else {"given": given.reshape(-1, cells)}
        own = lens.read(pieces.reshape(-1, cells))
        logits, features = self.net(own, lens.places, bf16=bf16, **known)
        return lens.answer(logits), features

    def forward_at(self, pages: Tensor, context: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, ...) at one cell (B,) of each page; reads its voice."""
        time, voice = cell // pages.shape[1], cell % pages.shape[1]
        row, cells = torch.arange(len(pages), device=pages.device), int(time.max()) + 1
        lens = Lens.of(self.codec, context, pages.shape[2])
        lines = lens.read(pages[row, voice])
        logits, features = self.net(lines[:, :cells].clamp(min=0), lens.places[:, :cells])
        logits, features = logits[row, time], features[row, time]
        if self.hears_ahead:
            logits, features = self.net.hear(features, lines, lens.places, time)
        return lens.answer(logits), features

    def begin(self, context: Tensor, voices: int, cells: int) -> Lines:
        """Return the state before the first cell."""
        start = torch.full((len(context),), self.net.start_token, device=context.device)
        hidden = (self.net.start(len(context)),) * voices
        return Lines(Lens.of(self.codec, context, cells), 0, hidden, (start,) * voices)

    def advance(
        self, state: Lines, tokens: Tensor, page: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Lines]:
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
        asked = read + len(own)
        if page is not None:
            lines, time = state.lens.read(page[:, asked % voices]), asked // voices
            logits, features = self.net.hear(features, lines, state.lens.places, time)
        after = Lines(state.lens, asked + 1, tuple(hidden), tuple(last))
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
