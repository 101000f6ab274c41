"""Reading of the cells that are given ahead of the one a network is asked about.

A page with given cells, such as a tune with two bars to be written anew, says more than what is
written so far: which note comes next and when, what stands at the same place of the bars to come,
and whether those repeat the bars behind. A network with an `Ahead` adds what it makes of that to
its features. It reads what is written and given cells alone, so the cells that are still free
change nothing; where nothing is given ahead it adds exactly 0.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.music.codec import FIRST_PITCH

BARS = (1, 2, 4, 8)  # bars ahead and behind at which a network looks at the place of the cell
FURTHEST = 64  # cells; what is further away, or is not there, counts as this far
WIDEST = 24  # semitones; wider intervals count as this wide
LONGEST_RUN = 16  # tokens in a row that are those of bars ahead; more count as this many
SHARES = 8  # steps in which a share of equal tokens is told


class Heard(NamedTuple):
    """Rows that describe the given cells ahead of each cell."""

    rows: Tensor  # (B, T, n) int64 of the table of an Ahead
    any: Tensor  # (B, T) bool: a cell after this one is given


class Ahead(nn.Module):
    """Two hidden layers that read features of a cell and what is given ahead of it.

    They also choose how far to trust each of the tokens that stand whole bars ahead and behind, and
    add as much of the token's own features: so a bar is copied.

    Args:
        vocab: number of tokens.
        features: number of features at a cell.
        units: of the hidden layers.
    """

    def __init__(self, vocab: int, features: int, units: int) -> None:
        super().__init__()
        token, far = vocab + 1, FURTHEST + 1
        next_ones = [token, far, 2 * WIDEST + 2, token, far, token, far]
        sizes = next_ones + [token, token, LONGEST_RUN + 1, SHARES + 2] * len(BARS)
        first = torch.tensor([0, *accumulate(sizes[:-1])])
        self.vocab = vocab
        self.copied = [len(next_ones) + 4 * n + k for n in range(len(BARS)) for k in (0, 1)]
        self.first: Tensor
        self.register_buffer("first", first, persistent=False)
        self.table = nn.Embedding(sum(sizes), units)
        nn.init.normal_(self.table.weight, std=0.1)
        self.enter = nn.Linear(features, units)
        self.middle = nn.Linear(units, units)
        self.leave = nn.Linear(units, features, bias=False)
        self.trust = nn.Linear(units, len(self.copied))
        self.copy = nn.Embedding(token, features)
        for last in (self.leave, self.copy):
            nn.init.zeros_(last.weight)  # at first what is given ahead changes nothing

    def forward(self, features: Tensor, heard: Heard) -> Tensor:
        """Return what is added to features (..., n) of cells of which this is heard."""
        rows = (heard.rows + self.first).flatten(0, -2)
        seen = functional.embedding_bag(rows, self.table.weight, mode="sum")
        x = functional.gelu(self.enter(features) + seen.view(*features.shape[:-1], -1))
        x = x + functional.gelu(self.middle(x))
        trust = self.trust(x).float().sigmoid().flatten(0, -2)
        tokens = heard.rows[..., self.copied].flatten(0, -2)
        copy = functional.embedding_bag(
            tokens, self.copy.weight, mode="sum", per_sample_weights=trust
        )
        added: Tensor = self.leave(x) + copy.view(features.shape)
        return added * heard.any[..., None]

    def listen(self, tokens: Tensor, given: Tensor, place: Tensor) -> Heard:
        """Return what is given ahead of each cell.

        Args:
            tokens: (B, T) int64 of a line; any token where a cell is neither written nor given.
            given: (B, T) bool; of cells behind the one asked about it does not matter.
            place: (B, T, 6) or (1, T, 6), see `networks.inputs.PLACE`.
        """
        size = tokens.shape[1]
        cell = torch.arange(size, device=tokens.device).expand(tokens.shape)
        onset = tokens >= FIRST_PITCH
        gap, first = next_marked(given, cell), next_marked(given & onset, cell)
        second = torch.where(first < size, first.gather(1, first.clamp(max=size - 1)), size)
        sounded = torch.where(onset, cell, -1).cummax(dim=1).values
        sounded = functional.pad(sounded[:, :-1], (1, 0), value=-1)  # onset before the cell
        before = tokens.gather(1, sounded.clamp(min=0))
        at_first = self._at(tokens, first)
        interval = (at_first - before).clamp(-WIDEST, WIDEST) + WIDEST
        unknown = (first == size) | (sounded < 0)
        rows = [
            at_first,
            _distance(cell, first),
            interval.masked_fill(unknown, 2 * WIDEST + 1),
            self._at(tokens, second),
            _distance(first, second),
            self._at(tokens, gap),
            _distance(cell, gap),
        ]
        for bars in BARS:
            far = bars * place[..., 1].expand(tokens.shape)
            there, run = self._there(tokens, given, far, cell)
            behind, share = self._behind(tokens, given, far, cell)
            rows += [there, behind, run, share]
        return Heard(torch.stack(rows, dim=-1), gap < size)

    def _at(self, tokens: Tensor, cell: Tensor) -> Tensor:
        """Return the tokens (B, T) at cells of a line; `vocab` beyond its end."""
        there = tokens.gather(1, cell.clamp(max=tokens.shape[1] - 1))
        return there.masked_fill(cell >= tokens.shape[1], self.vocab)

    def _there(
        self, tokens: Tensor, given: Tensor, far: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the token given `far` cells ahead, and how many before it repeat the line's.

        Only cells given ahead count, so that a page says the same whatever stands behind.
        """
        size = tokens.shape[1]
        at = cell + far
        known = (at < size) & (far > 0) & given.gather(1, at.clamp(max=size - 1))
        there = self._at(tokens, at).masked_fill(~known, self.vocab)
        ended = torch.where(there != tokens, cell, -1).cummax(dim=1).values
        run = functional.pad((cell - ended)[:, :-1], (1, 0))
        return there, torch.minimum(run.clamp(max=LONGEST_RUN), (far - 1).clamp(min=0))

    def _behind(
        self, tokens: Tensor, given: Tensor, far: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the token `far` cells behind, and how much of what follows repeats as far behind.

        Of the cells less than `far` ahead, whose counterparts are written, those given count. The
        share is 0 where there is none, else 1 and the whole steps of SHARES in it.
        """
        at = cell - far
        known = (at >= 0) & (far > 0)
        behind = tokens.gather(1, at.clamp(min=0)).masked_fill(~known, self.vocab)
        pairs = known & given
        asked, equal = (
            functional.pad(marked.long().cumsum(dim=1), (1, 0))
            for marked in (pairs, pairs & (behind == tokens))
        )
        start, end = cell + 1, (cell + far.clamp(min=1)).clamp(max=tokens.shape[1])
        many = asked.gather(1, end) - asked.gather(1, start)
        same = equal.gather(1, end) - equal.gather(1, start)
        return behind, torch.where(many > 0, 1 + SHARES * same // many.clamp(min=1), 0)


def next_marked(marked: Tensor, cell: Tensor) -> Tensor:
    """Return the first marked cell (B, T) behind each cell; T if there is none."""
    size = marked.shape[1]
    at = torch.where(marked, cell, size).flip(1).cummin(dim=1).values.flip(1)
    return functional.pad(at[:, 1:], (0, 1), value=size)


def _distance(cell: Tensor, later: Tensor) -> Tensor:
    """Return the cells (B, T) between two; FURTHEST if the later one is beyond the line's end."""
    beyond = later >= later.shape[1]
    return (later - cell).clamp(max=FURTHEST).masked_fill(beyond, FURTHEST)
