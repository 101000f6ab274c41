"""MusicXML: each staff is a part, and each voice of a staff a line of its own.

A voice that moves to another staff and back stays one line, of the staff that holds most of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate

from envs.errors import RefusedError
from envs.music.piece import Piece
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.bars import ZERO, Measure, played_before
from envs.notation.reading.draft import (
    ChordMark,
    Draft,
    KeyMark,
    Mark,
    MeterMark,
    Part,
    Sound,
    titled,
)
from envs.notation.reading.selection import Known
from envs.notation.reading.sheets.document import MUSIC, elements, parts, unpacked
from envs.notation.reading.sheets.measures import Contents, Item, bars
from envs.notation.reading.sheets.ties import Tone, gaps, joined
from envs.notation.reading.times import refusing

MOST_STAVES = 64  # of one part


@dataclass(frozen=True)
class _Line:
    """A part of the file.

    Attributes:
        name: as the file has it.
        bars: in order.
        meters: length of the metre's bar at each bar, None where there is no metre.
        staves: labels from above.
    """

    name: str
    bars: list[Contents]
    meters: list[Fraction | None]
    staves: list[str]


def read_xml(data: bytes, known: Known) -> Piece:
    """Read a MusicXML document.

    Raises:
        RefusedError: it is broken, no score, or fits no task.
    """
    return make_piece(read_draft(data, known), known)


def read_mxl(data: bytes, known: Known) -> Piece:
    """Read a zip archive whose META-INF/container.xml names a MusicXML document.

    Raises:
        RefusedError: as `read_xml`, or it is no such archive.
    """
    return read_xml(unpacked(data), known)


def read_draft(data: bytes, known: Known) -> Draft:
    """Return the parts of a MusicXML document.

    Raises:
        RefusedError: it is broken or no score.
    """
    root = elements(data, MUSIC, "MusicXML")
    with refusing("MusicXML"):
        lines = [_line(name, bars(measures)) for name, measures in parts(root)]
        lengths = _lengths(lines, known)
        starts = list(accumulate(lengths, initial=ZERO))
        skipped = set().union(*(played_before(_endings(line.bars)) for line in lines))
        draft = Draft([])
        for line in lines:
            draft.parts += _staves(line, starts, skipped)
        titles = (root.findtext("work/work-title"), root.findtext("movement-title"))
        draft.title = next(filter(None, map(titled, titles)), "")
        tempos = [
            (starts[at] + time, tempo)
            for line in lines
            for at, bar in enumerate(line.bars)
            for time, tempo in bar.tempos
        ]
        draft.tempo = min(tempos, key=lambda each: each[0])[1] if tempos else None
        unread = set().union(*(bar.unread for line in lines for bar in line.bars))
        draft.notices += [f"{kind} are left out" for kind in sorted(unread)]
    return draft


# -- the lengths of measures -----------------------------------------------------------------------


def _line(name: str, found: list[Contents]) -> _Line:
    meters: list[Fraction | None] = []
    meter: Fraction | None = None
    for bar in found:
        for _, mark in bar.marks:
            if isinstance(mark, MeterMark):
                meter = mark.signature.bar if mark.signature else None
        meters.append(meter)
    staves = {item.staff for bar in found for item in bar.items} or {"1"}
    if len(staves) > MOST_STAVES:
        raise RefusedError(f"a part has {len(staves)} staves; expected at most {MOST_STAVES}")
    return _Line(name, found, meters, sorted(staves, key=_order))


def _order(label: str) -> tuple[int, str]:
    return (int(label) if label.isdecimal() and len(label) < 10 else 10**10, label)


def _lengths(lines: Sequence[_Line], known: Known) -> list[Fraction]:
    """Return the lengths of the measures, which are those of all parts.

    A part that is not read makes no measure longer than the metre of those that are has it.
    """
    ends = list(accumulate(len(line.staves) for line in lines))
    chosen = [
        known.part is None or end - len(line.staves) < known.part <= end
        for line, end in zip(lines, ends, strict=True)
    ]
    ordered = sorted(zip(lines, chosen, strict=True), key=lambda each: not each[1])
    count = max((len(line.bars) for line in lines), default=0)
    lengths = []
    for at in range(count):
        inside = ordered = [each for each in ordered if at < len(each[0].bars)]
        meter = next((each for line, _ in inside if (each := line.meters[at])), None)
        edge = at in (0, count - 1) or any(line.bars[at].implicit for line, _ in inside)
        sung = rested = ZERO
        for line, own in inside:
            notes, rests = _held(line.bars[at].items, meter, edge)
            sung = max(sung, notes if own or meter is None else min(notes, meter))
            rested = max(rested, rests)
        lengths.append(sung or rested or meter or ZERO)
    return lengths


def _held(items: Iterable[Item], meter: Fraction | None, edge: bool) -> tuple[Fraction, Fraction]:
    """Return the ends of what tells the length of a measure, and of all that it holds.

    A rest alone in its voice may stand for a measure of any length, and in the first and the last
    measure any rests may be longer than the notes.

    Args:
        items: of one part.
        meter: length of the metre's bar.
        edge: the measure may be shorter.
    """
    voices: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        voices.setdefault((item.voice, item.staff), []).append(item)
    sung = rested = filled = ZERO
    for voice in voices.values():
        # A rest may be written longer than its bar.
        ends = [min(item.end, meter or item.end) if item.is_rest else item.end for item in voice]
        first, end = voice[0], max(ends)
        if not all(item.is_rest for item in voice):
            sung = max(sung, end)
        elif len(voice) == 1 and (first.fills or (meter and first.end >= meter)):
            filled = max(filled, end)
        else:
            rested = max(rested, end)
    if sung:
        return (sung if edge else max(sung, rested, filled)), ZERO
    return (ZERO if edge else rested), max(rested, filled)


# -- repeats ---------------------------------------------------------------------------------------


def _endings(found: Sequence[Contents]) -> Iterator[tuple[str, int, int]]:
    """Yield the number of each ending, its first bar and its last."""
    opened: tuple[str, int] | None = None
    for at, bar in enumerate(found):
        if bar.ending:
            if opened:
                yield *opened, at - 1
            opened = (bar.ending, at)
        if bar.ends:
            yield *(opened or ("", at)), at
            opened = None
    if opened:
        yield *opened, opened[1]


# -- staves and voices -----------------------------------------------------------------------------


def _staves(line: _Line, starts: Sequence[Fraction], skipped: set[int]) -> list[Part]:
    """Return the staves of a part of the file, from above."""
    own_voices: dict[str, list[list[Sound]]] = {staff: [] for staff in line.staves}
    voices = _voices(line, starts, skipped)
    for staff, label in sorted(voices, key=lambda voice: _order(voice[1])):
        own_voices[staff].append(voices[staff, label])
    measures = [
        Measure(
            starts[at],
            starts[at + 1] - starts[at],
            bar.number,
            at in skipped,
            bar.opens or (at > 0 and line.bars[at - 1].closes),
        )
        for at, bar in enumerate(line.bars)
    ]
    marks: dict[str, list[Mark]] = {staff: [] for staff in line.staves}
    for at, bar in enumerate(line.bars):
        for place, mark in bar.marks:
            for staff in [place] if place else line.staves:
                marks.setdefault(staff, []).append(replace(mark, start=starts[at] + mark.start))
    result = []
    for staff in line.staves:
        named = [line.name] * bool(line.name) + [f"staff {staff}"] * (len(line.staves) > 1)
        meters = [mark for mark in marks[staff] if isinstance(mark, MeterMark)]
        keys = [mark for mark in marks[staff] if isinstance(mark, KeyMark)]
        chords = [mark for mark in marks[staff] if isinstance(mark, ChordMark)]
        result.append(Part(own_voices[staff], ", ".join(named), measures, meters, keys, chords))
    return result


def _voices(
    line: _Line, starts: Sequence[Fraction], skipped: set[int]
) -> dict[tuple[str, str], list[Sound]]:
    """Return the notes of each voice by the labels of its staff and its own, tied notes as one."""
    labels: dict[str, list[tuple[int, Item]]] = {}
    for at, bar in enumerate(line.bars):
        for item in bar.items:
            labels.setdefault(item.voice, []).append((at, item))
    tones = []
    for label, found in labels.items():
        home = _home(found, starts)
        for at, item in found:
            if item.pitch is not None:
                start, end = starts[at] + item.start, starts[at] + item.end
                voice = (home or item.staff, label)
                tone = Tone(voice, start, end, item.pitch, item.tied, item.ends_tie)
                tones.append(replace(tone, played=at not in skipped))
    silent = gaps(starts, skipped)
    for at, bar in enumerate(line.bars):  # shorter than that of another part, to which ties go on
        end, after = (
            starts[at] + max((item.end for item in bar.items), default=ZERO),
            starts[at + 1],
        )
        if starts[at] < end < after:
            silent.setdefault(end, silent.get(after, after))
    return joined(tones, silent)


def _home(items: Sequence[tuple[int, Item]], starts: Sequence[Fraction]) -> str:
    """Return the staff of a voice that moves between staves, "" if it is on several at once."""
    staff, until = "", ZERO  # of the note or rest that sounds longest yet
    for at, item in sorted(items, key=lambda each: starts[each[0]] + each[1].start):
        if not item.chord:
            start = starts[at] + item.start
            if item.staff != staff and until > start:
                return ""
            # A rest may be written longer than its bar.
            end = (
                min(starts[at] + item.end, starts[at + 1])
                if item.is_rest
                else item.end + starts[at]
            )
            if end >= until:
                staff, until = item.staff, end
    staves = Counter(item.staff for _, item in items if item.pitch is not None)
    return max(staves, key=lambda each: staves[each], default="1")
