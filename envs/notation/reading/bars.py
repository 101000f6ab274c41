"""Bars of a file, laid on bars of one length: upbeats, bars in two halves, endings of repeats.

A file plays a tune once here, with its last ending. What its measures leave short is filled up
with silence, so that every bar line falls where the metre has one.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from envs.errors import RefusedError
from envs.music.codec import Codec
from envs.music.meter import Meter

ZERO = Fraction(0)
MOST_MEASURES = 20_000  # of a part
MOST_BARS = 64  # that may be written as one measure
MOST_FILLED = 0.25  # of the bars; with more short ones the metre is another


@dataclass(frozen=True)
class Measure:
    """One measure of a file, from bar line to bar line; times in quarter notes.

    Attributes:
        start: from the beginning of the file.
        length: of what it holds.
        number: as printed, None if the file prints none.
        skipped: it is played at a repeat only: an ending that is not the last one.
        opens: a section begins here, with a repeat sign or a double bar.
        to: its new place; what was at `start` is there.
    """

    start: Fraction
    length: Fraction
    number: int | None = None
    skipped: bool = False
    opens: bool = False
    to: Fraction = ZERO


@dataclass(frozen=True)
class Layout:
    """Where measures came to lie.

    Attributes:
        pickup: quarter notes before the first bar line.
        end: of the last bar.
        measures: those that are played, with their new places; none if the file has none.
        numbers: of the bars, the pickup's included.
        filled: numbers of the bars that were filled up with silence.
        skipped: numbers of the bars that are left out.
    """

    pickup: Fraction = ZERO
    end: Fraction = ZERO
    measures: tuple[Measure, ...] = ()
    numbers: tuple[int, ...] = ()
    filled: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()

    def moved(self, start: Fraction, end: Fraction) -> tuple[Fraction, Fraction] | None:
        """Return the new start and end of a note; None if it is in a bar that is left out."""
        if not self.measures:
            return start, end
        first = self._measure(start)
        if first is None:
            return None
        after = first.start + first.length
        last = first if end <= after else self._measure(end, left=True)
        if last is None:  # tied into a bar that is left out
            return first.to + start - first.start, first.to + first.length
        return first.to + start - first.start, last.to + end - last.start

    def _measure(self, time: Fraction, left: bool = False) -> Measure | None:
        """Return the measure that holds a time; with `left` one that ends there also does."""
        at = bisect_right(self.measures, time, key=lambda measure: measure.start) - 1
        if left and at > 0 and self.measures[at].start == time:
            at -= 1
        if at < 0:
            return None
        measure = self.measures[at]
        over = time - measure.start - measure.length
        # The last bar may hold more than its measure says; nothing else lies behind it.
        inside = over < 0 or (left and over == 0) or at == len(self.measures) - 1
        return measure if inside else None

    def place(self, meter: Meter, time: Fraction) -> str:
        """Return words for a time of the laid-out piece, such as 'bar 3, beat 2.5'."""
        bar, inside = divmod(time - self.pickup, meter.bar)
        upbeat = self.pickup > 0
        counted = int(bar) + upbeat
        number = (
            self.numbers[counted] if 0 <= counted < len(self.numbers) else counted + (not upbeat)
        )
        beat = Fraction(meter.beat_cells(Codec.grid), Codec.grid)
        return f"bar {number}, beat {float(1 + inside / beat):g}"

    @property
    def notices(self) -> Iterator[str]:
        """Sentences that say which bars were left out or filled up."""
        if self.skipped:
            left_out = bars_named(self.skipped)
            yield f"{left_out} left out: repeats are played once, with the last ending"
        if self.filled:
            short = bars_named(self.filled)
            yield f"{short} filled up with silence, being shorter than the metre asks"


def bars_named(numbers: Sequence[int | None]) -> str:
    """Return words for bars, such as 'bars 3, 7', at most eight of them."""
    shown = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    return f"bar {shown}" if len(numbers) == 1 else f"bars {shown}"


def played_before(endings: Iterable[tuple[str, int, int]]) -> set[int]:
    """Return the measures in endings that another one follows and plays later.

    Args:
        endings: number or name, first measure and last one of each, in order.
    """
    whole: list[tuple[str, int, int]] = []
    for name, first, last in endings:  # one may be written anew in each bar
        if whole and whole[-1][0] == name and whole[-1][2] + 1 == first:
            first = whole.pop()[1]
        whole.append((name, first, last))
    return {
        at
        for (name, first, last), (other, begins, _) in pairwise(whole)
        if begins == last + 1 and _later(name, other)
        for at in range(first, last + 1)
    }


def _later(ending: str, other: str) -> bool:
    """Return True if an ending is played before another one, by their numbers or names."""
    first, second = (re.match(r"\d{1,6}", each) for each in (ending, other))
    return int(first[0]) < int(second[0]) if first and second else ending != other


def lay_out(measures: Sequence[Measure], bar: Fraction) -> Layout:
    """Lay the measures of a file on bars of one length.

    Args:
        measures: in order, with numbers; none of them is empty.
        bar: length of the metre's bar in quarter notes.

    Raises:
        RefusedError: a measure is longer than the bar, or many are shorter.
    """
    played = [each for each in measures if not each.skipped]
    if not played:
        return Layout()
    laying = _Laying(bar)
    for measure, following in zip(played, [*played[1:], None], strict=True):
        laying.add(measure, following)
    if len(laying.filled) > max(2, len(laying.numbers) * MOST_FILLED):
        raise RefusedError(
            f"{len(laying.filled)} of its {len(laying.numbers)} bars are shorter than "
            f"{float(bar):g} quarter notes, a bar of the metre; expected bars of one length"
        )
    skipped = [each.number or 0 for each in measures if each.skipped]
    return Layout(
        laying.pickup,
        laying.end,
        tuple(laying.measures),
        tuple(laying.numbers),
        tuple(sorted(set(laying.filled))),
        tuple(skipped),
    )


def numbered(measures: Sequence[Measure], bars: Sequence[Fraction]) -> list[Measure]:
    """Return measures with numbers that rise: the printed ones if they do, else counted.

    Args:
        measures: in order, none of them empty.
        bars: length of the metre's bar at each measure, in quarter notes.
    """
    printed = [each.number for each in measures if each.number is not None]
    rising = all(before <= after for before, after in pairwise(printed))
    distinct = len(set(printed)) > len(printed) / 2
    if len(printed) == len(measures) and rising and distinct and printed[0] >= 0:
        return list(measures)
    number = 0 if len(measures) > 1 and measures[0].length < bars[0] else 1
    result, filled = [], ZERO
    for each, bar in zip(measures, bars, strict=True):
        if 0 < filled < bar < filled + each.length:
            number, filled = number + 1, ZERO  # what stood before was short
        result.append(replace(each, number=number))
        filled += each.length
        # A bar in two halves has one number; an upbeat has its own.
        if filled >= bar or number == 0 or each.skipped:
            number, filled = number + max(1, int(filled / bar)), ZERO
    return result


class _Laying:
    """The state of `lay_out`: where the next measure goes."""

    def __init__(self, bar: Fraction) -> None:
        self.bar = bar
        self.pickup = self.end = ZERO
        self.measures: list[Measure] = []
        self.numbers: list[int] = []
        self.filled: list[int] = []

    def add(self, measure: Measure, following: Measure | None) -> None:
        """Lay the next measure; `following` is the one behind it."""
        length, bar, number = measure.length, self.bar, measure.number or 0
        if length > bar and (length % bar or length > MOST_BARS * bar):
            raise RefusedError(
                f"bar {number} lasts {float(length):g} quarter notes, {float(bar):g} are a bar of "
                "the metre; expected bars of one length"
            )
        first, short = not self.measures, length < bar
        if first and short and following and following.number != measure.number:
            self.pickup = length
            self.put(measure, ZERO)
            self.numbers.append(number)
            return
        inside = (self.end - self.pickup) % bar
        if inside and inside + length > bar:
            self.filled.append(self.numbers[-1])
            self.end += bar - inside
            inside = ZERO
        at, left = self.end, bar - inside - length
        if not inside:
            self.numbers += range(number, number + max(1, int(length / bar)))
        if measure.opens and following and 0 < left < following.length:
            self.filled.append(self.numbers[-1])  # an upbeat: the silence is before it
            at += left
        self.put(measure, at)

    def put(self, measure: Measure, at: Fraction) -> None:
        self.measures.append(replace(measure, to=at))
        self.end = at + measure.length
