"""Q-learning on whole pieces: DQN, QR-DQN and the three targets of RL Tuner."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy.typing as npt
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.utils import polyak_update
from torch import Tensor
from torch.nn import functional

from agents.algorithms.q_policy import QPolicy, find_kind, state_values
from agents.algorithms.replay import PieceMemory, Pieces
from agents.learning.rollout import EpisodeBuffer
from agents.settings.config import EXPLORATIONS
from envs.errors import did_you_mean
from envs.music.task import CONTEXT
from pretrained.prior import ILLEGAL, Trainable

Array = npt.NDArray[Any]
# Lowest and highest value of a setting; a lowest one of None: above 0.
BOUNDS: dict[str, tuple[float | None, float]] = {
    "gamma": (0.0, 1.0),
    "tau": (None, 1.0),
    "replay_ratio": (None, math.inf),
    "batch_size": (1, math.inf),
    "max_grad_norm": (None, math.inf),
    "exploration_fraction": (0.0, 1.0),
    "exploration_initial_eps": (0.0, 1.0),
    "exploration_final_eps": (0.0, 1.0),
}


class QLearning(OnPolicyAlgorithm):
    """Q-learning whose Q-network is the prior's network, read along whole pieces.

    Pieces are collected as SB3's on-policy algorithms do, scored when they are finished, and kept
    in a memory. A minibatch is whole pieces, read by the online and the target network in one
    pass each, so recurrent states are those of the present weights. Every cell of it is one
    experience: the action is the token played, the last cell of a piece has no state after it,
    and the prior is fixed. The hyperparameters' defaults are those of RL Tuner's training script.

    The loss is the mean of (Q(s, a) - y)^2 with y = r / c + gamma V(s'), see `state_values`. The
    rewards of q, psi, dqn and qrdqn are rules / c + log p; those of g are rules / c, as log p is
    in its V and in its policy. c is the buffer's, and may be turned while learning.

    A run's state.zip holds the memory too, unless it is huge (`agents.runs.state`); SB3's
    `save` does not.

    Args:
        policy: QPolicy.
        env: a composition environment, as SB3 sees it.
        learning_rate: of Adam, or a function of the remaining progress.
        kind: a name of `agents.algorithms.q_policy.KINDS`.
        n_steps: cells per environment in a rollout, a multiple of the piece's.
        gamma: discount.
        buffer_size: cells to remember.
        batch_size: cells in a minibatch of whole pieces.
        replay_ratio: cells replayed for each new one.
        tau: target <- target + tau (online - target) after each gradient step.
        max_grad_norm: each gradient tensor by itself is clipped to this L2 norm.
        huber: Huber loss of width 1 instead of the square; None: as the kind has it (dqn).
        double: the target network values the action that the online network prefers (van
            Hasselt et al. 2016); not for soft values.
        n_quantiles: of each action's return (qrdqn).
        temperature: divides Q in the policy.
        exploration: 'boltzmann' draws from the policy, 'egreedy' plays the best or anything.
        exploration_fraction: share of the run over which epsilon falls linearly (egreedy).
        exploration_initial_eps: epsilon at the start; a whole rollout has one epsilon.
        exploration_final_eps: epsilon after that.
        rollout_buffer_class: an EpisodeBuffer.
        rollout_buffer_kwargs: its `objective` and `task`.
        policy_kwargs: the policy's `prior`, `bf16` and optimiser.
        **settings: as SB3's OnPolicyAlgorithm: seed, device, verbose, ...

    Raises:
        ValueError: a setting out of its range, an unknown kind or exploration, a buffer without an
            objective, or a memory smaller than a minibatch.
    """

    policy: QPolicy  # type: ignore[assignment]
    rollout_buffer: EpisodeBuffer

    def __init__(
        self,
        policy: type[QPolicy],
        env: GymEnv | str,
        learning_rate: Any = 1e-3,
        *,
        kind: str = "q",
        n_steps: int = 32,
        gamma: float = 0.5,
        buffer_size: int = 100_000,
        batch_size: int = 2048,
        replay_ratio: float = 6.4,
        tau: float = 0.01,
        max_grad_norm: float = 5.0,
        huber: bool | None = None,
        double: bool = False,
        n_quantiles: int = 25,
        temperature: float = 1.0,
        exploration: str = "boltzmann",
        exploration_fraction: float = 0.3,
        exploration_initial_eps: float = 1.0,
        exploration_final_eps: float = 0.05,
        rollout_buffer_class: type[EpisodeBuffer] = EpisodeBuffer,
        rollout_buffer_kwargs: dict[str, Any] | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.kind = find_kind(kind)
        if double and self.kind.soft:
            raise ValueError(f"double: {kind} has no best action to choose; expected double=False")
        if huber is False and self.kind.quantiles:
            raise ValueError(f"huber=False: the loss of {kind} is a Huber loss; leave huber out")
        self.buffer_size, self.batch_size, self.replay_ratio = buffer_size, batch_size, replay_ratio
        self.tau, self.double = tau, double
        self.huber = self.kind.huber if huber is None else huber
        self.exploration = exploration
        self.exploration_fraction = exploration_fraction
        self.exploration_initial_eps = exploration_initial_eps
        self.exploration_final_eps = exploration_final_eps
        self.gamma, self.max_grad_norm = gamma, max_grad_norm
        self._check_settings()
        own = {"kind": kind, "n_quantiles": n_quantiles, "temperature": temperature}
        super().__init__(
            policy,  # type: ignore[arg-type]  # SB3 names ActorCriticPolicy, uses its methods
            env,
            learning_rate,
            n_steps=n_steps,
            gamma=gamma,
            max_grad_norm=max_grad_norm,
            rollout_buffer_class=rollout_buffer_class,
            rollout_buffer_kwargs=rollout_buffer_kwargs,
            policy_kwargs={**(policy_kwargs or {}), **own},
            **{**_UNUSED, **settings},
        )

    def _check_settings(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if not (value > 0 if low is None else value >= low) or not value <= high:
                words = "above 0" if low is None else f"from {low:g}"
                raise ValueError(f"{name}={value}: expected a number {words} to {high:g}")
        if self.exploration not in EXPLORATIONS:
            raise ValueError(
                f"unknown exploration {self.exploration!r}."
                f"{did_you_mean(self.exploration, EXPLORATIONS)} Known: {', '.join(EXPLORATIONS)}"
            )

    def _setup_model(self) -> None:
        super()._setup_model()
        buffer = self.rollout_buffer
        if buffer.objective is None:
            raise ValueError(
                "QLearning scores finished pieces itself; expected rollout_buffer_kwargs with "
                "'objective' (an Objective) and its 'task'"
            )
        prior = buffer.objective.prior
        if self.kind.beside_prior and prior is not None and prior.weight != 1.0:
            raise ValueError(
                "the policy of this kind is softmax(Q + log p), which is the reward prior=1; "
                f"got prior={prior.weight:g}. Leave prior at 1 and turn c instead"
            )
        self.memory = PieceMemory(
            self.buffer_size,
            buffer.voices,
            buffer.cells,
            int(self.action_space.n),  # type: ignore[attr-defined]
            len(CONTEXT),
            with_prior=self.kind.beside_prior,
        )
        self.batch_pieces = max(1, self.batch_size // buffer.steps)
        if self.batch_pieces > self.memory.pieces:
            raise ValueError(
                f"batch_size={self.batch_size}: expected at most the {self.buffer_size} cells "
                "remembered (buffer_size)"
            )
        self._owed = 0.0  # cells still to be replayed for those collected
        self._n_updates = 0

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "memory"]

    @property
    def c(self) -> float:
        """Number that the rules' rewards are divided by at present."""
        objective = self.rollout_buffer.objective
        return 1.0 if objective is None else objective.c

    # -- collecting ------------------------------------------------------------------------------

    def collect_rollouts(self, *arguments: Any, **named: Any) -> bool:
        """Collect a rollout, with the exploration of the run's present progress."""
        self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
        self.policy.epsilon = self.epsilon
        return super().collect_rollouts(*arguments, **named)

    @property
    def epsilon(self) -> float | None:
        """Share of random tokens at the present progress; None where actions are drawn."""
        if self.exploration != "egreedy":
            return None
        done = 1.0 - self._current_progress_remaining
        fraction = self.exploration_fraction
        share = min(1.0, done / fraction) if fraction else 1.0
        first, last = self.exploration_initial_eps, self.exploration_final_eps
        return first + share * (last - first)

    def _remember(self) -> None:
        """Move the finished pieces of the rollout into the memory."""
        buffer, rollout = self.rollout_buffer, self.rollout_buffer.rollout()
        score, (rules, likely) = rollout.score, rollout.objective.split(rollout.parts)
        self.memory.add(
            tokens=score.tokens,
            context=buffer.context.reshape(score.batch, -1),
            masks=buffer.by_piece(buffer.masks),
            rules=in_writing_order(rules),
            prior=in_writing_order(likely),
            log_p=self._prior_log_probs() if self.kind.beside_prior else None,
        )

    def _prior_log_probs(self) -> Array:
        """Nats (N, steps, vocab) of all tokens under the fixed prior along the new pieces.

        Given cells count as the prior values them: what they cost depends on what stands before.
        """
        if self.policy.reference is None:
            raise ValueError("this kind of policy keeps no prior")
        with torch.no_grad():
            nats = self.policy.reference.model.log_probs(self.rollout_buffer.score())
        return nats.cpu().numpy()

    # -- learning --------------------------------------------------------------------------------

    def train(self) -> None:
        """Replay pieces: `replay_ratio` cells for each cell just collected."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self._remember()
        steps = self._steps_due(self.rollout_buffer.buffer_size * self.n_envs)
        losses = []
        for _ in range(steps):
            pieces = self.memory.sample(self.batch_pieces, self.rollout_buffer.device)
            losses.append(self.learn_from(pieces))
        self._n_updates += steps
        if losses:
            self.logger.record("train/loss", float(torch.stack(losses).mean()))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/pieces_remembered", len(self.memory))
        if self.policy.epsilon is not None:
            self.logger.record("rollout/exploration_rate", self.policy.epsilon)

    def _steps_due(self, new: int) -> int:
        """Gradient steps for `new` cells; none, and none owed, before a minibatch is remembered."""
        if len(self.memory) < self.batch_pieces:
            return 0
        each = self.batch_pieces * self.memory.steps
        self._owed += new * self.replay_ratio
        steps = int(self._owed // each)
        self._owed -= steps * each
        return steps

    def learn_from(self, pieces: Pieces) -> Tensor:
        """One gradient step and one step of the target network; returns the loss, a scalar."""
        policy = self.policy
        loss = self.loss(pieces)
        policy.optimizer.zero_grad()
        loss.backward()
        clip_each(policy.net.parameters(), self.max_grad_norm)
        policy.optimizer.step()
        polyak_update(policy.net.parameters(), policy.target.parameters(), self.tau)
        return loss.detach()

    def loss(self, pieces: Pieces) -> Tensor:
        """Mean error of the played actions' values, a scalar."""
        outputs = self._read(self.policy.model, pieces)
        with torch.no_grad():
            targets = self.targets(pieces, outputs)
        played = of_actions(self.policy.quantiles(outputs), pieces.actions)
        if self.kind.quantiles:
            return quantile_huber_loss(played.flatten(0, 1), targets.flatten(0, 1))
        measure = functional.smooth_l1_loss if self.huber else functional.mse_loss
        return measure(played, targets)

    def targets(self, pieces: Pieces, online: Tensor) -> Tensor:
        """Return the targets (B, steps, n_quantiles) of the played actions' values.

        Args:
            pieces: a minibatch.
            online: the online network's outputs along them; only `double` looks at these.
        """
        policy, kind = self.policy, self.kind
        ahead = self._read(policy.target_model, pieces)
        if self.double or kind.quantiles:
            q = policy.mean(online if self.double else ahead)
            best = q.masked_fill(~pieces.masks, ILLEGAL).argmax(dim=-1)
            values = of_actions(policy.quantiles(ahead), best)
        else:
            values = state_values(kind, ahead, pieces.masks, pieces.log_p)[..., None]
        rewards = pieces.rules / self.c
        if not kind.beside_prior:
            rewards = rewards + pieces.prior
        return bootstrapped(rewards[..., None], values, self.gamma)

    def _read(self, model: Trainable, pieces: Pieces) -> Tensor:
        """A network's outputs (B, steps, ...) along whole pieces, in writing order."""
        bf16 = self.policy.bf16 and self.policy.training
        return model.forward(pieces.tokens, pieces.context, bf16)[0]


# What SB3's on-policy base class asks for and Q-learning has no use for. With gae_lambda 1 the
# buffer's returns, which only the metrics read, are those of the pieces.
_UNUSED: dict[str, Any] = {
    "gae_lambda": 1.0,
    "ent_coef": 0.0,
    "vf_coef": 0.0,
    "use_sde": False,
    "sde_sample_freq": -1,
}


def in_writing_order(cells: Array) -> Array:
    """(B, V, T) as (B, T * V): time by time, voice by voice."""
    return cells.transpose(0, 2, 1).reshape(len(cells), -1)


def bootstrapped(rewards: Tensor, values: Tensor, gamma: float) -> Tensor:
    """Targets y_t = r_t + gamma V_{t+1}; at a piece's last step r_t alone.

    Args:
        rewards: (B, steps, ...) of each step.
        values: (B, steps, ...) of the state before each step.
        gamma: discount.
    """
    after = torch.zeros_like(values)
    after[:, :-1] = values[:, 1:]
    return rewards + gamma * after


def quantile_huber_loss(quantiles: Tensor, targets: Tensor) -> Tensor:
    """Quantile regression's Huber loss of width 1, summed over quantiles, a scalar.

    Dabney et al. (2018), equation 10: the error of each quantile against each target, weighed by
    `abs(tau_i - 1(error < 0))` at the midpoints tau_i; as sb3-contrib's function of the same name.

    Args:
        quantiles: (N, n) predicted.
        targets: (N, m) samples of the target's distribution.
    """
    n = quantiles.shape[1]
    midpoints = (torch.arange(n, device=quantiles.device) + 0.5)[:, None] / n
    error = targets[:, None, :] - quantiles[:, :, None]
    size = error.abs()
    huber = torch.where(size > 1, size - 0.5, 0.5 * error**2)
    weight = (midpoints - (error.detach() < 0).float()).abs()
    return (weight * huber).mean(dim=2).sum(dim=1).mean()


def clip_each(weights: Iterable[torch.nn.Parameter], norm: float) -> None:
    """Scale down each gradient whose own L2 norm is above `norm`, as RL Tuner does."""
    for weight in weights:
        torch.nn.utils.clip_grad_norm_(weight, norm)


def of_actions(values: Tensor, actions: Tensor) -> Tensor:
    """Values (B, steps, n) of actions (B, steps) among values (B, steps, vocab, n)."""
    index = actions[..., None, None].expand(-1, -1, 1, values.shape[3])
    return values.gather(2, index)[:, :, 0]
