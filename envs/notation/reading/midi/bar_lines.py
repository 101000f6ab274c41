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
from envs.notation.reading.bars import MOST_MEASURES, ZERO, Measure
from envs.notation.reading.draft import Draft, MeterMark, Sound
from envs.notation.reading.rounding import BOUND, choose_grid, rounded
from envs.notation.reading.selection import Known
from envs.notation.reading.time_signatures import Signature
from envs.notation.reading.times import read_meter

FINE = 48  # parts of a quarter note at which metres are likely to begin
NEAR = Fraction(1, 32)  # of a quarter: a note so near a bar line begins or ends there
COMMON = Signature.parse("4/4")


@dataclass(frozen=True)
class Stretch:
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


def stretches_of(
    metres: Iterable[tuple[Fraction, str]],
    grouped: str,
    draft: Draft,
    notices: list[str],
) -> list[Stretch]:
    """Return the stretches of a file's metres, the first from the beginning on.

    Args:
        metres: times and signatures; of several at a time the last one holds.
        grouped: a metre with its groups that signatures of the same bar stand for, or "".
        draft: the file; metres behind its last note count for nothing.
        notices: grow.
    """
    end, tick, marks = end_of(draft), draft.tick, dict[Fraction, Signature]()
    for at, words in metres:
        if at < max(end, NEAR):
            marks[at] = _last_of(marks.get(at), Signature.parse(words), notices)
    with suppress(RefusedError):
        groups = Signature.parse(grouped)
        marks = {at: groups if groups.plain == own.plain else own for at, own in marks.items()}
    ordered = sorted(marks.items(), key=itemgetter(0))
    first_at, first = ordered[0] if ordered else (ZERO, COMMON)
    begun = [(ZERO, first)]
    if not ordered:
        notices.append("the file names no metre: 4/4 is taken")
    elif first_at >= first.bar:
        late = _on_line(first_at, ZERO, first.bar, tick) % first.bar == 0
        begun = [(ZERO, first if late else COMMON)]
        taken = f"{begun[0][1].spelled} is taken"
        notices.append(f"no metre is named before quarter {float(first_at):g}: {taken} there")
    elif first_at >= NEAR:
        begun.append((_on_line(first_at, ZERO, first.bar, tick), first))
    for at, signature in ordered:
        start, own = begun[-1]
        if signature != own:
            at = _on_line(at, start, own.bar, tick)
            if at == start:
                begun.pop()
                _last_of(own, signature, notices)
            begun.append((at, signature))
    ends = [*(at for at, _ in begun[1:]), max(end, begun[-1][0])]
    stretches = [Stretch(at, to - at, own) for (at, own), to in zip(begun, ends, strict=True)]
    main = main_of(stretches)
    stretches = [
        replace(stretch, passing=stretch.signature != main and _passes(stretch, main.bar))
        for stretch in stretches
    ]
    whole = (each for each in stretches if each.start or each.length >= each.signature.bar)
    alike = (each for each in whole if each.passing and each.signature.bar == main.bar)
    notices += dict.fromkeys(
        f"a bar of {each.signature.spelled} is read as {main.spelled}, which lasts as long"
        for each in alike
    )
    return stretches


def end_of(draft: Draft) -> Fraction:
    """Return where the music ends: the last note may sound a little over a bar line."""
    sounds = (sound for part in draft.parts for sound in part.voices[0])
    return max(draft.end, *(max(each.end - BOUND, each.start + NEAR) for each in sounds), ZERO)


def _last_of(before: Signature | None, after: Signature, notices: list[str]) -> Signature:
    """Return the last one of two metres at one time, and tell."""
    if before and before.plain != after.plain:
        notices.append(
            f"{before.spelled} and {after.spelled} stand at one time; {after.spelled} is taken"
        )
    return after


def _on_line(time: Fraction, start: Fraction, bar: Fraction, tick: Fraction) -> Fraction:
    """Return the bar line next to a time, of bars from `start`; if it is not near, the time."""
    line = start + round((time - start) / bar) * bar
    fine = Fraction(round(time * FINE), FINE)  # what ticks may round
    near = fine if abs(fine - time) <= tick else time
    return line if abs(line - time) < NEAR else near


def _passes(stretch: Stretch, bar: Fraction) -> bool:
    own = stretch.signature.bar
    return max(stretch.length, own) <= bar or (own % bar == 0 and stretch.length <= own)


def main_of(stretches: Sequence[Stretch]) -> Signature:
    """Return the metre that holds longest; a bar before a longer one does not count."""
    first, second = stretches[0], stretches[min(1, len(stretches) - 1)]
    upbeat = first.length < second.signature.bar and first.length <= first.signature.bar
    lasting: dict[Signature, Fraction] = {}
    for stretch in stretches[1:] if upbeat and first is not second else stretches:
        lasting[stretch.signature] = lasting.get(stretch.signature, ZERO) + stretch.length
    return max(lasting, key=lambda each: lasting[each])


