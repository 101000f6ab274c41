"""Q-learning on whole pieces: DQN, QR-DQN and the three targets of RL Tuner."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.utils import polyak_update
from torch import Tensor
from torch.nn import functional

from agents.algorithms.own_settings import Memory, Quantiles
from agents.algorithms.piece_learner import PieceLearner
from agents.algorithms.q_losses import (
    bootstrapped,
    clip_each,
    in_writing_order,
    of_actions,
    quantile_huber_loss,
)
from agents.algorithms.q_policy import Kind, QPolicy, state_values
from agents.algorithms.replay import PieceMemory, Pieces
from agents.learning.rollout import EpisodeBuffer
from envs.music.task import CONTEXT
from pretrained.prior import ILLEGAL, Trainable


class QLearning(PieceLearner):
    """Q-learning with the prior's network as Q-network, on whole pieces.

    Pieces are collected like in SB3's on-policy algorithms, scored when they are finished, and
    stored in a replay memory. The online and the target network each read a minibatch of whole
    pieces in one pass, so recurrent states are those of the present weights. Every cell is one
    experience: its action is the token, the last cell of a piece has no next state, and the prior
    is fixed. The defaults here are those of RL
    Tuner's training script.

    The loss is the mean of (Q(s, a) - y)^2 with y = r / c + gamma V(s'), see `state_values`. The
    rewards of q, psi, dqn and qrdqn are rules / c + log p; those of g are rules / c, as log p is
    in its V and in its policy. c may change during the training.

    A run's state.zip has the memory too, unless it is very large (`agents.runs.state`); the file
    of SB3's `save` has not.

    Args:
        policy: QPolicy.
        env: a composition environment, in the form of SB3.
        learning_rate: of Adam, or a function of the remaining progress.
        kind: a name of `agents.algorithms.q_policy.KINDS`.
        settings: of the memory, the exploration and the policy; of qrdqn they are Quantiles.
        n_steps: cells per environment in a rollout, a multiple of the piece's.
        gamma: discount.
        max_grad_norm: the gradient of each weight is clipped to this L2 norm.
        policy_kwargs: the policy's `prior`, `bf16` and optimiser.
        **common: see SB3's OnPolicyAlgorithm: seed, device, verbose, ...; the `objective` and the
            `task` of an EpisodeBuffer in `rollout_buffer_kwargs`.

    Raises:
        ValueError: an unknown kind, a buffer without an objective, or a memory smaller than a
            minibatch.
    """

    policy: QPolicy  # type: ignore[assignment]

    def __init__(
        self,
        policy: type[QPolicy],
        env: GymEnv | str,
        learning_rate: Any = 1e-3,
        *,
        kind: str = "q",
        settings: Memory | None = None,
        n_steps: int = 32,
        gamma: float = 0.5,
        max_grad_norm: float = 5.0,
        policy_kwargs: dict[str, Any] | None = None,
        **common: Any,
    ) -> None:
        self.settings = settings or Memory()
        of_policy = {"kind": kind, "temperature": self.settings.temperature}
        if isinstance(self.settings, Quantiles):
            of_policy["n_quantiles"] = self.settings.n_quantiles
        super().__init__(
            policy,
            env,
            learning_rate,
            n_steps=n_steps,
            gamma=gamma,
            max_grad_norm=max_grad_norm,
            policy_kwargs={**(policy_kwargs or {}), **of_policy},
            **{"rollout_buffer_class": EpisodeBuffer, **common},
        )

    @property
    def kind(self) -> Kind:
        """The kind of Q-learning."""
        return self.policy.kind

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
            self.settings.buffer_size,
            buffer.voices,
            buffer.cells,
            int(self.action_space.n),  # type: ignore[attr-defined]
            len(CONTEXT),
            with_prior=self.kind.beside_prior,
        )
        self.batch_pieces = max(1, self.settings.batch_size // buffer.steps)
        if self.batch_pieces > self.memory.pieces:
            raise ValueError(
                f"batch_size={self.settings.batch_size}: expected at most the "
                f"{self.settings.buffer_size} cells remembered (buffer_size)"
            )
        self._owed = 0.0  # cells still to be replayed for those collected

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "memory"]

    @property
    def c(self) -> float:
        """Number that the rules' rewards are divided by at present."""
        objective = self.rollout_buffer.objective
        return 1.0 if objective is None else objective.c

    # -- collecting ------------------------------------------------------------------------------

    def collect_rollouts(self, *arguments: Any, **named: Any) -> bool:
        """Collect a rollout, see SB3, with the epsilon of the run's progress."""
        self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
        self.policy.epsilon = self.epsilon
        return super().collect_rollouts(*arguments, **named)

    @property
    def epsilon(self) -> float | None:
        """Present share of random tokens; None for 'boltzmann' exploration."""
        settings = self.settings
        if settings.exploration != "egreedy":
            return None
        done, fraction = 1.0 - self._current_progress_remaining, settings.exploration_fraction
        share = min(1.0, done / fraction) if fraction else 1.0
        first, last = settings.exploration_initial_eps, settings.exploration_final_eps
        return first + share * (last - first)

    def _remember(self) -> None:
        """Store the finished pieces of the rollout in the memory."""
        buffer, rollout = self.rollout_buffer, self.rollout_buffer.rollout()
        score, (rules, likely) = rollout.score, rollout.objective.split(rollout.parts)
        beside = {}
        if self.policy.reference is not None:
            with torch.no_grad():  # given cells have nats too, as the prior reads them as any other
                beside["log_p"] = self.policy.reference.model.log_probs(score).cpu().numpy()
        self.memory.add(
            tokens=score.tokens,
            context=buffer.context.reshape(score.batch, -1),
            masks=buffer.by_piece(buffer.masks),
            rules=in_writing_order(rules),
            prior=in_writing_order(likely),
            **beside,
        )

    # -- learning --------------------------------------------------------------------------------

    def train(self) -> None:
        """Update the Q-network on `replay_ratio` replayed cells for each cell just collected."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self._remember()
        steps = self._steps_due(self.rollout_buffer.buffer_size * self.n_envs)
        losses = []
        for _ in range(steps):
            pieces = self.memory.sample(self.batch_pieces, self.rollout_buffer.device)
            losses.append(self.learn_from(pieces))
        figures = {"loss": float(torch.stack(losses).mean())} if losses else {}
        self.record(steps, **figures, pieces_remembered=len(self.memory))
        if self.policy.epsilon is not None:
            self.logger.record("rollout/exploration_rate", self.policy.epsilon)

    def _steps_due(self, new: int) -> int:
        """Return the number of gradient steps for `new` cells; 0 before the memory has a batch."""
        if len(self.memory) < self.batch_pieces:
            return 0
        batch = self.batch_pieces * self.memory.steps
        self._owed += new * self.settings.replay_ratio
        steps = int(self._owed // batch)
        self._owed -= steps * batch
        return steps

    def learn_from(self, pieces: Pieces) -> Tensor:
        """Make a gradient step and move the target network; return the loss, a scalar."""
        policy = self.policy
        loss = self.loss(pieces)
        policy.optimizer.zero_grad()
        loss.backward()
        clip_each(policy.net.parameters(), self.max_grad_norm)
        policy.optimizer.step()
        polyak_update(policy.net.parameters(), policy.target.parameters(), self.settings.tau)
        return loss.detach()

    def loss(self, pieces: Pieces) -> Tensor:
        """Return the mean error of the values of the actions taken, a scalar."""
        outputs = self._read(self.policy.model, pieces)
        with torch.no_grad():
            targets = self.targets(pieces)
        played = of_actions(self.policy.quantiles(outputs), pieces.actions)
        if self.kind.quantiles:
            return quantile_huber_loss(played.flatten(0, 1), targets.flatten(0, 1))
        measure = functional.smooth_l1_loss if self.kind.huber else functional.mse_loss
        return measure(played, targets)

    def targets(self, pieces: Pieces) -> Tensor:
        """Return the targets (B, steps, n_quantiles) for the values of the actions taken."""
        policy, kind = self.policy, self.kind
        ahead = self._read(policy.target_model, pieces)
        if kind.quantiles:
            best = policy.mean(ahead).masked_fill(~pieces.masks, ILLEGAL).argmax(dim=-1)
            values = of_actions(policy.quantiles(ahead), best)
        else:
            values = state_values(kind, ahead, pieces.masks, pieces.log_p)[..., None]
        rewards = pieces.rules / self.c
        if not kind.beside_prior:
            rewards = rewards + pieces.prior
        return bootstrapped(rewards[..., None], values, self.gamma)

    def _read(self, model: Trainable, pieces: Pieces) -> Tensor:
        """Return a network's outputs (B, steps, ...) along whole pieces, in writing order."""
        bf16 = self.policy.bf16 and self.policy.training
        task, known = self.rollout_buffer.task, {}
        if model.hears_ahead and task is not None and not task.free.all():
            given = torch.from_numpy(~task.free).to(pieces.tokens.device)
            known = {"given": given.expand_as(pieces.tokens)}
        return model.forward(pieces.tokens, pieces.context, bf16, **known)[0]
