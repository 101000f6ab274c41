"""Results of a benchmark: means over seeds, with intervals, and their differences."""

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
HELD = "@kl="  # in the name of a method with a KL budget
RESAMPLES, CONFIDENCE = 10_000, 95  # of a bootstrap; per cent
FEWEST = 3  # values for an interval: a bootstrap of two gives only these two


@dataclass(frozen=True)
class Stat:
    """Mean, 95% interval and standard deviation of a number over seeds; NaN if undefined."""

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
    """Return the means (resamples,) of samples that are drawn with replacement.

    Efron (1979), "Bootstrap methods: another look at the jackknife"; the percentiles of these
    means are an interval of the mean. It is too narrow for few values, see NOTES of the report.
    """
    rng, sample = np.random.default_rng(seed), np.asarray(values, np.float64)
    means: Array = sample[rng.integers(len(sample), size=(resamples, len(sample)))].mean(axis=1)
    return means


def stat(values: Iterable[float]) -> Stat:
    """Return the statistics of one value a seed; NaN values are ignored."""
    defined = [value for value in values if not math.isnan(value)]
    if not defined:
        return Stat(math.nan, math.nan, math.nan, math.nan, 0)
    low, high = _interval(bootstrap(defined)) if len(defined) >= FEWEST else (math.nan, math.nan)
    std = float(np.std(defined, ddof=1)) if len(defined) > 1 else math.nan
    return Stat(float(np.mean(defined)), low, high, std, len(defined))


def contrast(first: Iterable[float], second: Iterable[float]) -> Stat:
    """Return the mean of `first` minus that of `second`, as independent samples; NaN is ignored."""
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
    """Return a number with about three digits, a dash for NaN."""
    if math.isnan(value):
        return "–"
    if float(value).is_integer():
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    return f"{value:,.{digits}f}" if abs(value) >= 5e-4 else f"{value:.1g}"


# -- results ---------------------------------------------------------------------------------------


@dataclass
class Results:
    """All finished cells of a benchmark.

    Attributes:
        settings: the settings of all cells.
        rows: numbers and seconds by method and seed.
        warnings: warnings of the training runs, by method and seed.
        curves: columns of metrics.csv for each seed, by method.
        machines: the machines that computed the cells.
    """

    settings: TrainConfig
    rows: dict[str, dict[int, Row]] = field(default_factory=dict)
    warnings: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    curves: dict[str, list[dict[str, list[float]]]] = field(default_factory=dict)
    machines: set[str] = field(default_factory=set)

    def values(self, method: str, number: str) -> list[float]:
        """Return a number of a method's cells in the order of their seeds; NaN if it is missing."""
        return [row.get(number, math.nan) for row in self.rows[method].values()]

    def stat(self, method: str, number: str) -> Stat:
        """Return the statistics of a number over the seeds of a method."""
        return stat(self.values(method, number))

    @property
    def names(self) -> list[str]:
        """Names of all numbers, in order of appearance."""
        cells = [row for rows in self.rows.values() for row in rows.values()]
        return list(dict.fromkeys(name for row in cells for name in row))


def read(out: Path, order: Sequence[str]) -> Results:
    """Read the finished cells of a benchmark.

    Args:
        out: folder of the benchmark.
        order: methods in the order of the report; others follow, sorted by name.
    """
    results = Results(Run(out / "settings").config)
    seeds: dict[str, list[int]] = {}
    for file in (out / "cells").glob("*/*/result.json"):
        seeds.setdefault(file.parents[1].name, []).append(int(file.parent.name))
    for method in sorted(seeds, key=lambda m: (order.index(m) if m in order else len(order), m)):
        for seed in sorted(seeds[method]):
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
    """Write cells.csv, the numbers of each cell, and summary.csv, their statistics over seeds.

    Missing numbers are empty.
    """

    def file(name: str, lines: Iterable[Sequence[object]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        write_atomic(out / name, text.getvalue())

    def shown(value: float) -> object:
        return "" if math.isnan(value) else value

    names = results.names
    cells = [
        [method, seed, *(shown(row.get(name, math.nan)) for name in names)]
        for method, rows in results.rows.items()
        for seed, row in rows.items()
    ]
    file("cells.csv", [["method", "seed", *names], *cells])
    stats = [(m, name, results.stat(m, name)) for m in results.rows for name in names]
    lines = [
        [m, name, s.count, *map(shown, (s.mean, s.low, s.high, s.std))] for m, name, s in stats
    ]
    file("summary.csv", [["method", "number", "seeds", "mean", "low", "high", "std"], *lines])


def write_arrays(path: Path, **arrays: Array) -> None:
    """Write an .npz file, completely or not at all; equal arrays give equal bytes."""
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)  # type: ignore[arg-type]
    write_atomic(path, data.getvalue())
