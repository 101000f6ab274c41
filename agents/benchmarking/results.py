"""Numbers of a benchmark over its seeds: means, intervals, differences."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agents.runs.directory import Run
from agents.settings.config import TrainConfig
from envs.durable_files import write_atomic

Row = dict[str, float]
Array = npt.NDArray[np.float64]
GOALS = ("unique highest note", "unique lowest note", "tonic frame", "repeated motif")
HELD = "@kl="  # in the name of a method that spends a KL budget
RESAMPLES, CONFIDENCE = 10_000, 95  # of a bootstrap; per cent
FEWEST = 3  # values for an interval: of two, a bootstrap knows no more than which is larger


@dataclass(frozen=True)
class Stat:
    """A number over seeds: mean, 95% interval, standard deviation; NaN where not known."""

    mean: float
    low: float
    high: float
    std: float
    count: int

    def __str__(self) -> str:
        if self.count < FEWEST:
            return f"{plain(self.mean)} (fewer than {FEWEST} seeds, no interval)"
        return f"{plain(self.mean)} ({plain(self.low)} to {plain(self.high)})"


def bootstrap(values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Array:
    """Means (resamples,) of values drawn again with replacement.

    Efron (1979), "Bootstrap methods: another look at the jackknife"; the percentiles of these
    means are an interval of the mean. Of few values it is too narrow, see NOTES of the report.
    """
    rng, known = np.random.default_rng(seed), np.asarray(values, np.float64)
    means: Array = known[rng.integers(len(known), size=(resamples, len(known)))].mean(axis=1)
    return means


def stat(values: Iterable[float]) -> Stat:
    """Values of several seeds, those left out that could not be counted."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Stat(math.nan, math.nan, math.nan, math.nan, 0)
    low, high = _interval(bootstrap(known)) if len(known) >= FEWEST else (math.nan, math.nan)
    std = float(np.std(known, ddof=1)) if len(known) > 1 else math.nan
    return Stat(float(np.mean(known)), low, high, std, len(known))


def contrast(first: Iterable[float], second: Iterable[float]) -> Stat:
    """Mean of the first less that of the second; resampled as independent samples."""
    a, b = ([v for v in values if not math.isnan(v)] for values in (first, second))
    count = min(len(a), len(b))
    if not count:
        return Stat(math.nan, math.nan, math.nan, math.nan, 0)
    low, high = math.nan, math.nan
    if count >= FEWEST:
        low, high = _interval(bootstrap(a) - bootstrap(b, seed=1))
    return Stat(float(np.mean(a) - np.mean(b)), low, high, math.nan, count)


def _interval(means: Array) -> tuple[float, float]:
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(means, (tail, 100 - tail))
    return float(low), float(high)


def plain(value: float) -> str:
    """A number with three digits or so; a dash for NaN."""
    if math.isnan(value):
        return "–"
    if float(value).is_integer():
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:,.{digits}f}" if abs(value) >= 5e-4 else f"{value:.1g}"


# -- what was found --------------------------------------------------------------------------------


@dataclass
class Results:
    """All finished cells of a benchmark.

    Attributes:
        settings: what the cells share.
        rows: numbers and seconds by method and seed.
        warnings: of the training runs, by method and seed.
        curves: columns of metrics.csv, a list of seeds by method.
        machines: what the cells were made on.
    """

    settings: TrainConfig
    rows: dict[str, dict[int, Row]] = field(default_factory=dict)
    warnings: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    curves: dict[str, list[dict[str, list[float]]]] = field(default_factory=dict)
    machines: set[str] = field(default_factory=set)

    def values(self, method: str, number: str) -> list[float]:
        """A number of a method's cells, in the order of their seeds; NaN where it is not known."""
        return [row.get(number, math.nan) for row in self.rows[method].values()]

    def stat(self, method: str, number: str) -> Stat:
        """A number over the seeds of a method."""
        return stat(self.values(method, number))

    @property
    def names(self) -> list[str]:
        """All numbers, in the order of their first cell."""
        cells = [row for rows in self.rows.values() for row in rows.values()]
        return list(dict.fromkeys(name for row in cells for name in row))


def read(out: Path, order: Sequence[str]) -> Results:
    """The finished cells of a folder.

    Args:
        out: of the benchmark.
        order: methods as they are to be told; others follow by name.
    """
    results = Results(Run(out / "settings").config)
    found: dict[str, list[int]] = {}
    for file in (out / "cells").glob("*/*/result.json"):
        found.setdefault(file.parents[1].name, []).append(int(file.parent.name))
    for method in sorted(found, key=lambda m: (order.index(m) if m in order else len(order), m)):
        for seed in sorted(found[method]):
            folder = out / "cells" / method / str(seed)
            facts = json.loads((folder / "result.json").read_text())
            clocks = json.loads((folder / "timing.json").read_text())
            numbers = {k: math.nan if v is None else v for k, v in facts["numbers"].items()}
            curve = (
                Run(folder / "run").read_metrics(needed=("steps",))
                if (folder / "run").is_dir()
                else {}
            )
            if curve:
                numbers["steps"] = curve["steps"][-1]
            results.rows.setdefault(method, {})[seed] = numbers | clocks["seconds"]
            results.machines.add(clocks["machine"])
            if (folder / "run").is_dir():
                results.warnings.setdefault(method, {})[seed] = facts["warnings"]
                results.curves.setdefault(method, []).append(curve)
    return results


def write_csv(out: Path, results: Results) -> None:
    """All numbers of each cell, and of each method over its seeds; nothing where not known."""

    def file(name: str, lines: Iterable[Sequence[object]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        write_atomic(out / name, text.getvalue())

    def known(value: float) -> object:
        return "" if math.isnan(value) else value

    names = results.names
    cells = [
        [method, seed, *(known(row.get(name, math.nan)) for name in names)]
        for method, rows in results.rows.items()
        for seed, row in rows.items()
    ]
    file("cells.csv", [["method", "seed", *names], *cells])
    stats = [(m, name, results.stat(m, name)) for m in results.rows for name in names]
    lines = [
        [m, name, s.count, *map(known, (s.mean, s.low, s.high, s.std))] for m, name, s in stats
    ]
    file("summary.csv", [["method", "number", "seeds", "mean", "low", "high", "std"], *lines])


def write_arrays(path: Path, **arrays: Array) -> None:
    """An .npz file whose bytes repeat, whole or not at all."""
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)  # type: ignore[arg-type]
    write_atomic(path, data.getvalue())
