"""PriorPolicy: a Stable-Baselines3 policy whose action probabilities start as the prior's."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from envs.durable_files import write_atomic
from envs.music.codec import UNWRITTEN
from envs.music.task import CONTEXT
from pretrained import checkpoint
from pretrained.prior import ILLEGAL, Trainable, draw

CELL, CELLS, VOICE, VOICES = (CONTEXT.index(n) for n in ("cell", "cells", "voice", "voices"))
PLAN = [n for n, name in enumerate(CONTEXT) if name not in ("cell", "cell_in_bar", "voice")]
Observation = Mapping[str, Tensor]


class _Memory(NamedTuple):
    """The tokens that acting has read, and the architecture's answer at the next cell."""

    plan: Tensor  # what of the context is the same in all cells of a piece
    read: Tensor  # (B, n) the tokens of the first n cells, in writing order
    ahead: Tensor  # (B, ...) the cells behind the next one; none if it does not hear them
    state: Any  # the architecture's
    logits: Tensor  # (B, vocab)
    features: Tensor  # (B, n_features)

    def begins(self, plan: Tensor, read: Tensor) -> bool:
        """True if pieces of a plan that have read more, (B, steps), begin with what is here."""
        known = read[:, : self.read.shape[1]]
        longer = read.shape[1] > self.read.shape[1]
        return longer and torch.equal(plan, self.plan) and torch.equal(known, self.read)

    def answers(self, plan: Tensor, read: Tensor, ahead: Tensor) -> bool:
        """True if pieces of a plan that have read tokens, with cells ahead, are what is here."""
        pairs = ((plan, self.plan), (read, self.read), (ahead, self.ahead))
        return all(torch.equal(one, other) for one, other in pairs)


