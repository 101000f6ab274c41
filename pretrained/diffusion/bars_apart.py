"""Rows that describe, for each cell of a line, the same place of the bars behind and ahead.

Tunes repeat bars 1, 2, 4 or 8 bars apart. For each of these distances, behind and ahead, a network
is told which token stands there, and how far the cells around its own repeat those around that
place: near by, and within a bar on both sides. Only known cells count; holds that are alike do not,
as most cells are held.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from envs.music.codec import FIRST_PITCH

BARS = (1, 2, 4, 8)
SHIFTS = tuple(sign * bars for bars in BARS for sign in (-1, 1))  # in bars, behind and ahead
NEAR = 4  # cells on each side
COUNTS = (0, 1, 2, 3, 3, 4, 4, 4, 4, 5)  # bucket of a count of cells; more than listed: the last
BUCKETS = 6
PAIRS = BUCKETS * BUCKETS


def there(tokens: Tensor, bar: Tensor, mask: int) -> Tensor:
    """Return tokens (N, T, shifts) at the same place of other bars; mask + 1 beyond the line.

    Args:
        tokens: (N, T) int64; `mask` where a cell is not known.
        bar: (N,) or (1,) int64, cells of a bar.
        mask: the token that stands for an unknown cell.
    """
    size = tokens.shape[1]
    cell, shifts = torch.arange(size, device=tokens.device), torch.tensor(SHIFTS)
    at = cell[:, None] + bar[:, None, None] * shifts.to(tokens.device)  # (N or 1, T, shifts)
    inside = (at >= 0) & (at < size) & (bar[:, None, None] > 0)
    flat = at.clamp(0, size - 1).expand(len(tokens), -1, -1).flatten(1)
    found = tokens.gather(1, flat).view(len(tokens), size, -1)
    return found.masked_fill(~inside, mask + 1)


def likeness(tokens: Tensor, others: Tensor, bar: Tensor, mask: int) -> tuple[Tensor, Tensor]:
    """Return how far the cells near by, and within a bar, repeat other bars: rows of PAIRS.

    Args:
        tokens: (N, T) int64.
        others: (N, T, shifts), see `there`.
        bar: (N,) or (1,) int64.
        mask: the token that stands for an unknown cell.

    Returns:
        two tensors (N, T, shifts) int64: the bucket of the number of equal onsets, times BUCKETS,
        and that of different tokens.
    """
    own = tokens[..., None]
    known = (own < mask) & (others < mask)
    same = known & (own == others)
    marks = torch.stack([same & (own >= FIRST_PITCH), known & ~same], dim=-1)
    sums = functional.pad(marks.int().cumsum(dim=1), (0, 0, 0, 0, 1, 0))
    size, table = tokens.shape[1], torch.tensor(COUNTS, device=tokens.device)
    cell = torch.arange(size, device=tokens.device)
    found = []
    for width in (torch.full_like(bar, NEAR), bar):
        ends = [(cell + 1 + width[:, None]).clamp(max=size), (cell - width[:, None]).clamp(min=0)]
        high, low = (_rows(sums, end) for end in ends)
        count = table[(high - low).clamp(max=len(COUNTS) - 1).long()]
        found.append(count[..., 0] * BUCKETS + count[..., 1])
    return found[0], found[1]


def _rows(sums: Tensor, at: Tensor) -> Tensor:
    """Return the rows of sums (N, T + 1, shifts, 2) at cells (N or 1, T)."""
    if len(at) == 1:
        return sums[:, at[0]]
    return sums.gather(1, at[:, :, None, None].expand(-1, -1, *sums.shape[2:]))
