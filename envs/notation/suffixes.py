"""Tables of formats by the suffix of a file's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from envs.errors import quoted

T = TypeVar("T")


def entry(table: Mapping[str, T], name: str, verb: str) -> T:
    """Return the entry of the longest suffix that a file's name ends with, in any case.

    Args:
        table: entries by suffix, such as ".mid" or ".roll.svg".
        name: of the file, or its suffix alone.
        verb: what is done to the file, for the message.

    Raises:
        ValueError: the table has no such suffix.
    """
    suffixes = [suffix for suffix in table if name.lower().endswith(suffix)]
    if not suffixes:
        suffix = Path(name).suffix or name
        raise ValueError(
            f"{quoted(name)}: cannot {verb} {quoted(suffix)} files; expected {', '.join(table)}"
        )
    return table[max(suffixes, key=len)]
