"""One summand of a reward: a function, its weight, and what it is tried for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.errors import RewardError
from envs.music.noise import noise
from envs.music.score import Score
from envs.music.task import Task
from envs.plugins import place_of
from rewards.rule import Rule, as_rule

Values = npt.NDArray[np.float32]
# Cell-wise terms are scored a column of pieces at a time: enough pieces to be worth a numpy call,
# few enough for a column to stay in cache and the whole in memory.
CHUNK_PIECES, CHUNK_CELLS = 4096, 2**21


@dataclass(frozen=True)
class Term:
    """One summand: a rule or reward function, and its weight.

    Attributes:
        name: in messages and logs.
        rule: any callable may be given.
        weight: multiplies the value; what it gives for a violation is taken off.
        causal_on: tasks on which `RewardSum.prepare` found no look-ahead.
    """

    name: str
    rule: Rule
    weight: float = 1.0
    causal_on: set[Task] = field(default_factory=set, repr=False, compare=False)
    _per_piece: dict[Task, bool] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rule", as_rule(self.rule))

    @property
    def fn(self) -> Rule:
        """The rule, under the name that version 0.4 had for it."""
        return self.rule

    @property
    def factor(self) -> float:
        """Number that the function's value is multiplied by."""
        return -self.weight if self.rule.violation else self.weight

    @property
    def cellwise(self) -> bool:
        """True if the function may be asked at one cell, see `rewards.functions.cellwise`."""
        return self.rule.cellwise

    def raw(self, score: Score) -> npt.NDArray[Any]:
        """Return the function's value (B, V, T) or (B,), checked.

        Raises:
            RewardError: it raised, or gave a wrong type, shape or a number that is not finite.
        """
        try:
            value = self.rule.fn(score)
        except (Exception, SystemExit) as error:  # whatever it raises, name the term
            raise RewardError(f"reward term {self.name!r} {_failure(error, self.rule)}") from error
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

    def is_per_piece(self, task: Task, pieces: Score | None = None) -> bool:
        """True if the function gives one number a piece; asked once a task.

        Args:
            task: of the pieces.
            pieces: finished ones to ask about; two of noise if None.

        Raises:
            RewardError: it failed.
        """
        if task not in self._per_piece:
            value = self.raw(noise(task, 0) if pieces is None else pieces)
            if value.ndim == 1 and self.cellwise:
                raise RewardError(
                    f"reward term {self.name!r} is marked cellwise but returned one number per "
                    "piece; leave the mark out"
                )
            self._per_piece[task] = value.ndim == 1
        return self._per_piece[task]

    def _weigh(self, value: npt.NDArray[Any]) -> Values:
        with np.errstate(over="ignore", invalid="ignore"):
            paid = (value * self.factor + 0.0).astype(np.float32)  # + 0.0 turns -0.0 into 0.0
        if not np.isfinite(paid).all():
            raise RewardError(
                f"reward term {self.name!r} is too large for a float32 with weight {self.weight:g}"
            )
        return paid

    def newest(self, score: Score) -> Values:
        """Return the weighted value (B,) at the last written cell, per-piece values at the end."""
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
        """Return the weighted value (B, V, T) of finished pieces."""
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


def _failure(error: BaseException, fn: Any) -> str:
    """Describe what a function raised, and where."""
    where = place_of(error, fn)
    if isinstance(error, ValueError) and "read-only" in str(error):
        return (
            f"writes into the score {where}, which others read too: its arrays are read-only. "
            "Write into a copy, such as score.pitch.copy()"
        )
    return f"raised {type(error).__name__}: {error} {where}"
