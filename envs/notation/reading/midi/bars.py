"""Bars of MIDI files, which name metres but no bar lines.

Programs write an upbeat, the bars at a repeat and the last bar as bars of metres of their own:
those are bars of the metre that holds longest, and no change of metre.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import itemgetter

from envs.errors import RefusedError
from envs.music.meter import Meter
from envs.notation.reading.bars import Measure
from envs.notation.reading.draft import Draft, MeterMark, Sound
from envs.notation.reading.rounding import choose_grid
from envs.notation.reading.selection import Known
from envs.notation.reading.time_signatures import Signature
from envs.notation.reading.times import read_meter

MOST_MEASURES = 50_000
FINE = 48  # parts of a quarter note at which metres begin
NEAR = Fraction(1, 32)  # of a quarter: a note so near a bar line begins or ends there
NOTHING = Fraction(0)
COMMON = Signature.parse("4/4")


@dataclass(frozen=True)
class Run:
    """A stretch of one metre, in quarter notes.

    Attributes:
        start: from the beginning of the file.
        length: up to the next one.
        signature: the metre.
        passing: it is one bar, short or doubled, of the metre that the file has.
    """

    start: Fraction
    length: Fraction
    signature: Signature
    passing: bool = False


def runs_of(
    metres: Iterable[tuple[Fraction, str]], grouped: str, end: Fraction, notices: list[str]
) -> list[Run]:
    """Return the runs of a file's metres, the first from the beginning on.

    Args:
        metres: times and signatures; of several at a time the last one holds.
        grouped: a metre with its groups that signatures of the same bar stand for, or "".
        end: of the last note; metres behind it count for nothing.
        notices: grow.
    """
    marks = {at: Signature.parse(words) for at, words in metres if at < max(end, NEAR)}
    with suppress(RefusedError):
        groups = Signature.parse(grouped)
        marks = {at: groups if groups.plain == own.plain else own for at, own in marks.items()}
    ordered = sorted(marks.items(), key=itemgetter(0))
    first_at, first = ordered[0] if ordered else (NOTHING, COMMON)
    begun = [(NOTHING, first)]
    if not ordered:
        notices.append("the file names no metre: 4/4 is taken")
    elif first_at >= first.bar:
        late = _on_line(first_at, NOTHING, first.bar) % first.bar == 0
        begun = [(NOTHING, first if late else COMMON)]
        taken = f"{begun[0][1].spelled} is taken"
        notices.append(f"no metre is named before quarter {float(first_at):g}: {taken} there")
    elif first_at >= 2 * NEAR:
        begun.append((_on_line(first_at, NOTHING, first.bar), first))
    for at, signature in ordered:
        start, own = begun[-1]
        if signature != own:
            at = _on_line(at, start, own.bar)
            begun[-1:] = [(at, signature)] if at == start else [begun[-1], (at, signature)]
    ends = [*(at for at, _ in begun[1:]), max(end - NEAR, begun[-1][0])]
    runs = [Run(at, to - at, own) for (at, own), to in zip(begun, ends, strict=True)]
    main = main_of(runs)
    return [replace(run, passing=run.signature != main and _passes(run, main.bar)) for run in runs]


def _on_line(time: Fraction, start: Fraction, bar: Fraction) -> Fraction:
    """Return the bar line next to a time, of bars from `start`; if it is not near, the time."""
    line = start + round((time - start) / bar) * bar
    return line if abs(line - time) < 2 * NEAR else Fraction(round(time * FINE), FINE)


def _passes(run: Run, bar: Fraction) -> bool:
    own = run.signature.bar
    return max(run.length, own) <= bar or (own % bar == 0 and run.length <= own)


def main_of(runs: Sequence[Run]) -> Signature:
    """Return the metre that holds longest."""
    lasting: dict[Signature, Fraction] = {}
    for run in runs:
        lasting[run.signature] = lasting.get(run.signature, NOTHING) + run.length
    return max(lasting, key=lambda each: lasting[each])


def lay_bars(draft: Draft, runs: Sequence[Run], known: Known) -> Known:
    """Give the parts of a file their bars, and put what is near a bar line on it.

    Returns:
        the settings without a pickup: it is a bar of its own now.
    """
    main = main_of(runs)
    end = max((sound.end for part in draft.parts for sound in part.voices[0]), default=NOTHING)
    given = known.pickup is not None
    if given or (known.meter and known.meter.bar != main.bar):
        meter = known.meter or read_meter(main.spelled)
        upbeat = upbeat_of(runs)
        if given:
            known, upbeat = _upbeat(draft, known, meter)
        signature = Signature.parse(str(meter))
        whole = Run(upbeat, end - upbeat, signature)
        runs = [Run(NOTHING, upbeat, signature), whole] if upbeat else [whole]
    measures = _measures(runs, main_of(runs).bar, end)
    marks = [MeterMark(run.start, run.signature) for run in runs if not run.passing]
    marks[0] = replace(marks[0], start=NOTHING)
    lines = [measure.start for measure in measures] + [measures[-1].start + measures[-1].length]
    near = 4 * NEAR if known.quantize else NEAR
    for part in draft.parts:
        part.measures, part.meters = measures, marks
        voice = [_on_bar_lines(sound, lines, near) for sound in part.voices[0]]
        pairs = zip(voice, part.voices[0], strict=True)
        draft.moved = max(draft.moved, *(abs(to.start - sound.start) for to, sound in pairs))
        part.voices = [sorted(voice)]
    return known


def upbeat_of(runs: Sequence[Run]) -> Fraction:
    """Return the length of a first bar that is not whole, 0 if there is none."""
    return runs[0].length if len(runs) > 1 and runs[0].length < main_of(runs).bar else NOTHING


def advice(runs: Sequence[Run]) -> str:
    """Return the settings by which a file is read in one metre."""
    cells = 4 * upbeat_of(runs)
    pickup = f" --pickup {cells}" if cells and cells.denominator == 1 else ""
    return f"--meter {main_of(runs).spelled}{pickup} (meter=, pickup=)"


def _upbeat(draft: Draft, known: Known, meter: Meter) -> tuple[Known, Fraction]:
    """Return the settings with a grid, and the quarter notes of their pickup's cells."""
    parts = draft.parts if known.part is None else draft.parts[known.part - 1 : known.part]
    voices = [voice for part in parts for voice in part.voices]
    grid = known.grid or choose_grid(voices, meter, draft.tick, known.quantize)
    upbeat = Fraction(known.pickup or 0, grid)
    if upbeat >= meter.bar:  # the task refuses it
        return known, NOTHING
    return replace(known, grid=grid, pickup=None), upbeat


