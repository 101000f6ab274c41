"""The grid that a file's notes are laid on, and notes that are moved there.

Programs that count ticks round triplets, play notes a tick late and let go of them early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby, pairwise
from math import ceil
from statistics import median

from envs.music.meter import Meter
from envs.notation.reading.draft import Draft, Sound

# What a piece is laid on if nobody says otherwise, the first that fits: four cells are what the
# prior and the rules that count cells are made for, the others follow from coarse to fine.
GRIDS = (4, 2, 3, 6, 8, 12, 24)
CLOSE = Fraction(1, 8)  # of a cell: a note so near the grid is on it, in files that count ticks
FEW = 50
BOUND = Fraction(1, 8)  # of a quarter: for how long a note may sound into the next one
GATES = 0.75, 1.15  # shares of the time up to the next note that notes without a rest sound


@dataclass(frozen=True)
class Gate:
    """How a file lets go of notes: after a share of their length, or some time before its end."""

    share: Fraction = Fraction(1)
    early: Fraction = Fraction(0)

    @staticmethod
    def of(lines: Iterable[Sequence[Sound]]) -> Gate:
        """Return the gate that most notes with another one behind them ask for."""
        pairs = []
        for line in lines:
            for sound, following in pairwise(sorted(line)):
                length, after = sound.end - sound.start, following.start - sound.start
                if after and GATES[0] <= length / after <= GATES[1]:
                    pairs.append((length, after))
        if not pairs:
            return Gate()
        share = median(length / after for length, after in pairs)
        early = median(after - length for length, after in pairs)
        by_share = sum(abs(after - length / share) for length, after in pairs)
        by_time = sum(abs(after - length - early) for length, after in pairs)
        return Gate(share=share) if by_share < by_time else Gate(early=early)

    def whole(self, sound: Sound) -> Fraction:
        """Return where a note ends as it is written."""
        return sound.start + (sound.end - sound.start) / self.share + self.early


def choose_grid(
    voices: Iterable[Iterable[Sound]],
    meter: Meter,
    tick: Fraction,
    quantize: bool = False,
    last: Fraction | None = None,
) -> int:
    """Return the first of GRIDS on which the notes begin and end.

    The metre's unit has to be whole cells as well. If none fits it is the first of those, whose
    refusal tells by how much. In files that count ticks notes need only be near the grid, and if
    none holds their ends it is the first that holds their beginnings.

    Args:
        voices: lines of notes.
        meter: of the piece.
        tick: as `Draft.tick`.
        quantize: True to take, if none holds the notes, the first on which all but one in FEW begin
            within a quarter of a cell; notes at random times do so half the time.
        last: time of the last bar line, if there are bars.
    """
    lines = [list(voice) for voice in voices]
    sounds = [sound for line in lines for sound in line]
    starts = {sound.start for sound in sounds}
    whole = [grid for grid in GRIDS if 4 * grid % meter.denominator == 0]
    fits = [grid for grid in whole if all(_near(time, grid, tick) for time in starts)]
    if quantize and not fits:
        far = (sum(_off(time, grid) * 4 > 1 for time in starts) for grid in whole)
        fits = [grid for grid, many in zip(whole, far, strict=True) if FEW * many <= len(starts)]
        return fits[0] if fits else whole[0]
    gate = Gate.of(lines) if tick else Gate()
    ends = {each for line in lines for each in _ends(line, gate, last)}
    both = (g for g in fits if all(any(_near(time, g, tick) for time in end) for end in ends))
    return next(both, fits[0] if fits and (tick or quantize) else whole[0])


def _ends(
    line: Sequence[Sound], gate: Gate, later: Fraction | None
) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield where each note of a line ends, as played and as written, by the next note at most."""
    for start, group in groupby(sorted(line, reverse=True), key=lambda sound: sound.start):
        for sound in group:
            ends = sound.end, gate.whole(sound)
            yield ends if later is None else (min(ends[0], later), min(ends[1], later))
        later = start


