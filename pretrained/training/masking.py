"""Which cells of a tune are given while a network learns to fill the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

BARS_HIDDEN, BARS_GIVEN = (
    0.6,
    0.15,
)  # share of tunes with a run of bars hidden, or given; else cells


def draw_given(place: Tensor, real: Tensor, rng: np.random.Generator) -> Tensor:
    """Return which cells (B, T) bool of lines are given: all but some bars, some bars, or any.

    Args:
        place: (B, T, 6), see `pretrained.networks.inputs.PLACE`.
        real: (B, T) bool, False behind the end of a line.
        rng: draws.
    """
    import torch

    bar = (place[..., 0] == 0).cumsum(dim=1)
    bars = (bar * real).amax(dim=1, keepdim=True) + 1
    batch = len(place)
    longest, first, kind, share = (
        torch.from_numpy(rng.random((batch, 1)).astype(np.float32)).to(place.device)
        for _ in range(4)
    )
    length = 1 + (longest**2 * bars / 2).floor()
    start = (first * (bars - length + 1).clamp(min=1)).floor()
    inside = (bar >= start) & (bar < start + length)
    scattered = torch.from_numpy(rng.random(place.shape[:2], np.float32)).to(place.device) < share
    given = torch.where(kind < BARS_HIDDEN, ~inside, inside)
    given = torch.where(kind < BARS_HIDDEN + BARS_GIVEN, given, scattered)
    return given & real
