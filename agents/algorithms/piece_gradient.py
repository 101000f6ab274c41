"""Policy gradients on whole pieces: REINFORCE with the other pieces of a group as baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.utils import FloatSchedule

from agents.algorithms.piece_learner import PieceLearner
from agents.learning.rollout import EpisodeBuffer
from envs.music.tape import Array


def group_advantages(returns: Array, group_size: int, divide: bool) -> Array:
    """Return the advantage (N,) of each piece over the other pieces of its group.

    RLOO: A_i = R_i - mean of R_j over the others of the group (Kool et al. 2019; Ahmadian et
    al. 2024). GRPO: A_i = (R_i - mean R) / std R over the group (Shao et al. 2024).

    Args:
        returns: (N,) of finished pieces, the pieces of a group side by side.
        group_size: pieces in a group, at least 2.
        divide: True to divide by the group's standard deviation (GRPO).

    Raises:
        ValueError: N is no multiple of `group_size`, or `group_size` is below 2.
    """
    if group_size < 2 or len(returns) % group_size:
        raise ValueError(
            f"group_size={group_size}: expected at least 2 and a divisor of the {len(returns)} "
            "pieces in a rollout (n_envs)"
        )
    groups = np.asarray(returns, np.float64).reshape(-1, group_size)
    centred = groups - groups.mean(axis=1, keepdims=True)
    if divide:
        advantages = centred / (groups.std(axis=1, keepdims=True) + 1e-8)
    else:
        advantages = centred * group_size / (group_size - 1)
    return advantages.reshape(-1).astype(np.float32)


class PieceBuffer(EpisodeBuffer):
    """A buffer of whole pieces in which all cells of a piece have the advantage of its return.

    Args:
        *arguments: see EpisodeBuffer.
        group_size: pieces that are compared with each other; they begin from the same page.
        divide: see `group_advantages`.
        **settings: see EpisodeBuffer.
    """

    def __init__(
        self, *arguments: Any, group_size: int = 32, divide: bool = False, **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self.group_size, self.divide = group_size, divide
        group_advantages(np.zeros(self.n_envs), group_size, divide)  # refuses a wrong size now

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: Array) -> None:
        """Score the pieces and set their advantages and returns.

        Raises:
            RewardError: a reward term failed.
        """
        self.pay()
        advantages = group_advantages(self.piece_returns(), self.group_size, self.divide)
        by_episode = advantages.reshape(self.episodes, self.n_envs)
        self.advantages = np.repeat(by_episode, self.steps, axis=0)
        self.returns = self.values + self.advantages


class PieceGradient(PieceLearner):
    """REINFORCE on finished pieces, with PPO's clipped ratio for further passes over a rollout.

    With `n_epochs=1` and one minibatch the gradient is mean(A(piece) * grad log pi(token)). A is
    divided by its standard deviation in the rollout, so that a learning rate suits rewards of any
    size. There is no critic.

    Args:
        *arguments: see SB3's OnPolicyAlgorithm.
        batch_size: cells in a minibatch of whole pieces.
        n_epochs: passes over each rollout.
        clip_range: of the probability ratio of a token.
        **settings: see SB3's OnPolicyAlgorithm.
    """

    def __init__(
        self,
        *arguments: Any,
        batch_size: int = 8192,
        n_epochs: int = 1,
        clip_range: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.batch_size, self.n_epochs = batch_size, n_epochs
        self.clip_range = FloatSchedule(clip_range)

    def train(self) -> None:
        """Update the policy on the rollout just collected."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip = self.clip_range(self._current_progress_remaining)
        scale = float(self.rollout_buffer.advantages.std()) + 1e-8
        losses = []
        for _ in range(self.n_epochs):
            for data in self.rollout_buffer.get(self.batch_size):
                _, log_prob, _ = self.policy.evaluate_actions(
                    data.observations, data.actions.flatten()
                )
                ratio = torch.exp(log_prob - data.old_log_prob)
                advantages = data.advantages / scale
                clipped = torch.clamp(ratio, 1 - clip, 1 + clip)
                loss = -torch.min(advantages * ratio, advantages * clipped).mean()
                losses.append(self.descend(loss, self.policy.optimizer))
        self.record(self.n_epochs, policy_gradient_loss=float(np.mean(losses)))
