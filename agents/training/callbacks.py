"""Callbacks beside learning: metrics, progress bar, saves, a stop that loses nothing."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from agents.learning.rollout import Rollout, Steering, buffer_of
from agents.runs.csv_tables import logged
from agents.runs.curve import PARTS
from agents.runs.directory import Run
from agents.runs.state import Generators
from agents.settings.config import TrainConfig
from agents.training.listener import Listener
from agents.training.monitor import Diagnostics
from agents.training.reward_lessons import Lessons
from pretrained.prior import Scorer
from rewards.learned import tensors
from rewards.measures.statistics import distinct
from rewards.objective import Objective
from rewards.spec import short_names
from rewards.sum import RewardSum

MOVED = 0.6  # share of a run along which the weight of the entropy moves


class DivergedError(ValueError):
    """A number of the log is none any more."""


class PieceMetrics(BaseCallback):
    """Writes a row of metrics per rollout: return, its parts, KL to the prior, entropy, diversity.

    KL and entropy are those of the policy at the actions played, so they are estimates only where
    the actions were drawn from it: not under egreedy exploration.

    Args:
        run: whose metrics.csv is written.
        prior: the KL is measured against it.
        checkpoint: the prior's name; if the reward holds its likelihood, that is used again.
        listener: is told of steps and rows, and may stop the training.
        lessons: terms of the reward that learn, once for each rollout.
        diagnostics: further columns, and warnings.
    """

    def __init__(
        self,
        run: Run,
        prior: Scorer,
        checkpoint: str,
        listener: Listener,
        lessons: Lessons,
        diagnostics: Diagnostics | None,
    ) -> None:
        super().__init__()
        self.run, self.prior, self.checkpoint = run, prior, checkpoint
        self.listener, self.lessons, self.diagnostics = listener, lessons, diagnostics
        self.row: dict[str, float] = {}

    def _on_training_start(self) -> None:
        if self.diagnostics is not None:  # of a run that is resumed
            self.diagnostics.remember(self.run.read_metrics(needed=PARTS), self.run.warnings)
            self.run.write_warnings(self.diagnostics.warnings)
        self.listener.stepped(self.model.num_timesteps)

    def _on_step(self) -> bool:
        return self.listener.stepped(self.num_timesteps)

    def _on_rollout_end(self) -> None:
        rollout = buffer_of(self.model).rollout()
        self.row = self._measured(rollout)
        self._check_finite()
        self.run.append_metrics(self.row)
        if self.diagnostics is not None:
            row = {name: logged(value) for name, value in self.row.items()}  # as one resumed reads
            if self.diagnostics.watch(self.num_timesteps, row):
                self.run.write_warnings(self.diagnostics.warnings)
        short = {f"reward/{k}": f"reward/{tag}" for k, tag in short_names(rollout.parts).items()}
        for name, value in self.row.items():
            self.logger.record(short.get(name, name if "/" in name else f"pieces/{name}"), value)
        self.listener.updated(self.row)

    def _measured(self, rollout: Rollout) -> dict[str, float]:
        """Return the row of a rollout; terms that learn do so, which counts from the next one."""
        score, objective = rollout.score, rollout.objective
        free = score.task.free.T.reshape(-1)  # in writing order
        policy_nats = rollout.nats[:, free].mean()
        by_step = self._prior_nats(rollout).swapaxes(1, 2).reshape(score.batch, -1)
        parts = {name: float(v.sum(axis=(1, 2)).mean()) for name, v in rollout.parts.items()}
        total = sum(parts.values())
        likely = 0.0 if objective.prior is None else parts[objective.prior.name]
        variety = distinct(score) / score.batch
        row = {
            "steps": self.num_timesteps,
            "return": total,
            "rules": total - likely,
            "prior": likely,
            "kl": float(policy_nats - by_step[:, free].mean()),
            "c": float(objective.c),
            "entropy": float(-policy_nats),
            "distinct": variety,
            "explained_variance": _explained(rollout.values, rollout.returns),
        }
        row |= {f"reward/{name}": value for name, value in parts.items()}
        row |= self.lessons.update(score, self.num_timesteps)
        if self.diagnostics is not None:
            row |= self.diagnostics.measure(score) | {"distinct": variety}
        return row

    def _check_finite(self) -> None:
        for name, value in self.row.items():
            if not name.startswith("unrewarded/") and not np.isfinite(value):
                raise DivergedError(
                    f"{name} is {value} at step {self.num_timesteps:,}: learning has "
                    "diverged. Try a smaller --learning-rate, or --resume from the last save"
                )

    def _prior_nats(self, rollout: Rollout) -> npt.NDArray[np.float32]:
        """Return log p (pieces, V, T) under the prior; the reward's own where it is the same."""
        likelihood = rollout.objective.likelihood
        if likelihood is not None and likelihood.name == self.checkpoint:
            nats = rollout.objective.log_p(rollout.parts)
            if nats is not None:
                return nats
        return self.prior.log_prob(rollout.score)


