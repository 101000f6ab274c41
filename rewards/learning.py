"""Rewards that learn: an update for each rollout, and a state that is kept with the run.

See `envs.contract.LearningReward` for what such a reward has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.contract import RewardError
from envs.score import Score
from envs.task import Task
from pretrained.files import write_atomic
from pretrained.pieces import real_melodies
from rewards.total import RewardSum, Term

if TYPE_CHECKING:
    from torch import Tensor

MOST = 100_000  # melodies to draw from: all there are
MOST_BYTES = 512 * 2**20  # of a file
LESSON = 1  # apart from other draws of the same seed and step


def learners(reward: RewardSum) -> Iterator[tuple[Term, Any]]:
    """The terms that learn, each with the object that does; below its parameters, if it has any."""
    for term in reward.terms.values():
        fn: Any = term.fn
        while fn is not None:
            if callable(getattr(fn, "update", None)):
                yield term, fn
            fn = getattr(fn, "__wrapped__", None)


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


def _states(reward: RewardSum) -> Iterator[tuple[str, Any]]:
    for number, (term, learner) in enumerate(learners(reward)):
        if hasattr(learner, "state_dict") and hasattr(learner, "load_state_dict"):
            yield f"{number}:{term.name}:", learner


def tensors(reward: RewardSum) -> dict[str, Tensor]:
    """What the terms have learned until now, by name; nothing if none keeps a state."""
    import torch

    return {
        prefix + name: torch.as_tensor(value).detach().cpu().contiguous().clone()
        for prefix, learner in _states(reward)
        for name, value in learner.state_dict().items()
    }


def restore(reward: RewardSum, kept: Mapping[str, Tensor], source: Path) -> None:
    """Put back what `tensors` gave.

    Args:
        reward: of the same terms.
        kept: the tensors.
        source: the file they come from.

    Raises:
        ValueError: they are those of another reward; the message names the file.
    """
    for prefix, learner in _states(reward):
        own = {k.removeprefix(prefix): v for k, v in kept.items() if k.startswith(prefix)}
        try:
            learner.load_state_dict(own)
        except Exception as error:  # whatever a plugged-in reward raises
            raise _not_learned(source, error) from error


def save(reward: RewardSum, path: Path) -> bool:
    """Write what the terms have learned; False, and no file, if none keeps a state.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors.torch import save as to_bytes

    found = tensors(reward)
    if found:
        write_atomic(path, to_bytes(found))
    return bool(found)


def load(reward: RewardSum, path: Path) -> None:
    """Put back what `save` wrote; nothing is unpickled.

    Raises:
        ValueError: the file is damaged or of another reward.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} is no file of at most {MOST_BYTES:,} bytes")
    try:
        kept = load_file(path)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise _not_learned(path, error) from error
    restore(reward, kept, path)


def _not_learned(path: Path, error: Exception) -> ValueError:
    detail = " ".join(str(error).split())[:300] or type(error).__name__
    return ValueError(f"{path} is not what this reward has learned: {detail}")
