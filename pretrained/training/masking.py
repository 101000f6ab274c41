"""Which cells of a tune are given while a network learns to fill the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

# Shares of tunes: a run of bars is hidden; some bars are, here and there; a run is given, no more;
# some cells are. Of the last there are as many as the others leave.
RUN_HIDDEN, BARS_HIDDEN, RUN_GIVEN = 0.5, 0.35, 0.05


def draw_given(place: Tensor, real: Tensor, rng: np.random.Generator) -> Tensor:
    """Return which cells (B, T) bool of lines are given: all but some bars, some bars, or any.

    Args:
        place: (B, T, 6), see `pretrained.networks.inputs.PLACE`.
        real: (B, T) bool, False behind the end of a line.
        rng: draws.
    """
    import torch

    def noise(cells: int) -> Tensor:
        drawn = torch.from_numpy(rng.random((len(place), cells), np.float32))
        return drawn.to(place.device)

    bar = (place[..., 0] == 0).cumsum(dim=1)
    bar = bar - bar[:, :1]
    bars = (bar * real).amax(dim=1, keepdim=True) + 1
    longest, first, kind, share = noise(4).split(1, dim=1)
    length = 1 + (longest**2 * bars / 2).floor()
    start = (first * (bars - length + 1)).floor()
    inside = (bar >= start) & (bar < start + length)
    cells = noise(bar.shape[1])
    given = cells < share
    given = torch.where(kind < RUN_HIDDEN + BARS_HIDDEN + RUN_GIVEN, inside, given)
    by_bar = cells.gather(1, bar) < share.sqrt()
    given = torch.where(kind < RUN_HIDDEN + BARS_HIDDEN, by_bar, given)
    given = torch.where(kind < RUN_HIDDEN, ~inside, given)
    return given & real
