"""The protocols of rewards.

A reward function takes a Score and returns one number per cell (B, V, T) or one per piece (B,),
paid at the piece's end. It must not look at cells written after the one it values.
`python -m agents.check` says whether it keeps to that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from envs.music.score import Score
from envs.music.task import Task

RewardFunction = Callable[[Score], npt.NDArray[Any]]
RewardSpec = str | RewardFunction | Mapping[str, Any]


class StepReward(Protocol):
    """A reward that an environment pays step by step, such as `rewards.sum.RewardSum`."""

    def prepare(self, task: Task) -> None:
        """Raise RewardError or ValueError if this task cannot be paid for."""
        ...

    def newest(self, score: Score) -> dict[str, npt.NDArray[np.float32]]:
        """Return the weighted value (B,) of each term at the last written cell."""
        ...


@runtime_checkable
class LearningReward(Protocol):
    """A reward function that learns: an object that can be called, with an `update` beside.

    It may also have `state_dict()` and `load_state_dict(state)`, as torch's modules do: what they
    hold is kept with a run and put back when it is resumed. With `real_pieces(task)` it says which
    real melodies it learns from, a Score or None for none; those of the corpus without. With an
    attribute `finding`, a sentence that a training shows after an update, unless it is ''.
    """

    def __call__(self, score: Score) -> npt.NDArray[Any]:
        """Return a RewardFunction's value; it may change with `update` only."""
        ...

    def update(self, real: Any, generated: Score) -> Mapping[str, float]:
        """Learn from a rollout after it was paid; called once for each rollout of a training.

        Args:
            real: melodies of the corpus on the same task, as many as were generated, a Score; None
                if it learns from none.
            generated: the pieces of the rollout.

        Returns:
            finite numbers for the log, by name.
        """
        ...