def rounded(
    voices: Sequence[Sequence[Sound]],
    grid: int,
    draft: Draft,
    quantize: bool,
    last: Fraction | None = None,
) -> list[list[Sound]]:
    """Put notes on the grid: those near it in files that count ticks, all with `quantize`.

    Ends of such files go to the nearest cell, and not into the next note of the line or a little
    over the last bar line. Of two notes in a cell, one after the other, the shorter is left out.

    Args:
        voices: lines of notes.
        grid: cells per quarter note.
        draft: the file; its notices grow by how far notes are moved, if that is a tick or more.
        quantize: True to move notes however far it is.
        last: time of the last bar line, if there are bars.
    """
    if not (draft.tick or quantize):
        return [list(voice) for voice in voices]
    gate = _gate(voices, grid, draft.tick)
    moved, count, ends = draft.moved, 0, False
    result = []
    for voice in voices:
        pairs: list[tuple[Sound, Fraction]] = []
        for sound in sorted(voice):
            start = sound.start
            if quantize or _near(start, grid, draft.tick):
                start = _cell(start, grid)
            moved = max(moved, abs(start - sound.start))
            if pairs and pairs[-1][1] == start and in_turn(pairs[-1][0], sound):
                count += 1
                if _length(sound) <= _length(pairs[-1][0]):
                    continue
                pairs.pop()
            pairs.append((sound, start))
        line = _ended(pairs, grid, gate, last)
        least = max(draft.tick, Fraction(1, 1000))
        ends |= any(
            abs(to.end - sound.end) >= least for to, (sound, _) in zip(line, pairs, strict=True)
        )
        result.append(sorted(line))
    if moved and moved >= draft.tick:
        draft.notices.append(
            f"notes are moved to the grid of {grid}, by {float(moved * grid):.2g} of a cell at most"
        )
    if ends:
        draft.notices.append("the ends of some notes are rounded to the grid")
    draft.lost += count
    if count:
        which = "a note" if count == 1 else f"{count} notes"
        draft.notices.append(f"{which} of less than a cell left out, in the cell of a longer one")
    return result


def _gate(
    voices: Sequence[Sequence[Sound]], grid: int, tick: Fraction
) -> Callable[[Sound], Fraction]:
    """Return by which notes end where they are written: those off the grid, or all if most are."""
    gate = Gate.of(voices) if tick else Gate()
    on_grid = [_near(sound.end, grid, tick) for voice in voices for sound in voice]
    if 2 * sum(on_grid) < len(on_grid):
        return gate.whole
    return lambda sound: sound.end if _near(sound.end, grid, tick) else gate.whole(sound)


def _ended(
    pairs: Sequence[tuple[Sound, Fraction]],
    grid: int,
    gate: Callable[[Sound], Fraction],
    later: Fraction | None,
) -> list[Sound]:
    """Return notes at their new starts, with their ends on the grid."""
    result: list[Sound] = []
    for sound, start in reversed(pairs):
        if result and result[-1].start != start:
            later = result[-1].start
        end = max(_cell(gate(sound), grid), start + Fraction(1, grid))
        if later is not None and later < end:
            bound = sound.end - later <= max(BOUND, Fraction(1, 2 * grid))
            end = max(later, start) if bound else end
        result.append(replace(sound, start=start, end=end))
    return result[::-1]


def _length(sound: Sound) -> Fraction:
    return sound.end - sound.start


def in_turn(first: Sound, second: Sound) -> bool:
    """Return True if notes that begin in one cell do not sound together."""
    return 2 * (first.end - second.start) < min(_length(first), _length(second))


def _cell(time: Fraction, grid: int) -> Fraction:
    """Return the time of the nearest cell, the earlier one of two."""
    return Fraction(ceil(time * grid - Fraction(1, 2)), grid)


def _off(time: Fraction, grid: int) -> Fraction:
    """Return how many cells a time is off the grid."""
    past = time.numerator * grid % time.denominator
    return Fraction(min(past, time.denominator - past), time.denominator)


def _near(time: Fraction, grid: int, tick: Fraction) -> bool:
    """Return True on the grid and, in a file that counts ticks, close to it or a tick off.

    Close is no wider than on the grid of four: what is a cell of a finer one is no such cell.
    """
    if not tick:
        return grid % time.denominator == 0
    off = _off(time, grid)
    close = off < min(CLOSE, CLOSE * grid / GRIDS[0]) or off <= tick * grid <= 2 * CLOSE
    return off == 0 or close
