"""Text that names a file, a tune of it and bars: theme.abc#7:1-32."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.errors import quoted

LAST_BAR = 9999
_RANGE = r"\d{1,9}(?:-\d{1,9})?"
_BARS = re.compile(rf"(.+):({_RANGE}(?:,{_RANGE})*)", re.DOTALL)
_TUNE = re.compile(r"(.+)#(\d{1,9})", re.DOTALL)
_UNREAD = re.compile(r".*\.\w+[#:][^/\\]*", re.DOTALL)


@dataclass(frozen=True)
class Address:
    """A file, and which part of it is meant.

    Attributes:
        path: of the file.
        tune: number of a tune in a collection, from 1; None if none is named.
        ranges: first and last bar of each range of bars; empty if none is named.
    """

    path: Path
    tune: int | None = None
    ranges: tuple[tuple[int, int], ...] = ()

    @property
    def numbers(self) -> set[int]:
        """The numbers of all bars that are named."""
        return {bar for first, last in self.ranges for bar in range(first, last + 1)}

    @property
    def known(self) -> dict[str, Any]:
        """The tune and bars that are named, as keywords of `read_piece`.

        Raises:
            ValueError: there are several ranges of bars.
        """
        known = {"tune": self.tune, "bars": self.bars}
        return {name: value for name, value in known.items() if value is not None}

    @property
    def bars(self) -> tuple[int, int] | None:
        """The first and last bar, None if no bars are named.

        Raises:
            ValueError: there are several ranges.
        """
        if len(self.ranges) > 1:
            raise ValueError(
                f"{len(self.ranges)} ranges of bars; a piece is read from one, such as FILE:1-32"
            )
        return self.ranges[0] if self.ranges else None


def parse_address(text: str, bars: bool = False) -> Address:
    """Return the file, tune and bars of text such as 'theme.abc#7:1-2,5'.

    The name of an existing file stays whole, whatever is in it.

    Args:
        text: to read.
        bars: True if bars have to be named; the text behind the last colon then is theirs.

    Raises:
        ValueError: the text names no bars although it has to, or bars that cannot be.
    """
    name, ranges = text, []
    found = None if not bars and os.path.exists(text) else _BARS.fullmatch(text)
    if found:
        name = found[1]
        ranges = [_range(part, text) for part in found[2].split(",")]
    elif bars:
        raise ValueError(
            f"{quoted(text)}: expected a file and bars of it, such as theme.musicxml:1-2,5"
        )
    if os.path.exists(name):
        return Address(Path(name), None, tuple(ranges))
    tune = _TUNE.fullmatch(name)
    path = tune[1] if tune else name
    if _UNREAD.fullmatch(path) and not os.path.exists(path):
        raise ValueError(
            f"{quoted(text)}: there is no such file, nor a tune and bars of one; expected such as "
            "theme.abc, theme.abc#7 or theme.abc#7:1-32"
        )
    return Address(Path(path), int(tune[2]) if tune else None, tuple(ranges))


def _range(part: str, text: str) -> tuple[int, int]:
    ends = [int(number) for number in part.split("-")]
    first, last = ends[0], ends[-1]
    if last > LAST_BAR or last < first:
        raise ValueError(f"{quoted(text)}: bars {part} are none; expected such as 1-32")
    return first, last
