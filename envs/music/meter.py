"""Metres: the division of a bar and the strength of its places."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from envs.errors import quoted

# Groups of a bar by its number of units, where the text names none.
GROUPS = {5: (3, 2), 7: (2, 2, 3), 8: (3, 3, 2), 10: (3, 3, 2, 2), 11: (3, 3, 3, 2)}
OFF_BEAT = 99  # level of a cell that no division of the bar into beats and their parts reaches


@dataclass(frozen=True)
class Meter:
    """A time signature. Compound metres (6/8, 9/8, 12/8) have dotted beats.

    Attributes:
        numerator: number of units in a bar.
        denominator: a unit is 1 / denominator of a whole note.
        groups: units of the bar's groups, such as (2, 2, 3); () where the beats are equal.
    """

    numerator: int
    denominator: int
    groups: tuple[int, ...] = ()

    @staticmethod
    def parse(text: str | Meter) -> Meter:
        """Read a metre such as '4/4', '6/8', '7/8' or, with its groups, '3+2+2/8'.

        Raises:
            ValueError: not two numbers, a denominator that is no power of two up to 16, or
                groups of one unit.
            TypeError: no text.
        """
        if isinstance(text, Meter):
            return text
        if not isinstance(text, str):
            raise TypeError(f"metre {quoted(text)}: expected words such as '4/4'")
        match = re.fullmatch(r"\s*(\d{1,2}(?:\+\d{1,2})*)/(\d{1,2})\s*", text)
        parts = [int(part) for part in match[1].split("+")] if match else [0]
        unit = int(match[2]) if match else 0
        if not 1 <= sum(parts) <= 99 or unit not in (1, 2, 4, 8, 16):
            raise ValueError(
                f"metre {quoted(text)}: expected beats/unit such as '4/4', '6/8', '2+2+3/8'"
            )
        if len(parts) == 1:
            irregular = unit >= 8 or sum(parts) in (5, 7)
            return Meter(parts[0], unit, GROUPS.get(parts[0], ()) if irregular else ())
        if min(parts) < 2:
            raise ValueError(f"metre {quoted(text)}: expected groups of at least 2 units")
        return Meter(sum(parts), unit, tuple(parts))

    def __str__(self) -> str:
        if not self.groups or self == Meter.parse(self.signature):
            return self.signature
        return f"{'+'.join(map(str, self.groups))}/{self.denominator}"

    @property
    def signature(self) -> str:
        """The time signature without its groups, such as '7/8'."""
        return f"{self.numerator}/{self.denominator}"

    @property
    def bar(self) -> Fraction:
        """Length of a bar in quarter notes."""
        return Fraction(4 * self.numerator, self.denominator)

    @property
    def compound(self) -> bool:
        """True if the beats are dotted: 6/8, 9/8, 12/8."""
        dotted = self.denominator >= 8 and self.numerator > 3 and self.numerator % 3 == 0
        return dotted and not self.groups

    def bar_cells(self, grid: int) -> int:
        """Return the number of cells in a bar at `grid` cells per quarter note.

        Raises:
            ValueError: it is no whole number.
        """
        cells, rest = divmod(4 * grid * self.numerator, self.denominator)
        if rest:
            raise ValueError(f"a bar of {self} is no whole number of cells at {grid} per quarter")
        return cells

    def beat_cells(self, grid: int) -> int:
        """Return the cells of a beat (dotted in a compound metre), rounded down, at least 1."""
        return max(1, 4 * grid * (3 if self.compound else 1) // self.denominator)

    def factors(self, grid: int) -> tuple[int, ...]:
        """Return the numbers by which a bar is divided into halves, beats and parts of dotted ones.

        4/4 gives (2, 2), 3/4 (3,), 6/8 (2, 3).
        """
        beats = self.numerator // 3 if self.compound else self.numerator
        compound = self.compound
        if self.bar_cells(grid) % (beats * (3 if compound else 1)):
            # The grid is too coarse for the beats: 6/8 on quarter notes reads as 3/4.
            beats, compound = Fraction(self.numerator, self.denominator).numerator, False
        halves = []
        while beats % 2 == 0:
            halves.append(2)
            beats //= 2
        return (*halves, *([beats] if beats > 1 else []), *([3] if compound else []))

    def levels(self, grid: int) -> tuple[int, ...]:
        """Return the metrical level of each border between cells of a bar, (bar_cells + 1,).

        0 is a bar line, larger numbers are weaker; both bar lines are included. It is the metrical
        grid of Lerdahl and Jackendoff, A Generative Theory of Tonal Music (1983), ch. 4, counted
        from above.
        """
        return _levels(self, grid)

    def group_starts(self, grid: int) -> tuple[int, ...]:
        """Return the cells of a bar at which a beat, or a group of an irregular bar, begins."""
        cells = self.bar_cells(grid)
        if not self.groups or cells % self.numerator:
            return tuple(range(0, cells, self.beat_cells(grid)))
        unit = cells // self.numerator
        return tuple(unit * sum(self.groups[:number]) for number in range(len(self.groups)))


@lru_cache(maxsize=64)
def _levels(meter: Meter, grid: int) -> tuple[int, ...]:
    cells = meter.bar_cells(grid)
    levels = [OFF_BEAT] * (cells + 1)
    levels[0] = levels[cells] = 0

    def divide(start: int, size: int, factors: tuple[int, ...], depth: int) -> None:
        parts = parts_of(size, factors)
        if not parts:
            return
        step = size // parts
        for place in range(start, start + size, step):
            levels[place] = min(levels[place], depth)
            divide(place, step, factors[1:], depth + 1)

    if meter.groups and cells % meter.numerator == 0:
        unit = cells // meter.numerator
        for start, units in zip(meter.group_starts(grid), meter.groups, strict=True):
            levels[start] = min(levels[start], 1)
            divide(start, units * unit, (units,), 2)
    else:
        divide(0, cells, meter.factors(grid), 1)
    return tuple(levels)


def parts_of(size: int, factors: Sequence[int]) -> int:
    """Return the number of parts of `size` cells of a bar: the next factor, or 2; 0 for none."""
    return factors[0] if factors else 2 if size % 2 == 0 else 0


def beat_quarters(meter: Meter) -> Fraction:
    """Return the length of the beat that a tempo counts, in quarter notes.

    It is dotted in compound metres, in 3/8, and where all groups have three units. Other metres
    of eighths or sixteenths are counted in pairs of them: 7/8 by the quarter note.
    """
    dotted = meter.compound or set(meter.groups or (meter.numerator,)) == {3}
    units = (3 if dotted else min(2, meter.numerator)) if meter.denominator >= 8 else 1
    return Fraction(4 * units, meter.denominator)
