"""One summand of a reward: a function, its weight, and what it is tried for."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.contract import RewardFunction
from envs.errors import RewardError
from envs.music.noise import noise
from envs.music.score import Score
from envs.music.task import Task
from envs.plugins import place_of
from rewards.checking.probes import Trial, is_causal
from rewards.likelihood import Likelihood
from rewards.rule import REGISTRY

Values = npt.NDArray[np.float32]
# Cell-wise terms are scored a column of pieces at a time: enough pieces to be worth a numpy call,
# few enough for a column to stay in cache and the whole in memory.
CHUNK_PIECES, CHUNK_CELLS = 4096, 2**21
PROBED_CELLS = 2**13  # written anew to look for look-ahead before a run


@dataclass(frozen=True)
class Term:
    """One summand: a reward function and its weight. A rule's violation counts against it."""

    name: str
    fn: RewardFunction
    weight: float = 1.0

    @property
    def factor(self) -> float:
        """What the function's value is multiplied by."""
        return -self.weight if getattr(self.fn, "violation", False) else self.weight

    @property
    def cellwise(self) -> bool:
        """Whether the function may be asked at one cell, see `rewards.functions.cellwise`."""
        return bool(getattr(self.fn, "cellwise", False))

    def raw(self, score: Score) -> npt.NDArray[Any]:
        """The function's value, checked: (B, V, T) or (B,).

        Raises:
            RewardError: it raised, or gave a wrong type, shape or a number that is not finite.
        """
        try:
            value = self.fn(score)
        except (Exception, SystemExit) as error:  # whatever it raises, name the term
            raise RewardError(f"reward term {self.name!r} {_told(error, self.fn)}") from error
        shape = score.tokens.shape
        if type(value) is not np.ndarray or value.dtype.kind not in "biuf":
            dtype = f" of {value.dtype}" if isinstance(value, np.ndarray) else ""
            raise RewardError(
                f"reward term {self.name!r} returned {type(value).__name__}{dtype}, expected a "
                f"numpy array of real numbers with shape {shape} per cell or {shape[:1]} per piece"
            )
        if value.shape not in (shape, shape[:1]):
            raise RewardError(
                f"reward term {self.name!r} returned shape {value.shape} for {shape[0]} pieces of "
                f"{shape[1]}x{shape[2]} cells; expected {shape} per cell or {shape[:1]} per piece"
            )
        if not np.isfinite(value).all():
            at = np.argwhere(~np.isfinite(value))[0]
            where = f"piece {at[0]}" + (f", cell {at[-1]}" if len(at) == 3 else "")
            raise RewardError(
                f"reward term {self.name!r} returned {value[tuple(at)]} for {where}; "
                "expected finite numbers"
            )
        return value

    @property
    def _ships(self) -> bool:
        """Whether it is one of ours, which the tests have tried."""
        inner = self.fn.func if isinstance(self.fn, functools.partial) else self.fn
        return inner in REGISTRY.values() or isinstance(inner, Likelihood)

    @functools.cached_property
    def _kinds(self) -> dict[Task, bool]:
        return {}

    def is_per_piece(self, task: Task) -> bool:
        """Whether the function gives one number a piece; asked once a task, on pieces of noise.

        Raises:
            RewardError: it failed, or its value at a cell depends on cells written later.
        """
        if task not in self._kinds:
            value = self.raw(noise(task, 0))
            self._kinds[task] = value.ndim == 1
            if value.ndim == 1 and self.cellwise:
                raise RewardError(
                    f"reward term {self.name!r} is marked cellwise but returned one number per "
                    "piece; leave the mark out"
                )
            if value.ndim == 3 and not self._ships:
                said = is_causal(Trial(self, task, PROBED_CELLS))
                if said:
                    raise RewardError(f"reward term {self.name!r} {said}")
        return self._kinds[task]

    def _weigh(self, value: npt.NDArray[Any]) -> Values:
        with np.errstate(over="ignore", invalid="ignore"):
            paid = (value * self.factor + 0.0).astype(np.float32)  # + 0.0 turns -0.0 into 0.0
        if not np.isfinite(paid).all():
            raise RewardError(
                f"reward term {self.name!r} is too large for a float32 with weight {self.weight:g}"
            )
        return paid

    def newest(self, score: Score) -> Values:
        """Weighted value (B,) at the last written cell; a per-piece value at the piece's end."""
        if self.cellwise:
            value = self.raw(score.newest)[:, 0, 0]
        elif not score.finished and self.is_per_piece(score.task):
            return np.zeros(score.batch, np.float32)
        else:
            value = self.raw(score)
            time, voice = divmod(score.n_written - 1, score.task.voices)
            value = value if value.ndim == 1 else value[:, voice, time]
        return self._weigh(value)

    def whole(self, score: Score) -> Values:
        """Weighted value (B, V, T) of finished pieces."""
        size = score.batch
        if self.cellwise:
            size = max(1, min(CHUNK_PIECES, CHUNK_CELLS // score.task.steps))
        parts = []
        for part in score.chunks(size):
            value = self.raw(part)
            if value.ndim == 1:
                paid = np.zeros(part.tokens.shape, np.float32)
                paid[:, -1, -1] = value
                value = paid
            parts.append(self._weigh(value))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _told(error: BaseException, fn: Any) -> str:
    """What a function did that raised, and where."""
    where = place_of(error, fn)
    if isinstance(error, ValueError) and "read-only" in str(error):
        return (
            f"writes into the score {where}, which others read too: its arrays are read-only. "
            "Write into a copy, such as score.pitch.copy()"
        )
    return f"raised {type(error).__name__}: {error} {where}"
