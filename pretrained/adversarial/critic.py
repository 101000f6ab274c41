"""The critic: a convolutional network over the onset and pitch roll of a line.

It is trained to tell real lines from generated ones as the Wasserstein distance does (Arjovsky et
al. 2017, arXiv 1701.07875), with a penalty on gradients whose norm is not 1 (Gulrajani et al. 2017,
arXiv 1704.00028). As that paper asks, there is no batch normalisation.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.music.codec import FIRST_PITCH
from pretrained.networks.inputs import PLACE_SIZES

SLOPE = 0.2  # of the leaky ReLU below 0


class RollCritic(nn.Module):
    """A network of a number for each line: the higher, the more it is taken to be real.

    Args:
        vocab: number of tokens.
        width: channels of the first layer; the others have twice as many.
    """

    def __init__(self, vocab: int, width: int) -> None:
        super().__init__()
        self.roll = nn.Linear(2 * vocab - FIRST_PITCH, width)
        tables = [nn.Embedding(size, width) for size in PLACE_SIZES]
        for table in tables:
            nn.init.normal_(table.weight, std=0.02)
        self.place = nn.ModuleList(tables)
        wide = 2 * width
        self.layers = nn.ModuleList(
            [
                nn.Conv1d(width, wide, 5, stride=2, padding=2),
                nn.Conv1d(wide, wide, 5, stride=2, padding=2),
                nn.Conv1d(wide, wide, 5, padding=2),
                nn.Conv1d(wide, wide, 5, padding=8, dilation=4),
            ]
        )
        self.judge = nn.Linear(2 * wide, 1)

    def forward(self, roll: Tensor, place: Tensor) -> Tensor:
        """Return a number (B,) for each line.

        Args:
            roll: (B, T, 2 * vocab - 2): tokens and sounding pitches side by side.
            place: (B, T, 6) int64, see `pretrained.networks.inputs.PLACE`.
        """
        x = self.roll(roll)
        for number, table in enumerate(self.place):
            x = x + table(place[..., number].clamp(max=PLACE_SIZES[number] - 1))
        x = functional.leaky_relu(x, SLOPE).transpose(1, 2)
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), SLOPE)
        found = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
        verdict: Tensor = self.judge(found)[:, 0]
        return verdict


def slopes(critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, mix: Tensor) -> Tensor:
    """Return the norms (B,) of a critic's gradients at points between real and generated lines.

    Args:
        critic: returns a number (B,) for each roll.
        real: (B, T, n) rolls.
        made: (B, T, n) generated rolls.
        mix: (B,) numbers 0..1, the share of the real roll.
    """
    share = mix[:, None, None]
    between = (share * real + (1 - share) * made).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    # The root of exactly 0 has no gradient: a flat critic could never be bent.
    return (gradient.square().sum(dim=(1, 2)) + 1e-12).sqrt()


def penalty_of(norms: Tensor) -> Tensor:
    """Return the mean square by which gradients' norms (B,) differ from 1."""
    return (norms - 1).square().mean()
