"""Rewards that learn beside the agent: when they are taught, and with what."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from envs.errors import RewardError
from envs.music.score import Score
from envs.music.task import Task
from pretrained.corpora.pieces import real_melodies, unlike_tunes
from rewards.learned import learners
from rewards.sum import RewardSum

MOST = 100_000  # melodies to draw from: all there are
LESSON = 1  # apart from other draws of the same seed and step


class Lessons:
    """Lets the terms of a reward learn from what an agent writes.

    Args:
        reward: of which some terms learn, or none.
        seed: of the draw of real melodies.
        note: called with what a term has to report after an update.
    """

    def __init__(
        self, reward: RewardSum, seed: int = 0, note: Callable[[str], object] = str
    ) -> None:
        self.learners = list(learners(reward))
        self.seed, self.note = seed, note
        self._real: dict[tuple[int, Task], Score | None] = {}

    def prepare(self, task: Task) -> None:
        """Find the real melodies of a task.

        Raises:
            ValueError: there are none, and a term learns from them.
        """
        for number in range(len(self.learners)):
            self._real_pieces(number, task)

    def _real_pieces(self, number: int, task: Task) -> Score | None:
        """Return the real melodies that a term learns from, None if it learns from none."""
        if (number, task) not in self._real:
            term, learner = self.learners[number]
            find = getattr(learner, "real_pieces", None)
            self._real[number, task] = find(task) if find else _melodies(term.name, task)
        return self._real[number, task]

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
        found: dict[str, float] = {}
        drawn = np.random.default_rng((self.seed, steps, LESSON))
        for count, (term, learner) in enumerate(self.learners):
            real = self._real_pieces(count, generated.task)
            if real is not None:
                real = real.take(drawn.integers(0, real.batch, generated.batch))
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
            if finding := getattr(learner, "finding", ""):
                self.note(f"note: reward term {term.name!r}: {finding}")
        return found


def _melodies(name: str, task: Task) -> Score:
    """Return the corpus's melodies of a task.

    Raises:
        ValueError: there are none.
    """
    found, why = real_melodies(task, MOST), unlike_tunes(task)
    if found is None:
        raise ValueError(
            f"reward term {name!r} learns from real melodies and the corpus has none in "
            f"{task.meter} with this grid, pickup, range and number of voices"
            + f"{why and f': {why}'}; expected another task, a reward that does not learn, or one "
            "with a method real_pieces(task) that returns a Score of such pieces"
        )
    return found
