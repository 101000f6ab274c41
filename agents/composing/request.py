"""Requests to a composer: a task, cells that stay, what is kept, and wishes that count."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from inspect import signature
from typing import Any

import numpy as np

from agents.composing.latent.points import Points
from agents.composing.locked_bars import Bars
from agents.composing.theme import Theme
from envs.errors import did_you_mean, quoted
from envs.music.chords import chord_bars
from envs.music.phrases import phrase_bars, usual_bars
from envs.music.piece import Piece
from envs.music.pitch import parse_range
from envs.music.score import Score
from envs.music.task import Task
from rewards.spec import parse_term

MOST = 10_000  # melodies
COLDEST = 1e-30  # temperature; scores of networks divided by less are infinite in float32
ASKED = ("key", "chords", "phrases")  # that every melody keeps, unless it is a wish
LINES = {"range": "D4-G5", "ranges": "SATB", "chords": "i VII i v", "phrases": "AABA"}
Rules = Sequence[str | Callable[..., Any]]
Given = Score | Bars | Theme | Points | Sequence[Sequence[int]]


class Request:
    """A request to a composer.

    The key, the chords and the phrases that it names are kept in every melody, by each method:
    every note in the scale (in minor the sixth and seventh may be raised), notes on strong places
    in the chord, phrases that come back as their letters ask, see the rules in_key, chord_tones
    and phrase_return. A `task` names all that it has; what a composer, a file or a given score has
    by itself is not asked for. A theme is held to its own budget instead.

    Args:
        task: the page to fill; the composer's own, with `changes`, if None.
        given: cells that stay: a score of one piece, a row of tokens for each voice with -1 where
            the composer is free, or `Bars` of a piece; or a `Theme` that is written in the style
            of the prior; or a `Variation` of a theme, or what is `Between` two, for a latent model.
            With all but rows the task is theirs.
        must: rules that every melody keeps, by name as in a reward, or as functions.
        wish: those of key, chords and phrases that are weighed by the reward only, and not kept.
        wishes: terms that count beside the composer's reward: names or functions, alone or with
            their weights.
        n: number of melodies.
        seed: of the draw; the same seed gives the same melodies. A beam draws nothing.
        method: one of `agents.composing.METHODS`.
        temperature: of the draw; 1 draws as trained, lower is more cautious.
        primer: notes to begin with, such as "C4 E4:2 G4:2".
        candidates: melodies drawn for each one that is chosen (sample, prior).
        best_of: draws for each melody (best-of-n).
        width: beginnings that are kept (beam, guided-beam, best-known).
        calls: of the network for each candidate (guided-infill).
        mask: rules to keep (masked), see `agents.composing.masks.read_masks`.
        changes: fields of Task, such as key="D minor"; range="D4-G5" stands for low and high.

    Attributes:
        piece: from which the melodies have title and tempo: that of the bars or theme; or None.

    Raises:
        ValueError: a value out of its range, or two arguments that contradict each other.
        TypeError: an unknown keyword, or a value of a wrong type.
    """

    def __init__(
        self,
        task: Task | None = None,
        *,
        given: Given | None = None,
        must: Rules = (),
        wish: Sequence[str] = (),
        wishes: Rules | Mapping[Any, Any] = (),
        n: int = 1,
        seed: int = 1,
        method: str = "sample",
        temperature: float = 1.0,
        primer: str = "",
        candidates: int = 8,
        best_of: int = 64,
        width: int = 1000,
        calls: int = 256,
        mask: Rules = (),
        **changes: Any,
    ) -> None:
        self.task = require_kind(
            "task", task, Task | None, 'a Task, or its fields, as Request(key="D minor", bars=8)'
        )
        self.given = require_kind(
            "given",
            given,
            Score | Bars | Theme | Points | list | tuple | np.ndarray | None,
            "a score or rows",
        )
        self.piece: Piece | None = given.piece if isinstance(given, Bars | Theme | Points) else None
        self.primer = require_kind("primer", primer, str, "notes in a line")
        self.method = require_kind("method", method, str, "a name")
        self.must, self.mask = _rules("must", must), _rules("mask", mask)
        self.wish = _wish(wish)
        words = _rules("wishes", wishes)
        weighed = dict(parse_term(w) if isinstance(w, str) else (w, 1.0) for w in words)
        self.wishes: Mapping[Any, Any] = wishes if isinstance(wishes, Mapping) else weighed
        self.n, self.seed = _whole("n", n, 1, MOST), _whole("seed", seed, 0)
        self.candidates = _whole("candidates", candidates, 1, MOST)
        self.best_of, self.width = _whole("best_of", best_of, 1), _whole("width", width, 1)
        self.calls = _whole("calls", calls, 1, 1_000_000)
        self.temperature = require_kind("temperature", temperature, int | float, "a number above 0")
        if not COLDEST <= temperature < math.inf:
            raise ValueError(
                f"temperature={quoted(temperature)}: expected a number above 0, {COLDEST:g} or "
                "more, and not inf"
            )
        self.changes = _read_changes(changes)
        if task is not None and (self.changes or isinstance(given, (Score, Bars, Theme, Points))):
            other = next(iter(self.changes), "given")
            raise ValueError(f"task and {other} both say what to compose; leave one of them out")

    def __repr__(self) -> str:
        usual, own = vars(Request()), {**vars(self), **self.changes}
        del own["changes"], own["piece"]
        asked = [f"{k}={v!r}" for k, v in own.items() if repr(v) != repr(usual.get(k))]
        return f"Request({', '.join(asked)})"

    @property
    def chooses(self) -> bool:
        """True if something is asked for, so that the best of several candidates are wanted."""
        asked = (self.changes, self.must, self.wishes)
        return any(map(bool, asked)) or self.task is not None or self.given is not None

    @property
    def demanded(self) -> tuple[str, ...]:
        """Names of ASKED that every melody keeps."""
        if isinstance(self.given, Theme):
            return ()
        named = [name for name in ASKED if self.changes.get(name)]
        if self.task is not None:
            named = [name for name in ASKED if getattr(self.task, name)]
        return tuple(name for name in named if name not in self.wish)

    def task_on(self, base: Task) -> Task:
        """Return the task to compose for, `base` being the composer's own.

        Raises:
            ValueError: fields that contradict each other, or nothing is left to write.
        """
        if isinstance(self.given, Bars | Theme | Points):
            return self.given.task_with(self.changes)
        task, changes = self.task or base, dict(self.changes)
        if isinstance(self.given, Score):
            if self.given.batch != 1:
                raise ValueError(f"given: {self.given.batch} pieces, expected one: score[0:1]")
            task, changes["given"] = self.given.task, self.given.tokens[0].tolist()
        elif self.given is not None:
            changes["given"] = self.given
        bars = chord_bars(changes.get("chords", ""))
        if bars > 1:  # one chord says nothing about the length
            changes.setdefault("bars", bars)
        plan = changes.get("phrases", "")
        bars = phrase_bars(plan)
        if not bars and usual_bars(plan) > 2 * task.bars:  # else a phrase would be a single bar
            bars = usual_bars(plan)
        if bars and self.given is None:
            changes.setdefault("bars", bars)
        task = task.changed(**changes)
        if self.given is not None and not task.free.any():
            raise ValueError("given: every cell stays, nothing is left to write")
        return task


TASK_FIELDS = (*(field.name for field in fields(Task) if field.name != "given"), "range")
ARGUMENTS = (*TASK_FIELDS, *list(signature(Request).parameters)[:-1])


def _read_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a task from keywords; those that are None are not asked for."""
    for name in changes:
        if name not in TASK_FIELDS:
            raise TypeError(
                f"Request has no argument {name!r}.{did_you_mean(name, ARGUMENTS)} "
                f"Known: {', '.join(ARGUMENTS)}"
            )
    asked = {name: value for name, value in changes.items() if value is not None}
    for name in LINES.keys() & asked.keys():
        require_kind(name, asked[name], str, f"a line of text, such as {LINES[name]!r}")
    if "range" in asked:
        if {"low", "high"} & set(asked):
            raise ValueError("range and low or high contradict each other; leave one of them out")
        asked["low"], asked["high"] = parse_range(asked.pop("range"))
    return asked


def require_kind(name: str, value: Any, kinds: Any, expected: str) -> Any:
    """Return a value; TypeError if it is of none of these types."""
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise TypeError(f"{name}={quoted(value)}: expected {expected}")
    return value


def _rules(name: str, rules: Any) -> tuple[str | Callable[..., Any], ...]:
    if isinstance(rules, str) or not isinstance(rules, Iterable):
        raise TypeError(f"{name}={quoted(rules)}: expected a list of rules, such as ['in_key']")
    chosen = tuple(rules)
    for rule in chosen:
        if not callable(rule):
            require_kind(name, rule, str, "names of rules, or functions")
    return chosen


def _wish(names: Any) -> tuple[str, ...]:
    for name in _rules("wish", names):
        if name not in ASKED:
            raise ValueError(
                f"wish={quoted(name)}.{did_you_mean(str(name), ASKED)} Expected some of "
                f"{', '.join(ASKED)}; terms of a reward are `wishes`"
            )
    return tuple(names)


def _whole(name: str, value: Any, least: int, most: int = 2**63 - 1) -> int:
    if not least <= require_kind(name, value, int | np.integer, "a whole number") <= most:
        raise ValueError(f"{name}={quoted(value)}: expected {least} to {most:,}")
    return int(value)
