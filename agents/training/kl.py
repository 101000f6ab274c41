"""A KL budget, held by turning the weight of the rules against the prior."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from agents.evaluating.limit import TiltedPrior
from agents.evaluating.pool import draw_pool
from agents.learning.rollout import Steering
from agents.runs.csv_tables import logged
from agents.training.callbacks import PieceMetrics
from envs.music.task import Task
from pretrained.prior import Prior
from rewards.learned import learners
from rewards.sum import RewardSum

LOWEST, HIGHEST = 1e-3, 1e3  # of c
TOLERANCE = 0.1  # a budget is met within this share of it
PIECES, MOST_TASKS = 8000, 4  # of the prior, for the first c; tasks that they are drawn for
MOST_SPENT = 0.9  # share of what the reward can spend at most that is aimed at
# In shares of a run:
FALLING = 0.25  # along it c falls to the limit's
REMEMBERED = 0.03  # over it the KL is averaged
# Of c, as factors of the limit's:
FIRST = 2.0  # a large c first: a policy that has collapsed onto one piece does not come back
ABOVE, BELOW = 2.0, 5.0  # farthest


class KLController(BaseCallback):
    """Sets c so that the policy's KL to the prior, in nats per token, comes to a budget.

    The objective is rules / c + log p - log pi, so a larger c means less KL. c starts at FIRST
    times that of the limit with this KL, see `limiting_c`, and falls to it along FALLING of the
    run. On top of that it is moved by the error of the KL, in logarithms, averaged over REMEMBERED
    of the run and clipped, and by the error's sum: a proportional-integral controller in the manner
    of the adaptive coefficient of Ziegler et al. (2019), "Fine-tuning language models from human
    preferences", section 2.2. The sum is bounded, for what an agent wastes with a large learning
    rate no c can save; and a KL that is still too small while c falls is not added to it.

    Args:
        metrics: measures the KL of each rollout.
        budget: nats per token.
        steering: holds the objective whose c is turned.
        c: of the limit with this budget.
        steps: of the whole run, in environment steps.
        gain: of the error; less where rollouts are longer than REMEMBERED.
        rate: of the error's sum, per run.
        most: change of log c by the sum at once, for an error of 1.
    """

    def __init__(
        self,
        metrics: PieceMetrics,
        budget: float,
        steering: Steering,
        c: float,
        steps: int,
        gain: float = 1.0,
        rate: float = 30.0,
        most: float = 0.8,
    ) -> None:
        super().__init__()
        self.metrics, self.budget, self.steering = metrics, budget, steering
        self.c, self.steps, self.gain, self.rate, self.most = logged(c), steps, gain, rate, most
        self._before, self._mean, self._sum = 0.0, math.nan, 0.0

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        self._set_c(self.c * FIRST)
        for turn in self.metrics.run.turns():  # of a run that is resumed
            self._turn(turn.kl, turn.steps)

    def _on_rollout_end(self) -> None:
        row = self.metrics.row
        self._turn(logged(row["kl"]), row["steps"])

    def _turn(self, kl: float, steps: float) -> None:
        """Set c behind a rollout; all numbers are as in metrics.csv, its memory."""
        done = steps / self.steps
        passed, self._before = done - self._before, done
        share = 1.0 if math.isnan(self._mean) else 1 - math.exp(-passed / REMEMBERED)
        self._mean = kl if share == 1.0 else self._mean + share * (kl - self._mean)
        error = min(1.0, max(-1.0, math.log(max(self._mean / self.budget, 0.1))))
        gain = self.gain * min(1.0, REMEMBERED / max(passed, 1e-9))
        if error > 0 or done > FALLING:
            moved = self._sum + min(self.rate * passed, self.most) * error
            self._sum = min(math.log(ABOVE), max(-math.log(BELOW), moved))
        ahead = max(0.0, 1 - done / FALLING) * math.log(FIRST)
        turned = min(math.log(ABOVE), max(-math.log(BELOW), self._sum + gain * error))
        self._set_c(self.c * math.exp(ahead + turned))

    def _set_c(self, c: float) -> None:
        c = min(HIGHEST, max(LOWEST, c))
        self.steering.objective = self.steering.objective.with_c(logged(c))


def limiting_c(
    prior: Prior, reward: RewardSum, tasks: Sequence[Task], budget: float
) -> tuple[float, str]:
    """Return the c of the limit with a KL budget, and a note; estimated on a small pool.

    It is the c at which the KL of the limits of the tasks, or of some of many, is the budget on
    average. A term that learns counts as it is now, and masks do not count: what that makes of c is
    mended along the run.

    Args:
        prior: the KL is measured to it.
        reward: its terms but log p are tilted by.
        tasks: learned on.
        budget: nats per token, above 0.

    Returns:
        c, NaN where the reward pays all pieces the same; and why the budget cannot be held, or
        what c was read off.
    """
    if len(tasks) > MOST_TASKS:
        rows = np.random.default_rng(0).choice(len(tasks), MOST_TASKS, replace=False)
        tasks = [tasks[row] for row in sorted(rows)]
    each = PIECES // len(tasks)
    drawn = f"{each * len(tasks):,} pieces of the prior"
    limits = []
    for task in tasks:
        try:
            limits.append(TiltedPrior(draw_pool(prior, reward, task, each)))
        except ValueError as error:
            flat = str(error)
    if not limits:
        later = ", or one that learns to" if learners(reward) else ""
        return math.nan, f"KL budget of {budget:g}: {flat}{later}"
    most = sum(limit.most_kl for limit in limits) / len(tasks)
    aim = min(budget, MOST_SPENT * most)
    low, high = math.log(LOWEST), math.log(HIGHEST)
    while high - low > 1e-6:
        middle = (low + high) / 2
        spent = sum(limit.extended_kl(math.exp(middle)) for limit in limits) / len(tasks)
        low, high = (middle, high) if spent > aim else (low, middle)
    c = math.exp(high)
    if most < budget:
        return c, (
            f"KL budget of {budget:g} nats per token: more than the reward can spend, whose best "
            f"pieces are at {most:.3g} among {drawn}; a budget of at most {aim:.2g} can be held"
        )
    return c, f"KL budget of {budget:g}: c of the limit is {c:.3g}, read off {drawn}"


def verdict(kl: float, budget: float) -> str:
    """Return '' if a measured KL is within the tolerance of the budget, else a warning."""
    if abs(kl - budget) <= TOLERANCE * budget:
        return ""
    return (
        f"the KL budget of {budget:g} nats per token was not met: the policy ended at {kl:.3f}. "
        f"Give more steps (-n), or a {'smaller' if kl < budget else 'larger'} budget"
    )
