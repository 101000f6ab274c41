"""From cells to written music: notes cut at bar lines into symbols a staff can show.

A note of five sixteenths is no single note on paper, and one that hides the middle of a bar is
hard to read. Here each voice becomes bars of symbols (notes and rests with a written length, ties
and tuplets); how symbols look in MusicXML or ABC is not decided here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from envs.music.key import Key, signature, spelled
from envs.music.meter import OFF_BEAT, beat_quarters, parts_of
from envs.music.piece import spans_of
from envs.music.score import Score
from envs.music.task import Task

BARS_PER_LINE = 4


@dataclass(frozen=True)
class Symbol:
    """One written note or rest.

    Attributes:
        start: cell of the piece at which it begins.
        cells: how long it sounds.
        pitch: MIDI number, None for a rest.
        written: the length as drawn, in quarter notes; inside a tuplet longer than what sounds.
        tied: a tie leads to the next symbol.
        continues: a tie leads here from the symbol before.
        tuplet: (first cell, drawn notes, in the time of) of the tuplet it belongs to.
        beat: index of the beat of the bar it begins in; flags of one beat share a beam.
    """

    start: int
    cells: int
    pitch: int | None
    written: Fraction
    tied: bool = False
    continues: bool = False
    tuplet: tuple[int, int, int] | None = None
    beat: int = 0

    @property
    def flags(self) -> int:
        """Number of flags of the note, 0 of a rest."""
        plain = self.written if _plain_length(self.written) else self.written * 2 / 3
        return 0 if self.pitch is None else plain.denominator.bit_length() - 1

    @property
    def group(self) -> object:
        """Tuplet, else beat: the notes of a group share a beam."""
        return self.tuplet or self.beat


def bars_of(score: Score, row: int, voice: int) -> list[list[Symbol]]:
    """Return each bar of a voice as symbols that fill it, ties and tuplets marked."""
    task = score.task
    cut = _BarCutter(task)
    lines = task.bar_lines
    bars: list[list[tuple[int, int, int | None]]] = [[] for _ in lines]
    tied: set[int] = set()  # cells at which a symbol goes on that began earlier
    for start, stop, pitch in spans_of(score, row, voice):
        edges = [start, *(line for line in lines if start < line < stop), stop]
        for begin, end in pairwise(edges):
            bars[bisect_right(lines, begin) - 1].append((begin, end, pitch))
        if pitch is not None:
            tied.update(range(start + 1, stop))
    return [
        [
            replace(
                symbol, tied=symbol.start + symbol.cells in tied, continues=symbol.start in tied
            )
            for symbol in cut.symbols(segments)
        ]
        for segments in bars
    ]


def with_signs(
    voices: Sequence[Sequence[Sequence[Symbol]]], key: Key
) -> Iterator[list[list[tuple[Symbol, bool]]]]:
    """Yield each bar of a staff: the symbols of each voice, with True if it carries an accidental.

    A sign holds for its line or space to the end of the bar, in all voices of the staff, and over a
    tie. A courtesy sign stands where the letter last had another one, in the bar before or in
    another octave.

    Args:
        voices: the bars of each voice on the staff.
        key: the one that is written.
    """
    plain = signature(key)
    before: dict[tuple[str, int], int] = {}  # of the bar before, and held from it by a tie
    for bars in zip(*voices, strict=True):
        signs: dict[tuple[str, int], int] = {}
        held: dict[tuple[str, int], int] = {}
        signed: set[tuple[int, int]] = set()
        for start, voice, symbol in in_time(bars):
            if symbol.pitch is None:
                continue
            letter, sign, octave = spelled(key, symbol.pitch)
            place = letter, octave
            if symbol.continues:
                held[place] = before[place] = sign
                continue
            others = {each for (name, _), each in signs.items() if name == letter}
            last = {before.get(place, sign), plain[letter], *others}
            if sign != signs[place] if place in signs else last != {sign}:
                signed.add((voice, start))
            signs[place] = sign
        yield [[(each, (v, each.start) in signed) for each in bar] for v, bar in enumerate(bars)]
        before = held | signs


def in_time(bars: Sequence[Sequence[Symbol]]) -> list[tuple[int, int, Symbol]]:
    """Return start, voice and symbol of all symbols of a bar, in order of time."""
    found = [(each.start, voice, each) for voice, bar in enumerate(bars) for each in bar]
    return sorted(found, key=lambda each: each[:2])


def chord_changes(task: Task, bar: int) -> list[tuple[int, str]]:
    """Return cell and symbol of each chord that begins in a bar and is not the one before.

    Args:
        task: what the piece was asked to be.
        bar: index into its bar lines, the pickup's included.
    """
    first, after = (*task.bar_lines, task.cells)[bar : bar + 2]
    starts = task.chord_starts
    return [
        (cell, chord.symbol)
        for number, (cell, chord) in enumerate(starts)
        if first <= cell < after and (number == 0 or chord.symbol != starts[number - 1][1].symbol)
    ]


def _plain_length(length: Fraction) -> bool:
    """True if a length in quarter notes is a note without a dot, at most a breve."""
    return length <= 8 and _binary(length.numerator) and _binary(length.denominator)


def _dotted_length(length: Fraction) -> bool:
    return _plain_length(length * 2 / 3)


def _binary(number: int) -> bool:
    return number & (number - 1) == 0


def _note_lengths(count: int) -> Iterator[int]:
    """Yield the lengths of single notes, dotted or not, that add up to a count, longest first."""
    while count > 0:
        plain = 1 << (count.bit_length() - 1)
        length = plain + plain // 2 if plain > 1 and plain + plain // 2 <= count else plain
        yield length
        count -= length


class _BarCutter:
    """Cuts what sounds in a bar into symbols, for one task."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.factors = task.meter.factors(task.grid)
        self.levels = task.meter.levels(task.grid)
        self.groups = self._groups()
        self.compound = task.meter.compound and self.factors[-1:] == (3,)
        self.beat_level = len(self.factors) - self.compound
        self.beams: Sequence[Fraction | int] = task.meter.group_starts(task.grid)
        group = beat_quarters(task.meter)
        if not task.meter.compound and not (task.meter.groups and task.meter.denominator >= 8):
            # 3/8 is beamed as a whole, other metres at least by the quarter note.
            three = task.meter.numerator == 3 and task.meter.denominator >= 8
            group = max(group, Fraction(2 if three else 1))
            count = -(-task.bar_cells // (group * task.grid))
            self.beams = [number * group * task.grid for number in range(count)]

    def _groups(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """Return start, size and factors of the stretches that tuplets do not cross."""
        meter, cells = self.task.meter, self.task.bar_cells
        if not meter.groups or cells % meter.numerator:
            return [(0, cells, self.factors)]
        unit = cells // meter.numerator
        starts = meter.group_starts(self.task.grid)
        return [
            (start, units * unit, (units,))
            for start, units in zip(starts, meter.groups, strict=True)
        ]

    def symbols(self, segments: list[tuple[int, int, int | None]]) -> Iterator[Symbol]:
        """Yield the symbols of a bar that `segments` (start, stop, pitch) fill."""
        bar = segments[0][0] - self.task.place_in_bar(segments[0][0])
        if len(segments) == 1 and segments[0][2] is None:
            begin, end, _ = segments[0]
            length = Fraction(end - begin, self.task.grid)
            if end - begin == self.task.bar_cells or _plain_length(length):
                yield Symbol(begin, end - begin, None, length)
                return
        # Ends too: with an upbeat, the last bar stops before its bar line.
        borders = {edge - bar for start, stop, _ in segments for edge in (start, stop)}
        tuplets = [each for group in self.groups for each in self._tuplets(*group, borders)]
        edges = {edge for start, size, _ in tuplets for edge in (start, start + size)}
        for begin, end, pitch in segments:
            start, stop = begin - bar, end - bar
            cuts = [start, *sorted(edge for edge in edges if start < edge < stop), stop]
            for left, right in pairwise(cuts):
                tuplet = next((t for t in tuplets if t[0] <= left < t[0] + t[1]), None)
                pieces = (
                    self._in_tuplet(left, right, pitch, tuplet, bar)
                    if tuplet
                    else self._plain(left, right, pitch)
                )
                for piece in pieces:
                    beat = bisect_right(self.beams, piece.start)
                    yield replace(piece, start=piece.start + bar, beat=beat)

    def _tuplets(
        self, start: int, size: int, factors: tuple[int, ...], borders: set[int]
    ) -> Iterator[tuple[int, int, int]]:
        """Yield (start, cells, drawn notes) of the tuplets that borders in a stretch ask for."""
        inside = [border for border in borders if start < border < start + size]
        if all(self.levels[border] < OFF_BEAT for border in inside):
            return
        length = Fraction(size, self.task.grid)
        if length <= 2 and _plain_length(length):
            for drawn in range(3, size + 1, 2):
                if size % drawn == 0 and not any((b - start) % (size // drawn) for b in inside):
                    yield start, size, drawn
                    return
        step = size // parts_of(size, factors)
        for place in range(start, start + size, step):
            yield from self._tuplets(place, step, factors[1:], borders)

    def _in_tuplet(
        self, start: int, stop: int, pitch: int | None, tuplet: tuple[int, int, int], bar: int
    ) -> Iterator[Symbol]:
        first, size, drawn = tuplet
        time_of = 1 << (drawn.bit_length() - 1)  # 3 in the time of 2, 5 and 7 in that of 4
        unit = size // drawn  # every border inside falls on one
        for count in _note_lengths((stop - start) // unit):
            written = Fraction(size, self.task.grid) / time_of * count
            mark = (bar + first, drawn, time_of)
            yield Symbol(start, count * unit, pitch, written, tuplet=mark)
            start += count * unit

    def _plain(self, start: int, stop: int, pitch: int | None) -> Iterator[Symbol]:
        """Yield a stretch on the beats and their halves, cut at a stronger beat inside it."""
        length = Fraction(stop - start, self.task.grid)
        inside = self.levels[start + 1 : stop]
        strongest = min(inside, default=OFF_BEAT)
        if self._readable(start, stop, length, strongest, pitch is None):
            yield Symbol(start, stop - start, pitch, length)
            return
        places = [start + 1 + i for i, level in enumerate(inside) if level == strongest]
        cut = places[-1] if self.levels[start] <= self.levels[stop] else places[0]
        yield from self._plain(start, cut, pitch)
        yield from self._plain(cut, stop, pitch)

    def _readable(
        self, start: int, stop: int, length: Fraction, strongest: int, rest: bool
    ) -> bool:
        """True if a stretch may be one symbol, given the strongest beat inside it."""
        ends = max(self.levels[start], self.levels[stop])
        if self.compound and strongest <= self.beat_level < ends:
            return False  # the dotted beats stay visible
        if not rest:
            # One level of syncopation reads well: a quarter note between two eighths.
            return (_plain_length(length) or _dotted_length(length)) and strongest >= ends - 1
        whole_beats = self.compound and ends <= self.beat_level and _dotted_length(length)
        return (_plain_length(length) or whole_beats) and strongest >= ends
