"""PieceLearner: what algorithms without a critic share that learn from whole pieces."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from agents.learning.rollout import EpisodeBuffer

# Arguments that SB3's base class needs and these algorithms do not use. With gae_lambda 1 the
# buffer's returns, which only the metrics use, are those of the pieces.
UNUSED: dict[str, Any] = {
    "gae_lambda": 1.0,
    "ent_coef": 0.0,
    "vf_coef": 0.0,
    "use_sde": False,
    "sde_sample_freq": -1,
}


class PieceLearner(OnPolicyAlgorithm):
    """An SB3 algorithm that collects rollouts of whole pieces; a subclass adds `train`.

    Args:
        *arguments: see SB3's OnPolicyAlgorithm.
        **settings: see SB3's OnPolicyAlgorithm; those of a critic may be left out.
    """

    rollout_buffer: EpisodeBuffer

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **UNUSED | settings)
        self._n_updates = 0

    def descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> float:
        """Make a step along the gradient of a loss, clipped to `max_grad_norm`; return the loss."""
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        optimizer.step()
        return float(loss.item())

    def record(self, updates: int, **figures: float) -> None:
        """Log figures of a training and count its updates."""
        self._n_updates += updates
        for name, value in figures.items():
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
