"""Results of a benchmark: means over seeds, with intervals, and their differences."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt

from agents.benchmarking.limits import LimitCurve, read_limits
from agents.runs.directory import Run
from agents.settings.config import TrainConfig
from envs.durable_files import read_facts, write_atomic

Row = dict[str, float]
Array = npt.NDArray[np.float64]
GOALS = ("unique highest note", "unique lowest note", "tonic frame", "repeated motif")
HELD = "@kl="  # in the name of a method with a KL budget
RESAMPLES, CONFIDENCE = 10_000, 95  # of a bootstrap; per cent
FINISHED = "result.json"  # of a cell, written last
FEWEST = 3  # values for an interval: a bootstrap of two gives only these two


@dataclass(frozen=True)
class Stat:
    """Mean, 95% interval and standard deviation of a number over seeds; NaN if undefined."""

    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    std: float = math.nan
    count: int = 0

    def __str__(self) -> str:
        if self.count < FEWEST:
            return f"{plain(self.mean)} (fewer than {FEWEST} seeds, no interval)"
        return f"{plain(self.mean)} ({plain(self.low)} to {plain(self.high)})"


def folder_of(out: Path, method: str, seed: int) -> Path:
    """Return the folder of a cell in the folder of its benchmark; a path in a name is quoted."""
    return out / "cells" / quote(method, safe="@=+:") / str(seed)


def bootstrap(values: Sequence[float], seed: int = 0) -> Array:
    """Return the means (RESAMPLES,) of samples that are drawn with replacement.

    Efron (1979), "Bootstrap methods: another look at the jackknife"; the percentiles of these
    means are an interval of the mean. It is too narrow for few values, see the end
    of report_template.md.
    """
    rng, sample = np.random.default_rng(seed), np.asarray(values, np.float64)
    means: Array = sample[rng.integers(len(sample), size=(RESAMPLES, len(sample)))].mean(axis=1)
    return means


def stat(values: Iterable[float]) -> Stat:
    """Return the statistics of one value a seed; NaN values are ignored."""
    defined = [value for value in values if not math.isnan(value)]
    if not defined:
        return Stat()
    low, high = _interval(bootstrap(defined), len(defined))
    std = float(np.std(defined, ddof=1)) if len(defined) > 1 else math.nan
    return Stat(float(np.mean(defined)), low, high, std, len(defined))


def contrast(first: Iterable[float], second: Iterable[float]) -> Stat:
    """Return the mean of `first` minus that of `second`, as independent samples; NaN is ignored."""
    a, b = ([v for v in values if not math.isnan(v)] for values in (first, second))
    if not a or not b:
        return Stat()
    count = min(len(a), len(b))
    low, high = _interval(bootstrap(a) - bootstrap(b, seed=1), count)
    return Stat(float(np.mean(a) - np.mean(b)), low, high, count=count)


def _interval(means: Array, count: int) -> tuple[float, float]:
    """Return the interval of bootstrapped means; NaN for fewer than FEWEST values."""
    if count < FEWEST:
        return math.nan, math.nan
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
        limits: the limit of fine-tuning, beside which each cell with a KL has a gap and a share.
    """

    settings: TrainConfig
    rows: dict[str, dict[int, Row]] = field(default_factory=dict)
    warnings: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    curves: dict[str, list[dict[str, list[float]]]] = field(default_factory=dict)
    machines: set[str] = field(default_factory=set)
    limits: LimitCurve = field(default_factory=LimitCurve)

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
    results = Results(Run(out / "settings").config, limits=read_limits(out))

    def place(file: Path) -> tuple[int, str, int]:
        method = unquote(file.parents[1].name)
        number = order.index(method) if method in order else len(order)
        return number, method, int(file.parent.name)

    for file in sorted((out / "cells").glob(f"*/*/{FINISHED}"), key=place):
        folder, (_, method, seed) = file.parent, place(file)
        facts, clocks = read_facts(file), read_facts(folder / "timing.json")
        numbers = {k: math.nan if v is None else v for k, v in facts["numbers"].items()}
        if (folder / "run").is_dir():
            curve = Run(folder / "run").read_metrics(needed=("steps",))
            if curve:
                numbers["steps"] = curve["steps"][-1]
            results.warnings.setdefault(method, {})[seed] = facts["warnings"]
            results.curves.setdefault(method, []).append(curve)
        numbers |= results.limits.standing(numbers["kl"], numbers["reward"])
        seconds = clocks["seconds"]
        if "draw_cpu" in seconds:
            numbers["piece_cpu"] = seconds["draw_cpu"] / 1000
        results.rows.setdefault(method, {})[seed] = numbers | seconds
        results.machines.add(clocks["machine"])
    return results


def write_csv(out: Path, results: Results) -> None:
    """Write cells.csv, the numbers of each cell, and summary.csv, their statistics over seeds.

    Missing numbers are empty.
    """
    names = results.names
    cells = [
        {"method": method, "seed": seed, **row}
        for method, rows in results.rows.items()
        for seed, row in rows.items()
    ]
    _write_rows(out / "cells.csv", ["method", "seed", *names], cells)
    stats = [(m, name, results.stat(m, name)) for m in results.rows for name in names]
    lines = [{"method": m, "number": n, "seeds": s.count, **vars(s)} for m, n, s in stats]
    heads = ["method", "number", "seeds", "mean", "low", "high", "std"]
    _write_rows(out / "summary.csv", heads, lines)


def _write_rows(path: Path, heads: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, heads, "", "ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:  # NaN is the only value that differs from itself
        writer.writerow({name: value for name, value in row.items() if value == value})
    write_atomic(path, text.getvalue())
