"""The prior's policy and buffer for sb3-contrib's MaskablePPO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.maskable.buffers import (
    MaskableDictRolloutBuffer,
    MaskableRolloutBufferSamples,
)
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from torch import Tensor

from agents.learning.policy import Observation, PriorPolicy
from agents.learning.rollout import EpisodeBuffer
from envs.music.tape import Array


class MaskablePriorPolicy(PriorPolicy):
    """PriorPolicy that also takes `action_masks`; a token must be allowed by both masks."""

    def forward(
        self, obs: Observation, deterministic: bool = False, action_masks: Array | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose actions, see PriorPolicy; `action_masks` (B, vocab) are the allowed ones."""
        return super().forward(self._narrowed(obs, action_masks), deterministic)

    def evaluate_actions(
        self, obs: Observation, actions: Tensor, action_masks: Array | Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Evaluate actions, see PriorPolicy; `action_masks` (N, vocab) were the allowed ones."""
        return super().evaluate_actions(self._narrowed(obs, action_masks), actions)

    def predict(
        self,
        observation: Any,
        state: tuple[Array, ...] | None = None,
        episode_start: Array | None = None,
        deterministic: bool = False,
        action_masks: Array | None = None,
    ) -> tuple[Array, tuple[Array, ...] | None]:
        """Choose actions, see SB3; `action_masks` (B, vocab) or (vocab,) are the allowed ones."""
        if action_masks is not None:
            shape = np.shape(observation["action_mask"])
            masks = np.asarray(action_masks).reshape(shape)
            both = observation["action_mask"] * masks.astype(np.int8)
            observation = {**observation, "action_mask": both}
        return super().predict(observation, state, episode_start, deterministic)

    def _narrowed(self, obs: Observation, masks: Array | Tensor | None) -> Observation:
        if masks is None:
            return obs
        mask = obs["action_mask"]
        other = torch.as_tensor(masks, device=mask.device).reshape(mask.shape).to(mask.dtype)
        return {**obs, "action_mask": mask * other}


class MaskableEpisodeBuffer(EpisodeBuffer):
    """EpisodeBuffer that stores the masks that actions were chosen under."""

    def add(self, *arguments: Any, action_masks: Array | None = None, **named: Any) -> None:
        """Add a cell of every environment, see SB3, with `action_masks` (n_envs, vocab)."""
        at = self.pos
        super().add(*arguments, **named)
        if action_masks is not None:
            self.masks[at] &= np.asarray(action_masks, np.int8).reshape(self.masks[at].shape)

    def get(self, batch_size: int | None = None) -> Iterator[Any]:  # type: ignore[override]
        """Yield minibatches of whole pieces, with their masks."""
        for samples in super().get(batch_size):
            masks: Tensor = samples.observations["action_mask"]  # type: ignore[index]
            yield MaskableRolloutBufferSamples(*samples, masks.flatten(0, 1))


# MaskablePPO checks isinstance of its own classes; these have the same interface, not the code.
MaskableActorCriticPolicy.register(MaskablePriorPolicy)
MaskableDictRolloutBuffer.register(MaskableEpisodeBuffer)
