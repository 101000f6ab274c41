"""Rules: the registry of built-in terms, and what they say to a person.

A rule gives a violation in [0, 1] for each cell; a reward sum takes its weight off. Other
registered functions are rewards of any sign, and a weight multiplies them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from envs.contract import RewardFunction, cellwise
from envs.notation import score_from_text
from envs.score import Score
from envs.theory import interval_name

F = TypeVar("F", bound=Callable[..., Any])

REGISTRY: dict[str, RewardFunction] = {}


def term(*, source: str, says: str = "") -> Callable[[F], F]:
    """Register a cell-wise reward function under its own name.

    Args:
        source: where the formula or rule comes from.
        says: what to tell a person where it costs; may hold {note}, {previous}, {before} (names
            of this note and the two before it), {interval} (from the note before) and {key}.
    """

    def register(fn: F) -> F:
        marked: Any = cellwise(fn)
        marked.source, marked.says = source, says
        marked.violation = getattr(fn, "violation", False)
        REGISTRY[fn.__name__] = fn
        return fn

    return register


def rule(*, source: str, says: str = "") -> Callable[[F], F]:
    """Register a rule: a function whose value is a violation in [0, 1]. Arguments as `term`."""

    def register(fn: F) -> F:
        fn.violation = True  # type: ignore[attr-defined]
        return term(source=source, says=says)(fn)

    return register


@dataclass(frozen=True)
class Remark:
    """One message about one cell. `value` is what the term gave there, unweighted."""

    term: str
    piece: int
    voice: int
    cell: int
    where: str
    text: str
    value: float

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def place(score: Score, cell: int) -> str:
    """'bar 1, beat 2.5' for a time index."""
    bar, rest = divmod(cell, score.task.bar_cells)
    return f"bar {bar + 1}, beat {1 + rest / score.task.beat_cells:g}"


def describe(score: Score, piece: int, voice: int, cell: int, says: str) -> str:
    """Fill a rule's message with the notes around a cell."""
    notes = [n for n in score.task.codec.decode(score.tokens[piece, voice]) if n.start <= cell]
    names = [score.task.key.pitch_name(note.pitch) for note in notes[-3:]]
    names = ["silence"] * (3 - len(names)) + names
    size = notes[-1].pitch - notes[-2].pitch if len(notes) > 1 else 0
    values = dict(zip(("before", "previous", "note"), names, strict=True))
    return says.format(**values, interval=interval_name(size), key=score.task.key)


def remarks(fn: RewardFunction, score: Score, name: str = "", sign: float = -1.0) -> list[Remark]:
    """A message for each cell where a term costs, in order of time.

    Args:
        fn: a rule or reward function that gives one number per cell.
        score: any batch.
        name: of the term, its own by default.
        sign: sign of the term's weight: a cost is where value times sign is negative.
    """
    name = name or getattr(fn, "__name__", type(fn).__name__)
    says = getattr(fn, "says", "") or "{note}: " + name
    values = np.asarray(fn(score)) * 1.0
    cost = values * sign < 0
    return [
        Remark(name, int(b), int(v), int(t), place(score, t), describe(score, b, v, t, says),
               float(values[b, v, t]))
        for b, v, t in sorted(np.argwhere(cost).tolist(), key=lambda at: (at[0], at[2], at[1]))
    ]  # fmt: skip


def explain(fn: RewardFunction, piece: str | Score, **where: Any) -> None:
    """Print a rule's remarks on a score, or on notes written in a line.

    >>> from rewards.melody import in_key
    >>> explain(in_key, "C4 F#4 G4")
    bar 1, beat 2: F#4 is not in C major
    """
    score = score_from_text(piece, **where) if isinstance(piece, str) else piece
    sign = -1.0 if getattr(fn, "violation", False) else 1.0
    for remark in remarks(fn, score, sign=sign):
        print(remark)
