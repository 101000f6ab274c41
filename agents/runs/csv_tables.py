"""Tables of numbers as a run keeps them: a head, and a row that is added at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from envs.durable_files import append, read_text, write_atomic

MOST_BYTES = 2**28  # half a million rows


def logged(value: float) -> float:
    """A number as the tables hold it, so that a run and a run resumed from them compute alike."""
    return float(_digits(value))


def add_row(file: Path, row: Mapping[str, float]) -> None:
    """Add a row; the first one writes the head.

    Raises:
        ValueError: what is there is no table.
        OSError: it cannot be written.
    """
    heads = _whole_lines(file)[:1]
    names = heads[0].split(",") if heads else list(row)  # of a run begun with other columns
    values = (row.get(name, math.nan) for name in names)
    line = ",".join(map(_digits, values))
    append(file, line + "\n" if heads else ",".join(names) + f"\n{line}\n")


def read_columns(file: Path, needed: Sequence[str] = ()) -> dict[str, list[float]]:
    """Columns of a table; none if it is not there.

    Args:
        file: the table.
        needed: columns that it must have, if it has any.

    Raises:
        ValueError: it lacks one of them, is no plain file, or too large.
    """
    names, *rows = _whole_lines(file) or [""]
    columns = zip(*(row.split(",") for row in rows), strict=True)
    found = dict(zip(names.split(","), columns, strict=False))
    missing = [name for name in needed if found and name not in found]
    if missing:
        raise ValueError(
            f"{file} has no column {missing[0]!r}; expected {', '.join(needed)}. It is damaged, or "
            "of another program"
        )
    return {name: [float(value) for value in column] for name, column in found.items()}


def cut(file: Path, steps: int) -> None:
    """Drop rows past `steps`, which a resumed run will write again.

    Raises:
        ValueError: what is there is no table.
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
    """Lines of a table; one that was cut off in the writing is none."""
    if not file.exists() and not file.is_symlink():
        return []
    text = read_text(file, MOST_BYTES)
    head, *rows = text[: text.rfind("\n") + 1].splitlines() or [""]
    whole = [row for row in rows if row.count(",") == head.count(",") and _numbers(row)]
    return [head, *whole] if head else []


def _numbers(row: str) -> bool:
    """Whether a row holds numbers only, and begins with one of steps."""
    try:
        steps, *_ = map(float, row.split(","))
        return math.isfinite(steps)
    except ValueError:
        return False
