"""The network of a variational autoencoder: windows of two bars, and whole pieces on top of them.

Cells are read and written in groups of four. A piece is read part by part, two bars each, by a
bidirectional LSTM over groups; what it makes of the parts is read together, and gives mean and
log-variance of the point z. The other way a point gives a code for each part, a code gives features
of each group, and an LSTM over groups writes the whole piece from these features and from all that
is written before; a small network writes the cells of a group one after the other and also sees the
tokens that stood bars ago. So later bars hear earlier ones. One part is the case of a piece of two
bars: its code is the point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.errors import quoted
from envs.music.codec import HOLD
from envs.music.meter import Meter
from pretrained.networks.recurrent import stepped

LENGTHS = (2, 4, 8)  # bars of a piece
PART = 2  # bars of a part
GROUP = 4  # cells
LONGEST = 16  # cells of the longest bar
GROUPS = PART * LONGEST // GROUP  # of a part at most
LOG_VARIANCE = -4.0  # at first: the rate is approached from above
# Rows of the tables of places: cell in the bar, 16ths of a bar, of a beat, and the mode.
PLACES = (LONGEST, LONGEST + 1, 9, 12)
LEFT_ROWS = 33


@dataclass(frozen=True)
class LatentShape:
    """The sizes of the network.

    Attributes:
        vocab: number of tokens; one more input stands for "nothing yet".
        bars: of a piece, 2, 4 or 8.
        n_latent: numbers of a point z.
        code: numbers of the code of a part; of a single part those of the point.
        width: of the embedding of a group.
        reads: units of the encoder in each direction.
        pooled: features of a part.
        field: units of the layers that give features of groups.
        cell: units of the network that writes cells.
        hidden: units of the LSTM that writes.
        metres: metres that it knows, such as "4/4".
        plan: it is told how many bars are left.
    """

    vocab: int = 38
    bars: int = 2
    n_latent: int = 32
    code: int = 32
    width: int = 128
    reads: int = 96
    pooled: int = 80
    field: int = 160
    cell: int = 64
    hidden: int = 160
    metres: tuple[str, ...] = ("4/4", "2/2", "2/4", "6/8", "3/4")
    plan: bool = False

    def __post_init__(self) -> None:
        names = ("vocab", "n_latent", "code", "width", "reads", "pooled", "field", "cell", "hidden")
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 4096:
                raise ValueError(f"network {name}={quoted(value)}: expected a number 1..4096")
        if self.bars not in LENGTHS:
            raise ValueError(f"network bars={quoted(self.bars)}: expected one of {LENGTHS}")
        if self.parts == 1 and self.code != self.n_latent:
            raise ValueError(
                f"network code={self.code}, n_latent={self.n_latent}: expected equal ones for "
                f"{PART} bars, where the code is the point"
            )
        if not isinstance(self.plan, bool):
            raise ValueError(f"network plan={quoted(self.plan)}: expected true or false")
        if not self.metres or not all(isinstance(name, str) for name in self.metres):
            raise ValueError(f"network metres={quoted(self.metres)}: expected names such as 4/4")
        object.__setattr__(self, "metres", tuple(self.metres))
        for name in self.metres:
            bar = Meter.parse(name).bar_cells(4)
            if bar > LONGEST or bar % 2:
                raise ValueError(
                    f"network metre {name}: expected an even number of 16ths, {LONGEST} at most"
                )

    @property
    def parts(self) -> int:
        """Number of parts."""
        return self.bars // PART

    @property
    def lookback(self) -> tuple[int, ...]:
        """Bars that the writing network looks back to."""
        return tuple(bars for bars in (1, 2, 4) if bars < self.bars)

    def as_json(self) -> dict[str, Any]:
        """Return the sizes in types that JSON has."""
        return {**asdict(self), "metres": list(self.metres)}


class LatentNet(nn.Module):
    """Encoder and decoder.

    Args:
        shape: sizes.
        dropout: share of features dropped while training.

    Attributes:
        blind: share of the tokens before a cell that are not seen while training.
    """

    def __init__(self, shape: LatentShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape, self.blind = shape, 0.0
        self.dropout = nn.Dropout(dropout)
        s, rows = shape, shape.vocab + 1
        sizes = [*PLACES, GROUPS, *([LEFT_ROWS] if s.plan else [])]
        self.place = nn.ModuleList(nn.Embedding(size, s.width) for size in sizes)
        for table in self.place:
            nn.init.normal_(table.get_parameter("weight"), std=0.3)
        self.token = nn.EmbeddingBag(2 * GROUP * rows, s.width, mode="sum")
        self.reader = nn.LSTM(s.width, s.reads, batch_first=True, bidirectional=True)
        self.pool = nn.Linear(GROUPS * 2 * s.reads, s.pooled)
        self.point = nn.Linear((2 if s.parts > 1 else 1) * s.pooled, 2 * s.n_latent)
        if s.parts > 1:
            self.gather = nn.Linear(s.parts * s.pooled, 2 * s.pooled)
            self.spread = nn.Linear(s.n_latent, 2 * s.pooled)
            self.codes = nn.Linear(2 * s.pooled, s.parts * s.code)
        with torch.no_grad():
            self.point.bias[s.n_latent :] = LOG_VARIANCE
            self.point.weight[s.n_latent :] *= 0.1
        self.of_code, self.of_place = nn.Linear(s.code, s.field), nn.Linear(s.width, 2 * s.field)
        self.layers = nn.ModuleList(nn.Linear(s.field, s.field) for _ in range(2))
        self.features = nn.Linear(s.field, s.width)
        self.before = nn.EmbeddingBag((1 + len(s.lookback)) * GROUP * rows, s.width, mode="sum")
        self.writer = nn.LSTM(s.width, s.hidden, batch_first=True)
        self.cells = nn.Linear(s.hidden + s.field, GROUP * s.cell)
        seen = GROUP * (GROUP - 1 + len(s.lookback)) * rows  # of a cell: its group, and bars ago
        self.near = nn.EmbeddingBag(seen + 1, s.cell, mode="sum", padding_idx=seen)
        for bag in (self.token, self.before, self.near):
            nn.init.normal_(bag.get_parameter("weight"), std=0.1)
        self.head = nn.Linear(s.cell, s.vocab)

    @property
    def upper(self) -> list[nn.Linear]:
        """The layers between a point and the codes of several parts."""
        return [self.gather, self.spread, self.codes] if self.shape.parts > 1 else []

    # -- reading ---------------------------------------------------------------------------------

    def encode(self, tokens: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (B, n_latent) of pieces.

        Args:
            tokens: (B, T) int64.
            place: (B or 1, T, 6) int64, see `inputs.PLACE`.
        """
        s = self.shape
        both = torch.stack([tokens, sounding_tokens(tokens)], dim=1)
        x = self.token(_rows(both, s.vocab + 1)).view(len(tokens), -1, s.width)
        x = (x + self.placed(place)).reshape(len(tokens) * s.parts, -1, s.width)
        read, _ = self.reader(self.dropout(x))
        read = functional.pad(read, (0, 0, 0, GROUPS - read.shape[1]))
        features = functional.gelu(self.pool(self.dropout(read.flatten(1))))
        if s.parts > 1:
            features = features.reshape(-1, s.parts * s.pooled)
            features = functional.gelu(self.gather(self.dropout(features)))
        mean, log_variance = self.point(features).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 4)

    def placed(self, place: Tensor) -> Tensor:
        """Return embeddings (B or 1, T / GROUP, width) of groups by the places of first cells."""
        first = place[:, ::GROUP]
        groups = first.shape[1]
        at = torch.arange(groups, device=place.device) % (groups // self.shape.parts)
        kinds = [*first[..., :4].unbind(-1), at[None], first[..., 5]]
        parts = []
        for table, kind in zip(self.place, kinds, strict=False):
            last = len(table.get_parameter("weight")) - 1
            parts.append(table(kind.clamp(max=last)))
        return torch.stack(torch.broadcast_tensors(*parts)).sum(0)

    # -- writing ---------------------------------------------------------------------------------

    def along(self, z: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, groups, field) and inputs (B, groups, width) of groups at points."""
        s, where = self.shape, self.placed(place)
        codes = self.codes(functional.gelu(self.spread(z))) if s.parts > 1 else z
        code = self.of_code(codes.reshape(len(z), s.parts, s.code))
        code = code.repeat_interleave(where.shape[1] // s.parts, dim=1)
        scale, shift = self.of_place(where).chunk(2, dim=-1)
        x = code * (1 + scale) + shift
        for layer in self.layers:
            x = x + layer(functional.gelu(x))
        x = functional.gelu(x)
        return x, self.features(x) + where

    def forward(self, tokens: Tensor, place: Tensor, z: Tensor) -> Tensor:
        """Return logits (B, T, vocab) of each token, given those before it and the point.

        Args:
            tokens: (B, T) int64.
            place: (B or 1, T, 6) int64.
            z: (B, n_latent).
        """
        features, inputs = self.along(z, place)
        seen, start, bar = self._blurred(tokens), self.shape.vocab, place[:, 0, 1]
        own, ago = seen.unflatten(1, (-1, GROUP)), torch.arange(tokens.shape[1], device=z.device)
        prior = functional.pad(own[:, :-1], (0, 0, 1, 0), value=start)
        back = self._bars_ago(seen, ago, bar)
        x = inputs + self.before(self._before(prior, back)).view_as(inputs)
        h, _ = self.writer(self.dropout(x))
        u = self.cells(torch.cat([self.dropout(h), features], dim=-1))
        u = u.view(*tokens.shape, -1) + self.near(self._near(own, back)).view(*tokens.shape, -1)
        logits: Tensor = self.head(functional.gelu(u))
        return logits.float()

    def _bars_ago(self, seen: Tensor, cells: Tensor, bar: Tensor) -> Tensor:
        """Return tokens (B, groups, GROUP, n) that stood bars before cells (groups * GROUP,)."""
        back, size = [], (len(seen), len(cells))
        for bars in self.shape.lookback:
            at = (cells - bars * bar[:, None]).expand(size)
            there = seen.gather(1, at.clamp(min=0))
            back.append(there.masked_fill(at < 0, self.shape.vocab).unflatten(1, (-1, GROUP)))
        return torch.stack(back, dim=-1)

    def _before(self, prior: Tensor, back: Tensor) -> Tensor:
        """Return rows of `before` (B * groups, n): of the group before, and of bars ago."""
        lines = torch.cat([prior[..., None], back], dim=-1).flatten(0, 1).transpose(1, 2).flatten(1)
        return lines + torch.arange(lines.shape[1], device=lines.device) * (self.shape.vocab + 1)

    def _near(self, own: Tensor, back: Tensor) -> Tensor:
        """Return rows of `near` (B * T, n): of the cells before in the group, and of bars ago."""
        cell = torch.arange(GROUP, device=own.device)
        seen = torch.cat([own[:, :, None, :-1].expand(*own.shape, -1), back], dim=-1)
        n = seen.shape[-1]
        seen = seen + torch.arange(GROUP * n, device=own.device).view(GROUP, n) * (
            self.shape.vocab + 1
        )
        hidden = functional.pad(cell[:, None] <= cell[:-1], (0, n - GROUP + 1))
        return seen.masked_fill(hidden, self.near.num_embeddings - 1).flatten(0, 2)

    def _blurred(self, tokens: Tensor) -> Tensor:
        if not (self.training and self.blind):
            return tokens
        unseen = torch.rand(tokens.shape, device=tokens.device) < self.blind
        return tokens.masked_fill(unseen, self.shape.vocab)

    @torch.no_grad()
    def write(self, z: Tensor, place: Tensor, choose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return tokens (B, T) of pieces at points, written cell by cell.

        Args:
            z: (B, n_latent).
            place: (B or 1, T, 6) int64.
            choose: is given logits (B, vocab) and the tokens (B, t) before; returns tokens (B,).
        """
        features, inputs = self.along(z, place)
        cells, bar, start = place.shape[1], place[:, 0, 1], self.shape.vocab
        tokens = torch.full((len(z), cells), start, device=z.device)
        prior = tokens[:, None, :GROUP]
        h = c = z.new_zeros(1, len(z), self.shape.hidden)
        for group, first in enumerate(range(0, cells, GROUP)):
            here = slice(first, first + GROUP)
            back = self._bars_ago(tokens, torch.arange(first, first + GROUP, device=z.device), bar)
            x = inputs[:, group] + self.before(self._before(prior, back))
            out, h, c = stepped(self.writer, x, h, c)
            u = self.cells(torch.cat([out, features[:, group]], dim=-1)).view(len(z), GROUP, -1)
            for i, cell in enumerate(range(first, first + GROUP)):
                near = self._near(tokens[:, None, here], back).view(len(z), GROUP, -1)[:, i]
                logits = self.head(functional.gelu(u[:, i] + self.near(near)))
                tokens[:, cell] = choose(logits, tokens[:, :cell])
            prior = tokens[:, None, here]
        return tokens


def sounding_tokens(tokens: Tensor) -> Tensor:
    """Return tokens (B, T) in which each hold is the token that it holds."""
    cell = torch.arange(tokens.shape[1], device=tokens.device)
    last = cell.expand(tokens.shape).masked_fill(tokens == HOLD, 0).cummax(dim=1).values
    return tokens.gather(1, last)


def _rows(lines: Tensor, rows: int) -> Tensor:
    """Return rows (B * groups, n * GROUP) of a table for lines of tokens (B, n, T)."""
    n = lines.shape[1]
    grouped = lines.unflatten(2, (-1, GROUP)).transpose(1, 2)
    first = torch.arange(n * GROUP, device=lines.device).view(n, GROUP) * rows
    rows_of: Tensor = (grouped + first).flatten(0, 1).flatten(1)
    return rows_of