class PriorPolicy(BasePolicy):
    """Actor and critic on one network that starts as the prior's, of any architecture.

    The action logits are the network's, masked by the observation's `action_mask`; before the
    first update they are the prior's exactly. The value is a linear read-out of the same
    features. Works in PPO and A2C, with SB3's buffers or with
    `agents.learning.rollout.EpisodeBuffer`.

    Args:
        observation_space: of a composition environment.
        action_space: of a composition environment.
        lr_schedule: learning rate against the remaining progress (1 to 0), as SB3 gives it.
        use_sde: must be False; there is no continuous action to explore.
        prior: name or path of a checkpoint, or a prior whose network can be trained.
        value_gradient: whether the value's error also trains the network.
        bf16: read whole pieces in bfloat16 while learning. Log-probabilities then differ from
            those of acting by about a thousandth of a nat; acting stays in float32.
        optimizer_class: the optimiser, Adam by default.
        optimizer_kwargs: its further arguments.

    Raises:
        FileNotFoundError, ValueError: the prior cannot be loaded or does not fit the spaces.
        TypeError: a prior without a network that can be trained.
    """

    # fused: one kernel for each weight, a tenth of the update's time otherwise
    adam: ClassVar[dict[str, Any]] = {"eps": 1e-5, "fused": True}

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        use_sde: bool = False,
        *,
        prior: str | os.PathLike[str] | Trainable = "folk",
        value_gradient: bool = True,
        bf16: bool = False,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if "context" not in getattr(observation_space, "spaces", {}):
            raise ValueError("PriorPolicy needs the Dict observations of a composition environment")
        if optimizer_kwargs is None and optimizer_class is torch.optim.Adam:
            optimizer_kwargs = self.adam
        super().__init__(
            observation_space,
            action_space,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        self.model: Trainable = copy.deepcopy(loaded(prior))
        self.value_gradient = value_gradient
        self.bf16 = bf16
        self.net = self.model.net.requires_grad_(True)
        self.value = nn.Linear(self.model.n_features, 1)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)
        settings = {"lr": lr_schedule(1), **self.optimizer_kwargs}
        self.optimizer = self.optimizer_class(self.parameters(), **settings)
        self._memory: _Memory | None = None

    # -- acting ----------------------------------------------------------------------------------

    def forward(
        self, obs: Observation, deterministic: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions (B,), values (B, 1) and log-probabilities (B,) for the next cell."""
        log_probs, values = self._judge(obs, obs["action_mask"], PriorPolicy._act)
        actions = self._choose(log_probs, obs["action_mask"], deterministic)
        return actions, values, log_probs.gather(1, actions[:, None])[:, 0]

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        log_probs, _ = self._judge(observation, observation["action_mask"], PriorPolicy._act)
        return PriorPolicy._choose(self, log_probs, observation["action_mask"], deterministic)

    def _choose(self, log_probs: Tensor, mask: Tensor, deterministic: bool) -> Tensor:
        """Return actions (B,): the likeliest ones, or drawn ones."""
        return log_probs.argmax(dim=1) if deterministic else draw(log_probs)

    def _judge(self, obs: Observation, mask: Tensor, read: Reader) -> tuple[Tensor, Tensor]:
        """Return the policy's log-probabilities (N, vocab), and values (N, 1) of the states.

        Args:
            obs: observations.
            mask: (N, vocab), 0 for what is forbidden.
            read: method of a PriorPolicy by which its network reads them.
        """
        logits, features = read(self, obs)
        return mask_logits(logits, mask), self._value(features)

    def set_training_mode(self, mode: bool) -> None:
        """Switch training on or off, see SB3; training changes the weights that acting has read."""
        if mode:
            self._memory = None
        super().set_training_mode(mode)

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        """Load weights, see `torch.nn.Module`, and forget what acting read with the old ones."""
        self._memory = None
        return super().load_state_dict(*arguments, **options)

    def _act(self, obs: Observation) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, ...) at the next cells; read only what is new, if it can.

        Pieces at different cells, or of different plans, are read anew.
        """
        context, tokens = _of_a_composition(obs)
        if (context != context[0]).any():
            self._memory = None
            return self._encode(obs)
        voices, cells = tokens.shape[1:]
        step = int(context[0, CELL]) * voices + int(context[0, VOICE])
        plan, line = context[0, PLAN], tokens.transpose(1, 2).flatten(1)
        read, ahead = line[:, :step], line[:, step + 1 :]
        if not self.model.hears_ahead:
            ahead = ahead[:, :0]
        memory, page = self._memory, {"page": tokens} if (ahead != UNWRITTEN).any() else {}
        if memory is not None and memory.answers(plan, read, ahead):
            return memory.logits, memory.features
        if memory is not None and memory.begins(plan, read):
            known, state = memory.read.shape[1], memory.state
        else:
            known, state = 0, self.model.begin(context, voices, cells)
        logits, features, state = self.model.advance(state, read[:, known:], **page, **_seen(obs))
        self._memory = _Memory(plan.clone(), read.clone(), ahead.clone(), state, logits, features)
        return logits, features

    def _encode(self, obs: Observation) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, ...) at any cells, by reading each page up to its cell."""
        context, tokens = _of_a_composition(obs)
        cell = (context[:, CELL] * context[:, VOICES] + context[:, VOICE]).long()
        return self.model.forward_at(tokens, context, cell, **_seen(obs))

    # -- learning --------------------------------------------------------------------------------

    def evaluate_actions(self, obs: Observation, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return values, log-probabilities and entropies of actions taken, (N,) each.

        Args:
            obs: observations (N, ...) of single cells; or whole pieces as EpisodeBuffer gives
                them, "pieces" (B, V, T), "action_mask" (B, steps, vocab) and, if cells are given,
                "given" (B, V, T), with N = B * steps. With "seen" if the model has a sight.
            actions: (N,) in writing order, piece after piece.
        """
        mask, read = obs["action_mask"], PriorPolicy._encode
        if "pieces" in obs:
            mask, read = mask.flatten(0, 1), PriorPolicy._read_pieces
        log_probs, values = self._judge(obs, mask, read)
        chosen = log_probs.gather(1, actions.long().reshape(-1, 1))[:, 0]
        entropy = -(log_probs.exp() * log_probs).sum(dim=1)
        return values[:, 0], chosen, entropy

    def _read_pieces(self, obs: Observation) -> tuple[Tensor, Tensor]:
        """Return logits and features of every cell in writing order, in one teacher-forced pass."""
        bf16 = self.bf16 and self.training
        known = _seen(obs)
        if self.model.hears_ahead and "given" in obs and obs["given"].any():
            known["given"] = obs["given"].bool()
        logits, features = self.model.forward(obs["pieces"], obs["context"], bf16, **known)
        return logits.flatten(0, 1), features.flatten(0, 1)

    def predict_values(self, obs: Observation) -> Tensor:
        """Return values (B, 1) of the next cells."""
        return self._judge(obs, obs["action_mask"], PriorPolicy._encode)[1]

    def _value(self, features: Tensor) -> Tensor:
        values: Tensor = self.value(features if self.value_gradient else features.detach())
        return values

    # -- exchange --------------------------------------------------------------------------------

    def as_prior(self) -> Trainable:
        """Return a copy of the network as a prior, to be sampled, scored or fine-tuned again."""
        prior = copy.deepcopy(self.model)
        prior.net.cpu().eval().requires_grad_(False)
        return prior

    def export(self, path: str | os.PathLike[str], notes: Mapping[str, Any] | None = None) -> None:
        """Write network and value head as a checkpoint that loads as a prior."""
        write_atomic(Path(path), self.packed(notes))

    def packed(self, notes: Mapping[str, Any] | None = None) -> bytes:
        """Return the bytes that `export` writes."""
        extra = {f"value.{name}": t for name, t in self.value.state_dict().items()}
        return checkpoint.pack(self.model, notes=notes, extra=extra)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        data = super()._get_constructor_parameters()
        data.update(
            lr_schedule=_no_rate,
            prior=self.as_prior(),
            value_gradient=self.value_gradient,
            bf16=self.bf16,
            optimizer_class=self.optimizer_class,
            optimizer_kwargs=self.optimizer_kwargs,
        )
        for unused in ("normalize_images", "features_extractor_class", "features_extractor_kwargs"):
            data.pop(unused, None)
        return data


