"""Reading of the cells that are given ahead of the one a network is asked about.

A page with given cells, such as a tune with two bars to be written anew, says more than what is
written so far: which note comes next and when, and what stands at the same place of the bars to
come. A network with an `Ahead` adds what it makes of that to its features. It reads given cells
alone, so the cells that are still free change nothing; where nothing is given ahead it adds
exactly 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.music.codec import FIRST_PITCH

BARS = (1, 2, 4, 8)  # bars ahead at which a network looks at the place of the cell
FURTHEST = 64  # cells; what is further away counts as this far
WIDEST = 24  # semitones; wider intervals count as this wide
LONGEST_RUN = 16  # tokens in a row that are those of bars ahead; more count as this many


class Heard(NamedTuple):
    """Rows that describe the given cells ahead of each cell."""

    rows: Tensor  # (B, T, n) int64 of the table of an Ahead
    any: Tensor  # (B, T) bool: a cell after this one is given


class Ahead(nn.Module):
    """Two hidden layers that read features of a cell and what is given ahead of it.

    Args:
        vocab: number of tokens.
        features: number of features at a cell.
        units: of the hidden layers.
    """

    def __init__(self, vocab: int, features: int, units: int) -> None:
        super().__init__()
        sizes = [vocab + 1, FURTHEST + 1, 2 * WIDEST + 2, vocab + 1, FURTHEST + 1, FURTHEST + 1]
        sizes += [vocab + 1, LONGEST_RUN + 1] * len(BARS)
        first = torch.tensor(sizes).cumsum(0) - torch.tensor(sizes)
        self.vocab = vocab
        self.first: Tensor
        self.register_buffer("first", first, persistent=False)
        self.table = nn.Embedding(sum(sizes), units)
        nn.init.normal_(self.table.weight, std=0.1)
        self.enter = nn.Linear(features, units)
        self.middle = nn.Linear(units, units)
        self.leave = nn.Linear(units, features, bias=False)
        nn.init.zeros_(self.leave.weight)  # at first what is given ahead changes nothing

    def forward(self, features: Tensor, heard: Heard) -> Tensor:
        """Return what is added to features (..., n) of cells of which this is heard."""
        rows = (heard.rows + self.first).flatten(0, -2)
        seen = functional.embedding_bag(rows, self.table.weight, mode="sum")
        x = functional.gelu(self.enter(features) + seen.view(*features.shape[:-1], -1))
        x = x + functional.gelu(self.middle(x))
        added: Tensor = self.leave(x)
        return added * heard.any[..., None]

    def listen(self, tokens: Tensor, given: Tensor, place: Tensor) -> Heard:
        """Return what is given ahead of each cell.

        Args:
            tokens: (B, T) int64 of a line; any token where a cell is neither written nor given.
            given: (B, T) bool.
            place: (B, T, 6) or (1, T, 6), see `networks.inputs.PLACE`.
        """
        size = tokens.shape[1]
        cell = torch.arange(size, device=tokens.device).expand(tokens.shape)
        onset = tokens >= FIRST_PITCH
        gap, first = _next(given, cell), _next(given & onset, cell)
        second = torch.where(first < size, first.gather(1, first.clamp(max=size - 1)), size)
        sounded = torch.where(onset, cell, -1).cummax(dim=1).values
        sounded = functional.pad(sounded[:, :-1], (1, 0), value=-1)  # onset before the cell
        before = tokens.gather(1, sounded.clamp(min=0))
        at_first, at_second = self._at(tokens, first), self._at(tokens, second)
        interval = (at_first - before).clamp(-WIDEST, WIDEST) + WIDEST
        unknown = (first == size) | (sounded < 0)
        rows = [
            at_first,
            (first - cell).clamp(max=FURTHEST),
            interval.masked_fill(unknown, 2 * WIDEST + 1),
            at_second,
            (second - first).clamp(max=FURTHEST),
            (gap - cell).clamp(max=FURTHEST),
        ]
        for bars in BARS:
            rows += self._there(tokens, given, bars * place[..., 1].expand(tokens.shape), cell)
        return Heard(torch.stack(rows, dim=-1), gap < size)

    def _at(self, tokens: Tensor, cell: Tensor) -> Tensor:
        """Return the tokens (B, T) at cells of a line; `vocab` beyond its end."""
        there = tokens.gather(1, cell.clamp(max=tokens.shape[1] - 1))
        return there.masked_fill(cell >= tokens.shape[1], self.vocab)

    def _there(self, tokens: Tensor, given: Tensor, far: Tensor, cell: Tensor) -> list[Tensor]:
        """Return the token given `far` cells ahead, and how many before it repeat the line's.

        Only cells given ahead count, so that a page says the same whatever stands behind.
        """
        size = tokens.shape[1]
        at = cell + far
        known = (at < size) & (far > 0) & given.gather(1, at.clamp(max=size - 1))
        there = self._at(tokens, at).masked_fill(~known, self.vocab)
        ended = torch.where(there != tokens, cell, -1).cummax(dim=1).values
        run = functional.pad((cell - ended)[:, :-1], (1, 0))
        return [there, torch.minimum(run.clamp(max=LONGEST_RUN), (far - 1).clamp(min=0))]


def _next(marked: Tensor, cell: Tensor) -> Tensor:
    """Return the first marked cell (B, T) behind each cell; T if there is none."""
    size = marked.shape[1]
    at = torch.where(marked, cell, size).flip(1).cummin(dim=1).values.flip(1)
    return functional.pad(at[:, 1:], (0, 1), value=size)
