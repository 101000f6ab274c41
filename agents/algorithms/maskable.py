"""Masked and recurrent: the prior's policy for sb3-contrib's MaskablePPO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from torch import Tensor

from agents.learning.policy import Observation, PriorPolicy
from agents.learning.rollout import EpisodeBuffer

Array = npt.NDArray[Any]


class MaskablePriorPolicy(PriorPolicy):
    """PriorPolicy that also takes masks from outside; a token needs the leave of both."""

    def forward(
        self, obs: Observation, deterministic: bool = False, action_masks: Array | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Act under `action_masks` (B, vocab) as well, see `PriorPolicy.forward`."""
        return super().forward(self._narrowed(obs, action_masks), deterministic)

    def evaluate_actions(
        self, obs: Observation, actions: Tensor, action_masks: Array | Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Judge actions taken under `action_masks` (N, vocab) as well, see PriorPolicy."""
        return super().evaluate_actions(self._narrowed(obs, action_masks), actions)

    def predict(
        self,
        observation: Any,
        state: tuple[Array, ...] | None = None,
        episode_start: Array | None = None,
        deterministic: bool = False,
        action_masks: Array | None = None,
    ) -> tuple[Array, tuple[Array, ...] | None]:
        """Predict under `action_masks` (B, vocab) or (vocab,) as well, see SB3."""
        if action_masks is not None:
            shape = np.shape(observation["action_mask"])
            masks = np.asarray(action_masks).reshape(shape)
            both = observation["action_mask"] * masks.astype(np.int8)
            observation = {**observation, "action_mask": both}
        return super().predict(observation, state, episode_start, deterministic)

    def _narrowed(self, obs: Observation, masks: Array | Tensor | None) -> Observation:
        if masks is None:
            return obs
        own = obs["action_mask"]
        given = torch.as_tensor(masks, device=own.device).reshape(own.shape).to(own.dtype)
        return {**obs, "action_mask": own * given}


class MaskedSamples(NamedTuple):
    """A minibatch of whole pieces, named as MaskablePPO reads it."""

    observations: Any
    actions: Tensor
    old_values: Tensor
    old_log_prob: Tensor
    advantages: Tensor
    returns: Tensor
    action_masks: Tensor


class MaskableEpisodeBuffer(EpisodeBuffer):
    """EpisodeBuffer that keeps the masks played under."""

    def add(self, *arguments: Any, action_masks: Array | None = None, **named: Any) -> None:
        """One cell of every environment; `action_masks` (n_envs, vocab) beside SB3's."""
        at = self.pos
        super().add(*arguments, **named)
        if action_masks is not None:
            self.masks[at] &= np.asarray(action_masks, np.int8).reshape(self.masks[at].shape)

    def get(self, batch_size: int | None = None) -> Iterator[Any]:  # type: ignore[override]
        """Minibatches of whole pieces, with their masks."""
        for samples in super().get(batch_size):
            masks: Tensor = samples.observations["action_mask"]  # type: ignore[index]
            yield MaskedSamples(*samples, masks.flatten(0, 1))


# MaskablePPO asks for its own classes by isinstance; these keep their contract without their code.
MaskableActorCriticPolicy.register(MaskablePriorPolicy)
MaskableDictRolloutBuffer.register(MaskableEpisodeBuffer)
