"""CSV tables of numbers, to which a run adds row after row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from envs.durable_files import append, read_text, write_atomic

MOST_BYTES = 2**28  # half a million rows


def logged(value: float) -> float:
    """Return a number rounded like in a table, so that resumed runs compute with equal numbers."""
    return float(_digits(value))


def add_row(file: Path, row: Mapping[str, float]) -> None:
    """Append a row; the first one writes the names of the columns too.

    Raises:
        ValueError: the file is no table.
        OSError: it cannot be written.
    """
    heads = _whole_lines(file)[:1]
    names = heads[0].split(",") if heads else list(row)  # an older run has its own columns
    values = (row.get(name, math.nan) for name in names)
    line = ",".join(map(_digits, values))
    append(file, line + "\n" if heads else ",".join(names) + f"\n{line}\n")


def read_columns(file: Path, needed: Sequence[str] = ()) -> dict[str, list[float]]:
    """Return the columns of a table by name; {} if there is no file.

    Args:
        file: the table.
        needed: columns that it must have, if it has any.

    Raises:
        ValueError: it lacks one of them, is no plain file, or too large.
    """
    names, *rows = _whole_lines(file) or [""]
    values = zip(*(row.split(",") for row in rows), strict=True)
    columns = dict(zip(names.split(","), values, strict=False))
    missing = [name for name in needed if columns and name not in columns]
    if missing:
        raise ValueError(
            f"{file} has no column {missing[0]!r}; expected {', '.join(needed)}. It is damaged, or "
            "of another program"
        )
    return {name: [float(value) for value in column] for name, column in columns.items()}


def cut(file: Path, steps: int) -> None:
    """Remove the rows after `steps`, which a resumed run will write again.

    Raises:
        ValueError: the file is no table.
        OSError: it cannot be written.
    """
    lines = _whole_lines(file)
    kept = [line for line in lines[1:] if float(line.partition(",")[0]) <= steps]
    text = "\n".join([lines[0], *kept]) + "\n" if kept else ""
    if not text:
        file.unlink(missing_ok=True)
    elif text != read_text(file, MOST_BYTES):
        write_atomic(file, text)


def _digits(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _whole_lines(file: Path) -> list[str]:
    """Return the lines of a table, without rows that are incomplete."""
    if not file.exists() and not file.is_symlink():
        return []
    text = read_text(file, MOST_BYTES)
    head, *rows = text[: text.rfind("\n") + 1].splitlines() or [""]
    whole = [row for row in rows if row.count(",") == head.count(",") and _numbers(row)]
    return [head, *whole] if head else []


def _numbers(row: str) -> bool:
    """True if a row has only numbers and begins with a finite one, of steps."""
    try:
        steps, *_ = map(float, row.split(","))
        return math.isfinite(steps)
    except ValueError:
        return False
