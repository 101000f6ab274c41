"""Rewards that learn beside the agent: when they are taught, and with what."""

from __future__ import annotations

import math

import numpy as np

from envs.errors import RewardError
from envs.music.score import Score
from envs.music.task import Task
from pretrained.corpora.pieces import real_melodies
from rewards.learned import learners
from rewards.sum import RewardSum

MOST = 100_000  # melodies to draw from: all there are
LESSON = 1  # apart from other draws of the same seed and step


class Lessons:
    """Lets the terms of a reward learn from what an agent writes.

    Args:
        reward: of which some terms learn, or none.
        seed: of the draw of real melodies.
    """

    def __init__(self, reward: RewardSum, seed: int = 0) -> None:
        self.learners = list(learners(reward))
        self.seed = seed
        self._real: dict[Task, Score] = {}

    def prepare(self, task: Task) -> None:
        """Find the real melodies of a task.

        Raises:
            ValueError: there are none.
        """
        if not self.learners or task in self._real:
            return
        found = real_melodies(task, MOST)
        if found is None:
            raise ValueError(
                f"reward term {self.learners[0][0].name!r} learns from real melodies and the "
                f"corpus has none in {task.meter} with this grid, pickup, range and number of "
                "voices; expected another task, or a reward that does not learn"
            )
        self._real[task] = found

    def update(self, generated: Score, steps: int) -> dict[str, float]:
        """Let each term learn from a rollout; its numbers, named <term>/<name>.

        Which real melodies it is shown follows from the seed and the steps done, so that a run
        that is resumed goes on with those it would have had.

        Args:
            generated: pieces of the rollout.
            steps: of the whole training until then.

        Raises:
            RewardError: an update failed, or gave something else than finite numbers by name.
            ValueError: as `prepare`.
        """
        self.prepare(generated.task)
        found: dict[str, float] = {}
        drawn = np.random.default_rng((self.seed, steps, LESSON))
        for term, learner in self.learners:
            melodies = self._real[generated.task]
            real = melodies.take(drawn.integers(0, melodies.batch, generated.batch))
            try:
                told = learner.update(real, generated)
                numbers = {f"{term.name}/{name}": float(value) for name, value in told.items()}
            except Exception as error:  # whatever a plugged-in reward raises, name the term
                raise RewardError(
                    f"reward term {term.name!r} raised {type(error).__name__} in update: {error}. "
                    "Expected a mapping of names to numbers"
                ) from error
            bad = [name for name, value in numbers.items() if not math.isfinite(value)]
            if bad:
                raise RewardError(f"{bad[0]} is {numbers[bad[0]]} after update; it has diverged")
            found |= numbers
        return found
