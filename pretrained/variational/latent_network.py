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
from pretrained.networks.inputs import PLACE_SIZES
from pretrained.networks.recurrent import stepped

LENGTHS = (2, 4, 8)  # bars of a piece
PART = 2  # bars of a part
GROUP = 4  # cells
LONGEST = 16  # cells of the longest bar
GROUPS = PART * LONGEST // GROUP  # of a part at most
LOG_VARIANCE = -4.0  # at first: the rate is approached from above
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
    width: int = 160
    reads: int = 128
    pooled: int = 128
    field: int = 256
    cell: int = 96
    hidden: int = 224
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
        sizes = [*PLACE_SIZES[:4], GROUPS, *([LEFT_ROWS] if s.plan else [])]
        self.place = nn.ModuleList(nn.Embedding(size, s.width) for size in sizes)
        for table in self.place:
            nn.init.normal_(table.weight, std=0.3)
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
            nn.init.normal_(bag.weight, std=0.1)
        self.head = nn.Linear(s.cell, s.vocab)

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
        tables = zip(self.place, kinds[: len(self.place)], strict=True)
        parts = [table(kind.clamp(max=table.num_embeddings - 1)) for table, kind in tables]
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
        seen = self._blurred(tokens)
        bar = place[:, 0, 1]
        x = inputs + self.before(self._before(seen, bar)).view_as(inputs)
        h, _ = self.writer(self.dropout(x))
        u = self.cells(torch.cat([self.dropout(h), features], dim=-1))
        u = u.view(*tokens.shape, -1) + self.near(self._near(seen, bar)).view(*tokens.shape, -1)
        return self.head(functional.gelu(u)).float()

    def _before(self, seen: Tensor, bar: Tensor) -> Tensor:
        """Return rows of `before` (B * groups, n): of the group before, and of bars ago."""
        start = self.shape.vocab
        back = [functional.pad(seen[:, :-GROUP], (GROUP, 0), value=start)]
        back += [_ago(seen, bars * bar, start) for bars in self.shape.lookback]
        return _rows(torch.stack(back, dim=1), start + 1)

    def _near(self, seen: Tensor, bar: Tensor) -> Tensor:
        """Return rows of `near` (B * T, n): of the cells before in the group, and of bars ago."""
        start, rows, n = self.shape.vocab, self.shape.vocab + 1, len(self.shape.lookback)
        own = seen.unflatten(1, (-1, GROUP))
        device = seen.device
        first = torch.arange(GROUP * (GROUP - 1), device=device).view(GROUP, GROUP - 1) * rows
        within = own[:, :, None, : GROUP - 1] + first
        cell = torch.arange(GROUP, device=device)
        hidden = cell[:, None] <= cell[: GROUP - 1]
        within = within.masked_fill(hidden, self.near.padding_idx or 0).flatten(1, 2)
        back = [_ago(seen, bars * bar, start) for bars in self.shape.lookback]
        at = torch.arange(seen.shape[1], device=device) % GROUP
        base = (GROUP * (GROUP - 1) + at[:, None] * n + torch.arange(n, device=device)) * rows
        ago = torch.stack(back, dim=-1) + base
        return torch.cat([within, ago], dim=-1).flatten(0, 1)

    def _blurred(self, tokens: Tensor) -> Tensor:
        if not (self.training and self.blind):
            return tokens
        unseen = torch.rand(tokens.shape, device=tokens.device) < self.blind
        return tokens.masked_fill(unseen, self.shape.vocab)

    @torch.no_grad()
    def write(
        self, z: Tensor, place: Tensor, choose: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Return tokens (B, T) of pieces at points, written cell by cell.

        Args:
            z: (B, n_latent).
            place: (B or 1, T, 6) int64.
            choose: is given logits (B, vocab) and the tokens (B, t) before; returns tokens (B,).
        """
        features, inputs = self.along(z, place)
        cells, bar, start = place.shape[1], place[:, 0, 1], self.shape.vocab
        tokens = torch.full((len(z), cells), start, device=z.device)
        h = c = z.new_zeros(1, len(z), self.shape.hidden)
        for group in range(cells // GROUP):
            here = slice(group * GROUP, (group + 1) * GROUP)
            rows = self._before(tokens, bar).view(len(z), -1, 4 * (1 + len(self.shape.lookback)))
            x = inputs[:, group] + self.before(rows[:, group])
            out, h, c = stepped(self.writer, x, h, c)
            u = self.cells(torch.cat([out, features[:, group]], dim=-1)).view(len(z), GROUP, -1)
            for i, cell in enumerate(range(here.start, here.stop)):
                near = self._near(tokens, bar).view(len(z), cells, -1)[:, cell]
                logits = self.head(functional.gelu(u[:, i] + self.near(near)))
                tokens[:, cell] = choose(logits, tokens[:, :cell])
        return tokens


def sounding_tokens(tokens: Tensor) -> Tensor:
    """Return tokens (B, T) in which each hold is the token that it holds."""
    cell = torch.arange(tokens.shape[1], device=tokens.device)
    last = cell.expand(tokens.shape).masked_fill(tokens == HOLD, 0).cummax(dim=1).values
    return tokens.gather(1, last)


def _ago(seen: Tensor, cells: Tensor, start: int) -> Tensor:
    """Return the tokens (B, T) that stood `cells` (B or 1,) before each cell; `start` if none."""
    at = torch.arange(seen.shape[1], device=seen.device) - cells[:, None]
    at = at.expand(seen.shape)
    return seen.gather(1, at.clamp(min=0)).masked_fill(at < 0, start)


def _rows(lines: Tensor, rows: int) -> Tensor:
    """Return rows (B * groups, n * GROUP) of a table for lines of tokens (B, n, T)."""
    n = lines.shape[1]
    grouped = lines.unflatten(2, (-1, GROUP)).transpose(1, 2)
    first = torch.arange(n * GROUP, device=lines.device).view(n, GROUP) * rows
    return (grouped + first).flatten(0, 1).flatten(1)
