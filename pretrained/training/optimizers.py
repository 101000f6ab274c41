"""Optimisers of a training of a prior: AdamW, or Muon for the matrices inside the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pretrained.networks.network_prior import Network

MUON_RATE = 5.0  # learning rate of Muon, matched to AdamW's by the size of its steps, over AdamW's
BETAS = {"adamw": (0.9, 0.999), "muon": (0.9, 0.98)}  # of AdamW, alone or beside Muon
STEEPEST = 1.0  # norm to which gradients are cut


class Descent(Protocol):
    """Settings of a training."""

    def setting(self, name: str) -> Any:
        """Return the setting of a name: optimizer, learning_rate or weight_decay."""


class Optimizers:
    """The optimisers that change the weights of a network in training.

    Args:
        net: the network.
        config: settings of the training.
    """

    def __init__(self, net: Network, config: Descent) -> None:
        name, rate = config.setting("optimizer"), config.setting("learning_rate")
        decay = config.setting("weight_decay")
        matrices = list(_matrices(net)) if name == "muon" else []
        inside = {id(weight) for weight in matrices}
        others = [weight for weight in net.parameters() if id(weight) not in inside]
        self._all: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, rate, BETAS[name], weight_decay=decay)
        ]
        if matrices:
            self._all.append(
                torch.optim.Muon(matrices, MUON_RATE * rate, decay, adjust_lr_fn="match_rms_adamw")
            )
        self._peaks = [optimizer.param_groups[0]["lr"] for optimizer in self._all]
        ahead = [w for name, w in net.named_parameters() if name.startswith("ahead.")]
        first = {id(weight) for weight in ahead}
        self._parts = [[w for w in net.parameters() if id(w) not in first], ahead]

    def descend(self, loss: Tensor, share: float) -> None:
        """Change the weights by the gradient of a loss; `share` is of the peak learning rate.

        The gradients of what reads ahead are cut apart from the others', which they do not move.
        """
        for optimizer, peak in zip(self._all, self._peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * share
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for part in self._parts:
            nn.utils.clip_grad_norm_(part, STEEPEST)
        for optimizer in self._all:
            optimizer.step()


def _matrices(net: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the weights of layers from features to features; no embedding and no read-out."""
    for module in net.modules():
        if isinstance(module, (nn.LSTM, nn.GRU, nn.Linear)) and module is not net.head:
            yield from (weight for weight in module.parameters() if weight.ndim == 2)