def lay_bars(draft: Draft, stretches: Sequence[Stretch], known: Known) -> Known:
    """Give the parts of a file their bars, and put what is near a bar line on it.

    Returns:
        the settings without a pickup, which is a bar of its own now, and with the grid if notes
        are moved to it however far it is.
    """
    main = main_of(stretches)
    given = known.pickup is not None
    if given or known.quantize:
        known = _settled(draft, known, main)
    end = end_of(draft)
    if given or (known.meter and known.meter.bar != main.bar):
        signature = Signature.parse(str(known.meter)) if known.meter else main
        upbeat = Fraction(known.pickup or 0, known.grid or 1) if given else upbeat_of(stretches)
        if upbeat < signature.bar:  # else the task refuses it
            known = replace(known, pickup=None)
            whole = Stretch(upbeat, end - upbeat, signature)
            stretches = [Stretch(ZERO, upbeat, signature), whole] if upbeat else [whole]
    if known.bars:  # what lies behind them may be long; a bar may be written as some short ones
        end = min(end, 4 * (known.bars[1] + 2) * max(each.signature.bar for each in stretches))
    measures = _measures(stretches, main_of(stretches).bar, end)
    marks = [MeterMark(each.start, each.signature) for each in stretches if not each.passing]
    marks[0] = replace(marks[0], start=ZERO)
    lines = [measure.start for measure in measures] + [measures[-1].start + measures[-1].length]
    for part in draft.parts:
        part.measures, part.meters = measures, marks
        voice = [_on_bar_lines(sound, lines) for sound in part.voices[0]]
        pairs = zip(voice, part.voices[0], strict=True)
        draft.moved = max(draft.moved, *(abs(put.start - sound.start) for put, sound in pairs))
        part.voices = [sorted(voice)]
    return known


def upbeat_of(stretches: Sequence[Stretch]) -> Fraction:
    """Return the length of a first bar that is not whole, 0 if there is none."""
    return (
        stretches[0].length
        if len(stretches) > 1 and stretches[0].length < main_of(stretches).bar
        else ZERO
    )


def advice(stretches: Sequence[Stretch]) -> str:
    """Return the settings by which a file is read in one metre."""
    cells = 4 * upbeat_of(stretches)
    pickup = f" --pickup {cells}" if cells and cells.denominator == 1 else ""
    return f"--meter {main_of(stretches).spelled}{pickup} (meter=, pickup=)"


def _settled(draft: Draft, known: Known, main: Signature) -> Known:
    """Return the settings with a grid; with `quantize` the notes are on it, before bars are cut."""
    parts = draft.parts if known.part is None else draft.parts[known.part - 1 : known.part]
    voices = [voice for part in parts for voice in part.voices]
    meter = known.meter or read_meter(main.spelled)
    grid = known.grid or choose_grid(voices, meter, draft.tick, known.quantize)
    if known.quantize:
        for part, voice in zip(parts, rounded(voices, grid, draft, True), strict=True):
            part.voices = [voice]
        draft.moved = ZERO  # it is told
    return replace(known, grid=grid)


def _measures(stretches: Sequence[Stretch], bar: Fraction, end: Fraction) -> list[Measure]:
    """Return the bars of stretches, up to that in which the last note ends.

    After an upbeat the last one is shorter by it if the notes allow.
    """
    measures: list[Measure] = []
    for stretch in stretches:
        last = stretch is stretches[-1]
        time = stretch.start
        after = end if last else min(end, time + stretch.length)
        while time < after or not measures:
            own = stretch.signature.bar
            length = own if last else min(own, after - time)
            # A small bar after a whole one is an upbeat: what it lacks is silence before it.
            measures.append(Measure(time, length, opens=2 * length < bar))
            if len(measures) > MOST_MEASURES:
                raise RefusedError(
                    f"it has more than {MOST_MEASURES} bars; choose some, such as FILE:1-64 (bars=)"
                )
            time += length
    final, left = measures[-1], bar - measures[0].length
    if left > 0 and final.length == bar and end <= final.start + left:
        measures[-1] = replace(final, length=left)
    return measures


def _on_bar_lines(sound: Sound, lines: Sequence[Fraction]) -> Sound:
    start, end = (_snapped(time, lines) for time in (sound.start, sound.end))
    return replace(sound, start=start, end=end) if start < end else sound


def _snapped(time: Fraction, lines: Sequence[Fraction]) -> Fraction:
    """Return the bar line next to a time if it is near, else the time."""
    at = bisect_right(lines, time)
    return next((line for line in lines[max(0, at - 1) : at + 1] if abs(line - time) < NEAR), time)
