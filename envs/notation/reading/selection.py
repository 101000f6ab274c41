"""The part of a file that is read: one part, one voice, the top notes of chords, some bars."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import mode
from typing import TypeVar

from envs.errors import RefusedError, quoted
from envs.music.codec import Codec
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.task import MAX_VOICES
from envs.notation.reading.alignment import aligned
from envs.notation.reading.bars import Measure, numbered
from envs.notation.reading.draft import ChordMark, Draft, KeyMark, MeterMark, Part, Sound
from envs.notation.reading.rounding import BOUND

SHOWN = 12  # parts that a refusal names
Mark = TypeVar("Mark", MeterMark, KeyMark, ChordMark)


@dataclass(frozen=True)
class Known:
    """Settings of a caller: what is read of a file, and what is known better than by it.

    Attributes:
        grid: cells per quarter note; four if they fit, else what fits of rounding.GRIDS.
        key: such as "G major", instead of the file's. If neither names one it is estimated.
        meter: such as "6/8", instead of the file's.
        pickup: cells before the first bar line, instead of the file's.
        quantize: True to move notes to the nearest cell, however far it is.
        tune: number of the tune in a collection, from 1.
        bars: numbers of the first and last bar to read, as printed; a pickup is bar 0.
        part: number of the only part to read, from 1; every part if None.
        voice: number of the only voice to read of each part, from 1; every voice if None.
        top: True to read the highest note of each chord.
    """

    grid: int | None = None
    key: Key | None = None
    meter: Meter | None = None
    pickup: int | None = None
    quantize: bool = False
    tune: int | None = None
    bars: tuple[int, int] | None = None
    part: int | None = None
    voice: int | None = None
    top: bool = False

    def __post_init__(self) -> None:
        if self.grid is not None:
            Codec(grid=self.grid)  # checks the grid
        for name in ("tune", "part", "voice"):
            number = getattr(self, name)
            if number is not None and not isinstance(number, int):
                raise TypeError(f"{name}={quoted(number)}: expected a whole number, or None")
            if number is not None and number < 1:
                raise ValueError(f"{name} {number}: expected 1 or more, or None for all")
        if self.pickup is not None and self.pickup < 0:
            raise ValueError(f"pickup {self.pickup}: expected 0 cells or more")
        if self.bars is not None:
            pair = tuple(self.bars) if isinstance(self.bars, tuple | list) else ()
            if len(pair) != 2 or not all(isinstance(bar, int) for bar in pair):
                raise TypeError(f"bars={quoted(self.bars)}: expected first and last, as (1, 32)")
            if not 0 <= pair[0] <= pair[1]:
                raise ValueError(f"bars {pair[0]} to {pair[1]}: expected a first and a last bar")
            object.__setattr__(self, "bars", pair)
        if self.key is not None:  # frozen: text is read into its type here, once
            object.__setattr__(self, "key", Key.parse(self.key))
        if self.meter is not None:
            object.__setattr__(self, "meter", Meter.parse(self.meter))


def one_tune(count: int, known: Known) -> int:
    """Return the index of the tune to read of a file of `count` tunes.

    Raises:
        RefusedError: there is no such tune, or there are several and none is chosen; its `tunes`
            then are their number.
    """
    if known.tune is None and count > 1:
        raise RefusedError(
            f"it holds {count} tunes; expected one: name it as FILE#1 to FILE#{count} (tune=)",
            tunes=count,
        )
    number = known.tune or 1
    if number > count:
        held = f"{count} tunes; expected 1 to {count}" if count > 1 else "one tune; expected 1"
        raise RefusedError(f"tune {number}: it holds {held}")
    return number - 1


def selected(draft: Draft, known: Known) -> list[Part]:
    """Return the parts that are read, with those voices, notes and bars that are.

    Raises:
        RefusedError: there is no such part, voice or bar, or no note in it.
    """
    chords = next((part.chords for part in draft.parts if part.chords), [])
    parts = [replace(part, chords=part.chords or chords) for part in draft.parts]
    if known.part is not None:
        parts = parts[known.part - 1 : known.part]
        if not any(any(part.voices) for part in parts):
            raise RefusedError(f"part {known.part} holds no notes; parts that do: {_names(draft)}")
    if known.voice is not None:
        parts = [replace(each, voices=each.voices[known.voice - 1 :][:1]) for each in parts]
        if not any(any(part.voices) for part in parts):
            raise RefusedError(
                f"no part that is read has a voice {known.voice} (voice=, --voice); parts "
                f"(part=, --part): {_names(draft)}"
            )
    parts = aligned(_with_numbers(parts, known), draft.notices)
    parts = [replace(each, voices=[voice for voice in each.voices if voice]) for each in parts]
    if known.top:
        bound = BOUND if draft.tick else Fraction(0)
        hidden = sum(_hidden(voice, bound) for part in parts for voice in part.voices)
        if hidden:
            which = "a note" if hidden == 1 else f"{hidden} notes"
            draft.notices.append(f"{which} left out that begin below the top note while it sounds")
        parts = [replace(part, voices=[top_notes(v, bound) for v in part.voices]) for part in parts]
    if known.bars is not None:
        parts = _cut(parts, known.bars, draft)
    count = sum(len(part.voices) for part in parts)
    if not 1 <= count <= MAX_VOICES:
        raise RefusedError(
            f"it has {count} voices; expected at most {MAX_VOICES}, so choose a part "
            f"(part=, --part): {_names(draft)}"
            if count
            else "it holds no notes; expected at least one pitched note"
        )
    return parts


def _names(draft: Draft) -> str:
    """Return the numbers, names and voices of the parts that hold notes, for messages."""
    found = []
    for number, part in enumerate(draft.parts, 1):
        voices = sum(bool(voice) for voice in part.voices)
        if voices:
            name = " ".join(part.name.split())[:30]
            more = [f"{name!r}"] * bool(name) + [f"{voices} voices"] * (voices > 1)
            found.append(f"{number} ({', '.join(more)})" if more else str(number))
    return ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "") or "none"


def top_notes(voice: Sequence[Sound], bound: Fraction = Fraction(0)) -> list[Sound]:
    """Return the upper line: no note begins below one that sounds, or sounds behind the next.

    Args:
        voice: notes.
        bound: for how long a note may sound into the next one, in quarter notes.
    """
    tops: list[Sound] = []
    for sound in sorted(voice, key=lambda sound: (sound.start, -sound.pitch)):
        last = tops[-1] if tops else None
        if last and last.end > sound.start:
            below = sound.pitch < last.pitch and last.end - sound.start > bound
            if below or sound.start == last.start:
                continue
            tops[-1] = replace(last, end=sound.start)
        tops.append(sound)
    return tops


def _hidden(voice: Sequence[Sound], bound: Fraction) -> int:
    """Return the number of times at which a voice has notes and its upper line begins none."""
    return len({sound.start for sound in voice}) - len(top_notes(voice, bound))


def _with_numbers(parts: Sequence[Part], known: Known) -> list[Part]:
    """Return the parts with numbers of their measures, found once where neighbours have the same.

    A small file may have thousands of parts and of bars that all of them share.
    """
    result: list[Part] = []
    for part, before in zip(parts, [None, *parts], strict=False):
        if before and (part.measures, part.meters) == (before.measures, before.meters):
            measures = result[-1].measures
        else:
            measures = _numbered(part, known)
        result.append(replace(part, measures=measures))
    return result


def _numbered(part: Part, known: Known) -> list[Measure]:
    """Return the measures with numbers, which are counted by the metres where none are printed."""
    measures = [measure for measure in part.measures if measure.length > 0]
    lengths = [measure.length for measure in measures]
    usual = mode(lengths) if lengths else Fraction(0)
    bars = []
    for measure in measures:
        at = bisect_right(part.meters, measure.start, key=lambda mark: mark.start) - 1
        signature = part.meters[at].signature if at >= 0 else None
        bars.append(known.meter.bar if known.meter else signature.bar if signature else usual)
    return numbered(measures, bars)


def _cut(parts: list[Part], bars: tuple[int, int], draft: Draft) -> list[Part]:
    """Return the parts without what lies outside some bars.

    Raises:
        RefusedError: a part has no bar lines, or no such bars.
    """
    measures = max((part.measures for part in parts), key=len, default=[])
    numbers = [measure.number or 0 for measure in measures]
    first, last = bars
    inside = [each for each in measures if first <= (each.number or 0) <= last]
    if not inside or last > max(numbers):
        there = f"bars {min(numbers)} to {max(numbers)}" if numbers else "no bar lines"
        asked = f"bar {first}" if first == last else f"bars {first} to {last}"
        raise RefusedError(f"{asked}: it has {there}; expected some of them")
    start, end = inside[0].start, inside[-1].start + inside[-1].length
    result = []
    for part in parts:
        voices = [_inside(voice, start, end) for voice in part.voices]
        result.append(
            replace(
                part,
                voices=[voice for voice in voices if voice],
                measures=_chosen(part.measures, bars, start),
                meters=_marks(part.meters, start, end),
                keys=_marks(part.keys, start, end),
                chords=_marks(part.chords, start, end),
            )
        )
    if any(
        sound.start < edge < sound.end
        for part in parts
        for voice in part.voices
        for sound in voice
        for edge in (start, end)
    ):
        draft.notices.append("a note is cut where the bars that are read begin or end")
    return result


def _chosen(measures: Sequence[Measure], bars: tuple[int, int], start: Fraction) -> list[Measure]:
    """Return the measures of some bars; an ending at their end is played."""
    chosen = [
        replace(each, start=each.start - start)
        for each in measures
        if bars[0] <= (each.number or 0) <= bars[1]
    ]
    played = next((i for i, each in enumerate(reversed(chosen)) if not each.skipped), len(chosen))
    last = len(chosen) - played
    return chosen[:last] + [replace(each, skipped=False) for each in chosen[last:]]


def _inside(voice: Sequence[Sound], start: Fraction, end: Fraction) -> list[Sound]:
    return [
        Sound(max(sound.start, start) - start, min(sound.end, end) - start, sound.pitch)
        for sound in voice
        if sound.start < end and start < sound.end
    ]


def _marks(marks: Sequence[Mark], start: Fraction, end: Fraction) -> list[Mark]:
    """Return the marks that hold somewhere between two times, counted from the first."""
    begins = max(0, bisect_right(marks, start, key=lambda mark: mark.start) - 1)
    return [
        replace(mark, start=max(mark.start - start, Fraction(0)))
        for mark in marks[begins:]
        if mark.start < end
    ]


def bar_at(measures: Sequence[Measure], time: Fraction) -> int | None:
    """Return the number of the bar that holds a time, None if there are no bars."""
    at = bisect_right(measures, time, key=lambda measure: measure.start) - 1
    return measures[at].number if at >= 0 else None
