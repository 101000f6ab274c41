"""Measures of a voice of ABC, and the endings of its repeats."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from envs.errors import RefusedError
from envs.notation.reading.bars import MOST_MEASURES, Measure, played_before

PLAIN = ("", "|", "[|]")  # bar lines that end no section


@dataclass
class WrittenBar:
    """A measure as it stands: the ending that begins with it, the bar line at its end."""

    start: Fraction
    opens: bool = False
    ending: str = ""
    sign: str = ""

    @property
    def repeats(self) -> bool:
        """True if a repeat ends with it."""
        return re.search(r":+\||::", self.sign) is not None


class BarLines:
    """The bar lines of a voice and the measures between them."""

    def __init__(self) -> None:
        self.bars = [WrittenBar(Fraction(0))]  # the last one goes on

    def cut(self, time: Fraction, sign: str = "") -> None:
        """End the measure; a sign at its very beginning is added to the bar line there.

        Raises:
            RefusedError: there are too many measures.
        """
        strong = sign not in PLAIN
        if time > self.bars[-1].start:
            self.bars[-1].sign = sign
            self.bars.append(WrittenBar(time, strong))
            if len(self.bars) > MOST_MEASURES:
                raise RefusedError(f"it has more than {MOST_MEASURES} bars; expected one tune")
        else:
            self.bars[-1].opens |= strong
            if len(self.bars) > 1:
                self.bars[-2].sign += sign

    def begin_ending(self, time: Fraction, name: str) -> bool:
        """Begin an ending; return True if a repeat ends before it, as before all but the first."""
        self.cut(time)
        self.bars[-1].ending = name
        return len(self.bars) > 1 and self.bars[-2].repeats

    def open_section(self, time: Fraction) -> None:
        """Begin a section with the measure, if nothing stands in it yet."""
        self.bars[-1].opens |= time == self.bars[-1].start

    @property
    def start(self) -> Fraction:
        """Time of the last bar line; an ending may begin behind it."""
        at = len(self.bars) - 1
        while at and not self.bars[at - 1].sign:
            at -= 1
        return self.bars[at].start

    @property
    def measures(self) -> list[Measure]:
        """The measures that are ended."""
        return list(_measures(self.bars))


def _measures(bars: Sequence[WrittenBar]) -> Iterator[Measure]:
    """Yield the measures between bar lines; the last of `bars` begins where the voice ends."""
    left_out = played_before(_endings(bars))
    for at, (bar, following) in enumerate(pairwise(bars)):
        yield Measure(bar.start, following.start - bar.start, None, at in left_out, bar.opens)


def _endings(bars: Sequence[WrittenBar]) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each ending, its first measure and that in which it closes."""
    starts = [at for at, bar in enumerate(bars) if bar.ending]
    for first, end in pairwise([*starts, len(bars)]):
        inside = range(first, end)
        stop = next((at for at in inside if bars[at].sign not in PLAIN), end - 1)
        yield bars[first].ending, first, next((at for at in inside if bars[at].repeats), stop)
