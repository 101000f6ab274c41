"""QPolicy: Q-values on the prior's network, and the policy drawn from them."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from agents.learning.policy import Observation, PriorPolicy, Reader, loaded, mask_logits
from envs.errors import did_you_mean
from pretrained import checkpoint
from pretrained.networks.architectures import plus
from pretrained.prior import ILLEGAL, Trainable, draw


@dataclass(frozen=True)
class Kind:
    """The choices in which the kinds of Q-learning differ.

    Attributes:
        soft: the value of a state is logsumexp_a, not max_a, of its action values.
        beside_prior: the policy is softmax(Q + log p), so Q starts at 0 and rewards leave the
            prior out; else softmax(Q), and Q starts as the prior's logits.
        quantiles: the network gives quantiles of each action's return, whose mean is Q.
        huber: the loss is Huber's.
    """

    soft: bool = False
    beside_prior: bool = False
    quantiles: bool = False
    huber: bool = False


# q, psi and g as Jaques et al. (2017), section 4; dqn as Mnih et al. (2015); qrdqn as Dabney et
# al. (2018), "Distributional reinforcement learning with quantile regression".
KINDS: Mapping[str, Kind] = {
    "q": Kind(),
    "psi": Kind(soft=True),
    "g": Kind(soft=True, beside_prior=True),
    "dqn": Kind(huber=True),
    "qrdqn": Kind(quantiles=True, huber=True),
}


class QPolicy(PriorPolicy):
    """A policy softmax(Q / temperature) whose Q-network is the prior's network.

    Before the first update the policy is the prior exactly. Acting explores if `epsilon` is set;
    `predict` does not. Log-probabilities are those of the softmax policy, which is also what is
    exported, however the action was found.

    Args:
        observation_space: of a composition environment.
        action_space: of a composition environment.
        lr_schedule: learning rate against the remaining progress (1 to 0), as SB3 gives it.
        use_sde: must be False; there is no continuous action to explore.
        prior: name or path of a checkpoint, or a prior.
        kind: a name of KINDS.
        n_quantiles: of each action's return (qrdqn).
        temperature: divides Q in the policy. Q starts multiplied by it.
        **settings: see PriorPolicy: bf16, optimizer_class, optimizer_kwargs.

    Raises:
        FileNotFoundError, ValueError: the prior cannot be loaded or does not fit the spaces; an
            unknown kind, a temperature that is not above 0, or no quantile.
    """

    adam: ClassVar[dict[str, Any]] = {"fused": True}

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        use_sde: bool = False,
        *,
        prior: str | os.PathLike[str] | Trainable = "folk",
        kind: str = "q",
        n_quantiles: int = 25,
        temperature: float = 1.0,
        **settings: Any,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(
                f"unknown kind of Q-learning {kind!r}.{did_you_mean(kind, KINDS)} "
                f"Known: {', '.join(KINDS)}"
            )
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature={temperature}: expected a number above 0")
        if n_quantiles < 1:
            raise ValueError(f"n_quantiles={n_quantiles}: expected at least 1")
        prior = loaded(prior)
        if not isinstance(getattr(prior.net, "head", None), nn.Linear):
            raise ValueError(
                f"Q-learning widens the read-out: expected net.head as an nn.Linear, architecture "
                f"{prior.format!r} has none; use another algorithm, such as ppo, or another prior"
            )
        common = (observation_space, action_space, lr_schedule, use_sde)
        super().__init__(*common, prior=prior, **settings)
        del self.value
        self.kind_name, self.kind = kind, KINDS[kind]
        self.temperature = temperature
        self.n_quantiles = n_quantiles if self.kind.quantiles else 1
        self.epsilon: float | None = None  # share of random tokens in acting; None: draw from Q
        self.reference: PriorPolicy | None = None  # the fixed prior, where Q stands beside it
        if self.kind.beside_prior:
            self.reference = PriorPolicy(*common, prior=prior, bf16=self.bf16).requires_grad_(False)
        _widen(self.net, self.n_quantiles, 0.0 if self.kind.beside_prior else temperature)
        self.target_model = copy.deepcopy(self.model)
        self.target = self.target_model.net.requires_grad_(False)
        of_optimizer = {"lr": lr_schedule(1), **self.optimizer_kwargs}
        self.optimizer = self.optimizer_class(self.net.parameters(), **of_optimizer)

    # -- values ----------------------------------------------------------------------------------

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the Q-values (..., vocab) of a network's outputs (..., vocab * n_quantiles)."""
        return outputs if self.n_quantiles == 1 else self.quantiles(outputs).mean(dim=-1)

    def quantiles(self, outputs: Tensor) -> Tensor:
        """Return the quantiles (..., vocab, n_quantiles) of a network's outputs."""
        return outputs.unflatten(-1, (-1, self.n_quantiles))

    def _judge(self, obs: Observation, mask: Tensor, read: Reader) -> tuple[Tensor, Tensor]:
        q = self.mean(read(self, obs)[0])
        logits, log_p = q / self.temperature, None
        if self.reference is not None:
            prior_logits = read(self.reference, obs)[0]
            logits, log_p = logits + prior_logits, mask_logits(prior_logits, mask)
        values = state_values(self.kind, q, mask, log_p)
        return mask_logits(logits, mask), values[:, None]

    def _choose(self, log_probs: Tensor, mask: Tensor, deterministic: bool) -> Tensor:
        """Return actions (B,); with `epsilon` the best ones, or in that share any allowed one."""
        if deterministic or self.epsilon is None:
            return super()._choose(log_probs, mask, deterministic)
        anything = draw(mask_logits(torch.zeros_like(log_probs), mask))
        explore = torch.rand(len(anything), device=anything.device) < self.epsilon
        return torch.where(explore, anything, log_probs.argmax(dim=1))

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        """Load weights, see PriorPolicy; the fixed prior forgets what it read too."""
        if self.reference is not None:
            self.reference.set_training_mode(True)  # forgets
            self.reference.set_training_mode(self.training)
        return super().load_state_dict(*arguments, **options)

    # -- exchange --------------------------------------------------------------------------------

    def as_prior(self) -> Trainable:
        """Return the softmax policy as a prior of logits: what is exported.

        Quantiles are averaged and the temperature is divided out in the read-out. Where Q stands
        beside the prior the logits of the two are added, exactly, see `architectures.plus`.
        """
        prior = super().as_prior()
        head: nn.Linear = prior.net.head  # type: ignore[assignment]
        # New layers draw their first weights; what learning draws must not depend on exports.
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            weight = self.mean(head.weight.t()).t() / self.temperature
            bias = self.mean(head.bias) / self.temperature
            prior.net.head = _linear(weight, bias).requires_grad_(False)
            return prior if self.reference is None else plus(self.reference.as_prior(), prior)

    def packed(self, notes: Mapping[str, Any] | None = None) -> bytes:
        """Return the softmax policy as the bytes of a checkpoint that loads as a prior."""
        return checkpoint.pack(self.as_prior(), notes=notes)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        data = super()._get_constructor_parameters()
        data.pop("value_gradient")
        fixed = self.reference.as_prior() if self.reference is not None else self.as_prior()
        own = {"kind": self.kind_name, "n_quantiles": self.n_quantiles}
        return {**data, "prior": fixed, "temperature": self.temperature, **own}


def state_values(kind: Kind, q: Tensor, mask: Tensor, log_p: Tensor | None = None) -> Tensor:
    """Return values (...) of states from their action values.

    q: max_a Q. psi: logsumexp_a Q. g: logsumexp_a (Q + log p). Only over what is allowed.
    Source: Jaques et al. (2017), equations 5, 7 and 8.

    Args:
        kind: of Q-learning.
        q: (..., vocab).
        mask: (..., vocab), 0 for what is forbidden.
        log_p: (..., vocab) nats of the prior, for a kind that stands beside it.
    """
    scores = q if log_p is None else q + log_p
    scores = scores.masked_fill(mask == 0, ILLEGAL)
    return scores.logsumexp(dim=-1) if kind.soft else scores.max(dim=-1).values


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Return a layer of given weights (out, in) and bias (out,)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0]).to(weight.device)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


def _widen(net: nn.Module, copies: int, factor: float) -> None:
    """Repeat each output of the read-out `copies` times, side by side, times a factor."""
    head: nn.Linear = net.head  # type: ignore[assignment]
    weight, bias = head.weight.detach() * factor, head.bias.detach() * factor
    net.head = _linear(
        weight.repeat_interleave(copies, dim=0), bias.repeat_interleave(copies, dim=0)
    )
