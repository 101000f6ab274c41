"""Filled-in forms, checked, and what they say about each source."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from envs.durable_files import read_text
from envs.errors import quoted
from tests.tools.blind.sheets import COLUMNS, HUMAN, MACHINE, MARKS, Key, read_key
from tests.tools.blind.sources import CORPUS
from tests.tools.judging.comparing import table

NEEDED = 3 / 4  # share of the real tunes, 9 of 12, that are called human in a reading that counts
SHOWN = 4  # least overall mark of a melody that would be shown to others
Z95 = 1.959964
RESAMPLES = 10_000
MOST_PROBLEMS = 5  # that are told of one form


@dataclass(frozen=True)
class Judged:
    """A melody as a reader judged it: its source, and a mark for each of MARKS."""

    source: str
    human: bool
    marks: tuple[int, ...]


@dataclass(frozen=True)
class Reading:
    """A form that a reader has filled in.

    Attributes:
        path: of the form.
        key: to its sheet.
        melodies: as judged, in the order of the sheet.
    """

    path: Path
    key: Key
    melodies: tuple[Judged, ...]

    @property
    def real(self) -> tuple[int, int]:
        """Number of real tunes that were called human, and of all real tunes."""
        calls = [melody.human for melody in self.melodies if melody.source == CORPUS]
        return sum(calls), len(calls)

    @property
    def counts(self) -> bool:
        """True if enough of the real tunes were called human."""
        called, of = self.real
        return called >= NEEDED * of > 0

    def __str__(self) -> str:
        called, of = self.real
        least = math.ceil(NEEDED * of)
        told = f"{self.path} (sheet {self.key.sheet}): {called} of {of} real tunes called human"
        if self.counts:
            return f"{told}, at least {least}: the reading counts"
        return f"{told}, fewer than {least}: THE READING DOES NOT COUNT"


def read_keys(folder: Path) -> dict[str, Key]:
    """Return the keys in a folder by the names of their sheets.

    Raises:
        ValueError: there are none, or one is damaged.
    """
    keys = [read_key(path) for path in sorted(folder.glob("*.json"))]
    if not keys:
        raise ValueError(f"{folder} has no keys (*.json); name the folder that has with --keys")
    return {key.sheet: key for key in keys}


def read_form(path: Path, keys: Mapping[str, Key]) -> Reading:
    """Return a reading.

    Args:
        path: of the filled-in form, CSV with commas or semicolons.
        keys: by the names of their sheets.

    Raises:
        ValueError: no such key, missing or unknown columns, melodies that are missing, unknown or
            there twice, cells that are empty or hold something else than a mark.
    """
    lines = read_text(path).lstrip("\ufeff").splitlines()
    delimiter = ";" if lines and ";" in lines[0] else ","
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if any(map(str.strip, row))]
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    needed = [name for name in COLUMNS if name != "why"]
    if not set(needed) <= set(head) or len(set(head)) < len(head):
        raise ValueError(
            f"{path}: expected the columns {', '.join(COLUMNS)}, got {', '.join(head) or 'none'}"
        )
    cells = [dict(zip(head, map(str.strip, row), strict=False)) for row in rows[1:]]
    names = sorted({row["sheet"] for row in cells})
    if len(names) != 1:
        raise ValueError(f"{path}: expected rows of one sheet, got {', '.join(names) or 'none'}")
    if names[0] not in keys:
        raise ValueError(
            f"{path}: no key to sheet {quoted(names[0])} among those of {', '.join(sorted(keys))}; "
            "name the folder that has it with --keys"
        )
    key = keys[names[0]]
    problems, judged = _judge(cells, key)
    if problems:
        more = len(problems) - MOST_PROBLEMS
        told = "; ".join(problems[:MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        raise ValueError(f"{path}: {told}")
    return Reading(path, key, tuple(judged[number] for number in sorted(judged)))


def _judge(cells: Sequence[Mapping[str, str]], key: Key) -> tuple[list[str], dict[int, Judged]]:
    """Return what is wrong with the rows of a form, and what is right, by number of the melody."""
    problems, judged = [], {}
    by_name = {str(number): number for number in key.sources}
    seen: set[str] = set()
    for row in cells:
        name = row.get("melody", "")
        if name not in by_name:
            problems.append(f"melody {quoted(name)}: expected 1 to {len(by_name)}")
            continue
        if name in seen:
            problems.append(f"melody {name} has two rows; expected one")
            continue
        seen.add(name)
        wrong = []
        called = row.get("called", "").lower()
        if called not in (HUMAN, MACHINE):
            wrong.append(("called", f"{HUMAN} or {MACHINE}"))
        marks = {mark: row.get(mark, "") for mark in MARKS}
        wrong += [(mark, "1 to 5") for mark in MARKS if marks[mark] not in tuple("12345")]
        for column, expected in wrong:
            got = f"got {quoted(row[column])}" if row.get(column) else "it is empty"
            problems.append(f"melody {name}: {column} is to be {expected}, {got}")
        if not wrong:
            number = by_name[name]
            values = tuple(int(marks[mark]) for mark in MARKS)
            judged[number] = Judged(key.sources[number], called == HUMAN, values)
    missing = [name for name in by_name if name not in seen]
    if missing:
        problems.append(f"no rows of melodies {', '.join(missing)}")
    return problems, judged


def read_forms(paths: Sequence[Path], keys: Mapping[str, Key]) -> list[Reading]:
    """Return the readings of one reader.

    Raises:
        ValueError: as `read_form`; two forms of one sheet; or sheets that cannot be pooled, as
            their tasks differ or a source was made with other files or options.
    """
    readings = [read_form(path, keys) for path in paths]
    by_sheet: dict[str, Reading] = {}
    for reading in readings:
        other = by_sheet.setdefault(reading.key.sheet, reading)
        if other is not reading:
            raise ValueError(
                f"{other.path} and {reading.path} are of one sheet, {reading.key.sheet}; score the "
                "forms of one reader at a time, each once"
            )
        first = readings[0].key
        same = first.made.keys() & reading.key.made.keys()
        changed = [label for label in same if first.made[label] != reading.key.made[label]]
        if changed or reading.key.task != first.task:
            what = ", ".join(sorted(changed)) or "the task"
            raise ValueError(
                f"{readings[0].path} and {reading.path} cannot be pooled: {what} is not the same "
                "on both sheets; score them one by one"
            )
    return readings


def report(readings: Sequence[Reading]) -> str:
    """Return a table for each reading, and one of those that count together, in Markdown."""
    parts = [f"{reading}\n\n{summary(reading.melodies)}" for reading in readings]
    counting = [reading for reading in readings if reading.counts]
    melodies = [melody for reading in counting for melody in reading.melodies]
    if len(readings) > 1 and counting:
        parts.append(
            f"{len(counting)} of {len(readings)} readings count; these together:\n\n"
            f"{summary(melodies)}"
        )
    if not counting:
        parts.append("No reading counts: these figures say nothing about the sources.")
    parts.append(
        "[ ] are intervals of 95%: of shares by Wilson (1927), of means by resampling melodies. "
        f"A reading counts if at least {NEEDED:.0%} of the real tunes, 9 of 12, are called human."
    )
    return "\n\n".join(parts)


def summary(melodies: Sequence[Judged]) -> str:
    """Return a table with a row for each source, the real tunes first."""
    labels = sorted({melody.source for melody in melodies}, key=lambda name: (name != CORPUS, name))
    rows = []
    for label in labels:
        mine = [melody for melody in melodies if melody.source == label]
        marks = np.array([melody.marks for melody in mine])
        shown = int((marks[:, MARKS.index("overall")] >= SHOWN).sum())
        row = [label, _share(sum(melody.human for melody in mine), len(mine))]
        for column in marks.T:
            low, high = mean_interval(column)
            row.append(f"{column.mean():.2f} [{low:.2f}, {high:.2f}]")
        rows.append([*row, _share(shown, len(mine))])
    return table(rows, ["source", "called human", *MARKS, "would show (4 or 5)"])


def _share(count: int, of: int) -> str:
    low, high = wilson(count, of)
    return f"{count} of {of} [{low:.0%}, {high:.0%}]"


def wilson(count: int, of: int) -> tuple[float, float]:
    """Return the interval of 95% of a share (Wilson 1927)."""
    share, z2 = count / of, Z95**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z95 / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the interval of 95% of a mean, by the percentile bootstrap with a fixed seed."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