def _measures(runs: Sequence[Run], bar: Fraction, end: Fraction) -> list[Measure]:
    """Return the bars of runs, up to that in which the last note ends.

    After an upbeat the last one is shorter by it if the notes allow.
    """
    measures: list[Measure] = []
    for run in runs:
        last = run is runs[-1]
        time, after = run.start, end - NEAR if last else run.start + run.length
        while time < after or not measures:
            own = run.signature.bar
            length = own if last else min(own, after - time)
            # A small bar after a whole one is an upbeat: what it lacks is silence before it.
            measures.append(Measure(time, length, opens=2 * length < bar))
            if len(measures) > MOST_MEASURES:
                raise RefusedError(f"it has more than {MOST_MEASURES} bars; write the file anew")
            time += length
    final, left = measures[-1], bar - measures[0].length
    if left > 0 and final.length == bar and end - NEAR <= final.start + left:
        measures[-1] = replace(final, length=left)
    return measures


def _on_bar_lines(sound: Sound, lines: Sequence[Fraction], near: Fraction) -> Sound:
    start, end = (_snapped(time, lines, near) for time in (sound.start, sound.end))
    return replace(sound, start=start, end=end) if start < end else sound


def _snapped(time: Fraction, lines: Sequence[Fraction], near: Fraction) -> Fraction:
    """Return the bar line next to a time if it is near, else the time."""
    at = bisect_right(lines, time)
    return next((line for line in lines[max(0, at - 1) : at + 1] if abs(line - time) < near), time)
