"""Which numbers of a benchmark are fooled: fakes are measured as methods are, in fooled.json.

A fake is compared with the prior, whose pieces are music. It wins a number where it is not clearly
worse: where the bootstrap interval of the difference, over groups of pieces, does not lie wholly
on the worse side.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agents.benchmarking.bench import FIRST_SEED, NO_TIME, Bench, Drawn
from agents.benchmarking.columns import APART, COLUMNS, HIDDEN_BARS, WATCHED, cost
from agents.benchmarking.measuring import numbers_of, windows
from agents.benchmarking.results import contrast
from agents.evaluating.sampling import sample_many
from envs.durable_files import read_facts, write_atomic
from envs.music.score import Score
from pretrained.infiller import Infiller
from pretrained.prior import Prior
from rewards.adaptive.fresh import beside, tell_apart
from rewards.measures.fakes import fakes
from rewards.measures.hidden_bars import FAKE_FILLERS, LikeliestOf
from rewards.measures.statistics import PUBLISHED

FILE = "fooled.json"
PIECES, GROUPS = 128, 4  # pieces of a group at most
PRIOR, TUNES, LIKELIEST = "prior", "held-out tunes", "likeliest of 16 draws"
REAL = (PRIOR, TUNES, LIKELIEST)  # sets that are no fakes
DRAWS = 16
NUMBERS = tuple(dict.fromkeys((*PUBLISHED, *COLUMNS.values(), *WATCHED)))
Values = dict[str, list[float]]
Note = Callable[[str], object]


@dataclass(frozen=True)
class Fooled:
    """The content of fooled.json.

    Attributes:
        pieces: in a group.
        sets: values of each group by number, by name of a set of pieces: prior, tunes and fakes.
        fillers: the same of what fills hidden bars.
        notes: why something is missing.
    """

    pieces: int = 0
    sets: dict[str, Values] = field(default_factory=dict)
    fillers: dict[str, Values] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def among(self, number: str) -> dict[str, Values]:
        """Return the sets, or the fillers, that have a number."""
        return self.fillers if number.startswith(HIDDEN_BARS) else self.sets

    def winners(self, number: str) -> list[str]:
        """Return the names of the fakes that win a number; [] for one that is not compared."""
        sets = self.among(number)
        return [n for n in sets if n not in REAL and self.wins(number, n)]

    def wins(self, number: str, name: str) -> bool:
        """True if a fake is not clearly worse than the prior; False if it cannot be told."""
        fake, prior = (self.among(number).get(n, {}) for n in (name, PRIOR))
        if number == APART and f"{APART}/low" in fake and f"{APART}/high" in prior:
            return bool(fake[f"{APART}/low"][0] <= prior[f"{APART}/high"][0])
        costs = [[cost(number, v) for v in values.get(number, [])] for values in (fake, prior)]
        difference = contrast(*costs)
        if not difference.count or math.isnan(difference.low):
            return False
        return difference.low <= 0

    def mean(self, number: str, name: str) -> float:
        """Return the mean of a number over the groups of a set; NaN if it has none."""
        values = [v for v in self.among(number)[name].get(number, []) if not math.isnan(v)]
        return float(np.mean(values)) if values else math.nan

    def numbers(self) -> list[str]:
        """Return the numbers in which fakes are compared, in the order of the tables."""
        told = [*NUMBERS, *(n for n in self.fillers.get(PRIOR, {}) if n not in NUMBERS)]
        return [n for n in told if n in self.among(n).get(PRIOR, {}) and not math.isnan(cost(n, 1))]


def read_fooled(out: Path) -> Fooled:
    """Return the fakes of a benchmark; none where they were not measured.

    Raises:
        ValueError: fooled.json is damaged.
    """
    if not (out / FILE).is_file():
        return Fooled()
    try:
        facts = read_facts(out / FILE)
        for kind in ("sets", "fillers"):
            for values in facts[kind].values():
                values |= {
                    k: [math.nan if v is None else v for v in vs] for k, vs in values.items()
                }
        return Fooled(**facts)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{out / FILE} is damaged: {error}; remove it, it is made anew") from None


def write_fooled(bench: Bench, note: Note = str) -> Fooled:
    """Measure the fakes of a benchmark's task, and write them to fooled.json in its folder.

    Raises:
        RewardError: a term fails.
        OSError: it cannot be written.
    """
    found = measure_fakes(bench, note)
    facts = {**vars(found), "sets": _plain(found.sets), "fillers": _plain(found.fillers)}
    write_atomic(bench.out / FILE, json.dumps(facts, indent=1, allow_nan=False) + "\n")
    return found


def _plain(sets: Mapping[str, Values]) -> dict[str, Any]:
    """Return values in types that JSON has: null for NaN."""
    return {
        name: {k: [None if math.isnan(v) else v for v in vs] for k, vs in values.items()}
        for name, values in sets.items()
    }


def measure_fakes(bench: Bench, note: Note = str) -> Fooled:
    """Return what the numbers of a benchmark say of fakes, of the prior and of held-out tunes.

    Args:
        bench: has the task and the reward.
        note: called with a line on each set.

    Raises:
        RewardError: a term fails.
    """
    size = min(PIECES, bench.pieces)
    try:
        made = fakes(bench.task, GROUPS * size)
    except ValueError as error:
        return Fooled(notes=[str(error)])
    drawn = sample_many(bench.prior, bench.task, GROUPS * size, FIRST_SEED - 1)
    sets = {PRIOR: drawn, **_tunes(bench), **made}
    found: dict[str, Values] = {}
    for name, score in sets.items():
        note(f"fakes: {name}")
        found[name] = _measured(bench, score, size, apart=name != TUNES)
    notes = [] if TUNES in sets else ["There are too few real tunes like the task's pieces."]
    return Fooled(size, found, _fillers(bench, note), notes)


def _tunes(bench: Bench) -> dict[str, Score]:
    """Return held-out tunes like the pieces of a task; {} if there are too few."""
    try:
        return {TUNES: beside(bench.task)}
    except ValueError:
        return {}


def _measured(bench: Bench, score: Score, size: int, apart: bool) -> Values:
    """Return the numbers of each group of a set, and how well all of it is told from tunes."""
    groups = [score[at : at + size] for at in range(0, max(1, score.batch - size + 1), size)]
    rows = [numbers_of(bench, Drawn(g, math.nan, NO_TIME, g.batch)) for g in groups]
    values = {name: [row[name] for row in rows] for name in NUMBERS if name in rows[0]}
    told = tell_apart(score) if apart else None
    if told is not None:
        values |= {APART: [told.accuracy], f"{APART}/low": [told.low], f"{APART}/high": [told.high]}
    return values


def _fillers(bench: Bench, note: Note) -> dict[str, Values]:
    """Return the figures of hidden bars of the prior, its likeliest draws, the tunes and fakes.

    Windows are parted in GROUPS. {} if the prior cannot read them.
    """
    exam = windows(bench.pieces)
    try:
        for group in exam.groups:
            bench.prior.require(group.score.task)
    except ValueError:
        return {}
    parts = [exam.some(bench.pieces, number, GROUPS) for number in range(GROUPS)]
    ways: dict[str, Prior | Infiller] = {**FAKE_FILLERS}
    ways |= {PRIOR: bench.prior, LIKELIEST: LikeliestOf(bench.prior, DRAWS)}
    found = {TUNES: [part.originals() for part in parts]}
    for name, way in ways.items():
        note(f"hidden bars: {name}")
        found[name] = [part.figures(way) for part in parts]
    return {
        name: {HIDDEN_BARS + key: [row[key] for row in rows] for key in rows[0]}
        for name, rows in found.items()
    }
