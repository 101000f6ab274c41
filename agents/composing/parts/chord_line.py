"""A chord for each place of a melody, and how it is written as the chords of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.composing.parts.vocabulary import Harmony
from envs.music.task import Task

RHYTHMS = {"bar": 0, "half": 1, "beat": 2}  # highest metrical level at which a chord may begin


def places_of_bar(task: Task, weakest: int) -> tuple[int, ...]:
    """Return the cells of a bar at which a chord may begin.

    They are beats, and share the bar evenly, as the chords of a task do; where beats do not, as in
    7/8, there is the bar line alone.

    Args:
        task: whose metre it is.
        weakest: highest metrical level of a place.
    """
    levels = task.meter.levels(task.grid)
    places = tuple(c for c in task.meter.group_starts(task.grid) if levels[c] <= weakest)
    even = tuple(range(0, task.bar_cells, task.bar_cells // len(places)))
    return places if places == even else (0,)


@dataclass(frozen=True)
class ChordLine:
    """The chords of a melody.

    Attributes:
        task: of the melody.
        chords: one for each place, bar by bar, from the first bar line on.
        each: number of places in a bar; the last bar may have fewer.
        cost: nats, in the model that they come from.
    """

    task: Task
    chords: tuple[Harmony, ...]
    each: int
    cost: float

    @property
    def symbols(self) -> str:
        """The line of chord symbols that `Task.chords` reads, such as 'C | F G7 | C'."""
        return self._line({chord: chord.symbol for chord in self.chords})

    @property
    def numerals(self) -> str:
        """The line of the chords' roman numerals."""
        return self._line({chord: chord.numeral for chord in self.chords})

    def _line(self, names: Mapping[Harmony, str]) -> str:
        bars = []
        for first in range(0, len(self.chords), self.each):
            row = [names[chord] for chord in self.chords[first : first + self.each]]
            row += row[-1:] * (self.each - len(row))
            bars.append(" ".join(_fewest(row)))
        return " | ".join(bars)


def _fewest(row: Sequence[str]) -> Sequence[str]:
    """Return the fewest words that say the same where they share a bar evenly."""
    for count in range(1, len(row)):
        size, rest = divmod(len(row), count)
        if not rest and all(word == row[i // size * size] for i, word in enumerate(row)):
            return row[::size]
    return row