Reader = Callable[[PriorPolicy, Observation], tuple[Tensor, Tensor]]


def _no_rate(remaining: float) -> float:
    """Return the learning rate of a policy that is loaded alone; with a name it can be pickled."""
    return 0.0


def mask_logits(logits: Tensor, mask: Tensor) -> Tensor:
    """Log-probabilities (N, vocab) with what the mask (N, vocab) forbids at ILLEGAL."""
    return logits.masked_fill(mask == 0, ILLEGAL).log_softmax(dim=-1)


def loaded(prior: str | os.PathLike[str] | Trainable) -> Trainable:
    """Return a prior itself, or the one that a checkpoint holds.

    Raises:
        TypeError: a prior without a network that can be trained.
    """
    if isinstance(prior, (str, os.PathLike)):
        return checkpoint.load(prior)
    if not isinstance(prior, Trainable):
        raise TypeError(
            f"prior is a {type(prior).__name__}, which has no network to train; expected a "
            "pretrained.prior.Trainable, such as pretrained.load gives, or a checkpoint's name"
        )
    return prior


def _seen(obs: Observation) -> dict[str, Tensor]:
    """Return what rules see, if the observations have it, as a keyword of a `Trainable`."""
    return {"seen": obs["seen"]} if "seen" in obs else {}


def _of_a_composition(obs: Observation) -> tuple[Tensor, Tensor]:
    """Return context (B, len(CONTEXT)) and tokens (B, V, T) int64 of observations.

    Raises:
        ValueError: they are not those of a composition environment any more.
    """
    context, tokens = obs["context"], obs["tokens"]
    first, got = context[0].tolist(), list(tokens.shape[1:])
    asked, whole = [first[VOICES], first[CELLS]], True
    if tokens.is_floating_point():
        whole = bool(((tokens == tokens.round()) & (tokens >= UNWRITTEN)).all())
    if asked != got or not whole:
        raise ValueError(
            "observations have been changed, as by VecNormalize: expected whole tokens of "
            f"{got} voices and cells, got a context of {asked}; leave observations as they are, "
            "with VecNormalize(env, norm_obs=False)"
        )
    return context, tokens.long()
