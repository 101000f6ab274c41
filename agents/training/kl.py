"""A KL budget, held by turning the weight of the rules against the prior."""

from __future__ import annotations

import math

from stable_baselines3.common.callbacks import BaseCallback

from agents.learning.rollout import Steering
from agents.runs.csv_tables import logged
from agents.training.callbacks import PieceMetrics

LOWEST, HIGHEST, FIRST = 1e-3, 1e3, 10.0  # of c
TOLERANCE = 0.1  # a budget is met within this share of it


class KLController(BaseCallback):
    """Sets c so that the policy's KL to the prior, in nats per token, comes to a budget.

    The objective is rules / c + log p - log pi, so a larger c means less KL. After each rollout
    log c moves by the error of the KL, in logarithms and clipped, and by the error's change: a
    proportional-integral controller in log space, in the manner of the adaptive coefficient of
    Ziegler et al. (2019), "Fine-tuning language models from human preferences", section 2.2.

    Args:
        metrics: measures the KL of each rollout.
        budget: nats per token.
        steering: holds the objective whose c is turned.
        gain: of the error, per rollout.
        damping: of the error's change.
    """

    def __init__(
        self,
        metrics: PieceMetrics,
        budget: float,
        steering: Steering,
        gain: float = 0.15,
        damping: float = 1.0,
    ) -> None:
        super().__init__()
        self.metrics, self.budget, self.steering = metrics, budget, steering
        self.gain, self.damping = gain, damping
        self._before: float | None = None

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        # A large c first: a policy that has collapsed onto one piece does not come back.
        self._set_c(self.steering.objective.c * FIRST)
        for c, kl in self.metrics.run.turns():  # of a run that is resumed
            self._set_c(c)
            self._turn(kl)

    def _on_rollout_end(self) -> None:
        self._turn(logged(self.metrics.row["kl"]))

    def _turn(self, kl: float) -> None:
        """Move c by a rollout's KL; all numbers are as in metrics.csv, its memory."""
        error = self._error(kl)
        change = 0.0 if self._before is None else error - self._before
        self._before = error
        moved = math.log(self.steering.objective.c) + self.gain * error + self.damping * change
        self._set_c(min(HIGHEST, max(LOWEST, math.exp(moved))))

    def _set_c(self, c: float) -> None:
        self.steering.objective = self.steering.objective.with_c(logged(c))

    def _error(self, kl: float) -> float:
        """Return log(KL / budget) within -1 and 1: at first the KL is 0, and c would run away."""
        return min(1.0, max(-1.0, math.log(max(kl / self.budget, 0.1))))


def verdict(kl: float, budget: float) -> str:
    """Return '' if a measured KL is within the tolerance of the budget, else a warning."""
    if abs(kl - budget) <= TOLERANCE * budget:
        return ""
    return (
        f"the KL budget of {budget:g} nats per token was not met: the policy ended at {kl:.3f}. "
        f"Give more steps (-n), or a {'smaller' if kl < budget else 'larger'} budget"
    )