def _explained(values: np.ndarray, returns: np.ndarray) -> float:
    spread = float(returns.var())
    return 1 - float((returns - values).var()) / spread if spread else 0.0


class Saver(BaseCallback):
    """Save the run when it begins, at intervals, and where it ends.

    A state is that at the beginning of a rollout, so a run that is resumed draws again what a
    broken rollout had drawn. To be the last of the callbacks: what others do at the beginning of a
    rollout is done before it is saved, and what they do at its end before the weights move.

    Args:
        run: where to.
        every: environment steps between saves; -1 for none along the way.
        resumed: generators of a run that is resumed, put back as its first rollout begins.
        reward: what its terms have learned is saved too.
    """

    def __init__(self, run: Run, every: int, resumed: Generators | None, reward: RewardSum) -> None:
        super().__init__()
        self.run, self.every, self.resumed, self.reward = run, every, resumed, reward
        self.last = -1  # steps at the last save; none yet
        self.steps = 0  # at the beginning of the rollout
        self.generators: Generators | None = None  # there
        self.learned: dict[str, Tensor] = {}  # by the reward until there
        self.unmoved = False  # whether the weights are those of that moment

    def _on_training_start(self) -> None:
        if self.resumed is not None:
            self.last = self.model.num_timesteps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:  # all gradient steps of the last rollout are done
        if self.resumed is not None:
            self.resumed.restore(self.model)
            self.resumed = None
        self._look()
        if self.last < 0 or 0 < self.every <= self.steps - self.last:
            self.save()

    def _on_rollout_end(self) -> None:
        self.unmoved = False

    def _on_training_end(self) -> None:
        if not self.unmoved:  # the last rollout was learned from, and not broken off
            self._look()

    def _look(self) -> None:
        self.steps, self.unmoved = self.model.num_timesteps, True
        self.generators, self.learned = Generators.of(self.model), tensors(self.reward)

    @property
    def told(self) -> str:
        """The save that is left of a run that cannot be written any more, in words."""
        if self.last < 0:
            return f"Nothing was saved yet; --resume {self.run.path} begins anew from its settings"
        return f"The save at {self.last:,} steps stays; go on with --resume {self.run.path}"

    def save(self) -> None:
        """Save the beginning of the rollout; amid gradient steps the last save stays instead.

        Raises:
            ValueError, OSError: as `Run.save`.
        """
        if self.unmoved:
            self.model.num_timesteps = self.steps  # the cells of a broken rollout taught nothing
            self.run.save(self.model, self.generators, self.learned)
            self.last = self.steps


class Turning(BaseCallback):
    """Turns the objective before each rollout, by the steps that are done.

    Args:
        steering: holds the objective in force.
        config: length of the run, and what a subclass reads of it.
    """

    def __init__(self, steering: Steering, config: TrainConfig) -> None:
        super().__init__()
        self.steering, self.config = steering, config

    @abstractmethod
    def turned(self, objective: Objective) -> Objective:
        """Return the objective for the rollout that begins after `num_timesteps`."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.steering.objective = self.turned(self.steering.objective)


class Anneal(Turning):
    """Moves the weight of the entropy linearly until MOVED of the run is done.

    A low weight lets an agent find what is rare under the prior, such as a motif that comes back;
    a higher one later has it find that in many ways.
    """

    def turned(self, objective: Objective) -> Objective:
        """Return the objective with the weight of the entropy there."""
        config = self.config
        done = min(1.0, self.num_timesteps / (MOVED * config.n_timesteps))
        return objective.with_entropy(
            config.entropy + done * (config.last_entropy - config.entropy)
        )


class Cooling(Turning):
    """Lets c fall to its value, from `heat` times as much, along `cooling` of a run.

    A policy that begins near the prior finds more of what is rewarded before it keeps to it.
    """

    def turned(self, objective: Objective) -> Objective:
        """Return the objective with the c there."""
        own, done = self.config.settings, self.num_timesteps / self.config.n_timesteps
        left = max(0.0, 1 - done / own.cooling) if own.cooling else 0.0
        return objective.with_c(self.config.c * own.heat**left)
