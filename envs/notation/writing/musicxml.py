"""MusicXML of a piece, through music21, and its picture, through verovio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from envs.music.chords import SYMBOL, chord_symbol
from envs.music.key import spelled, written_key
from envs.music.meter import beat_quarters
from envs.music.piece import spans_of
from envs.music.voices.pairs import voice_name
from envs.notation.writing.staves import Staff, join_parts, staves_of
from envs.notation.writing.symbols import (
    BARS_PER_LINE,
    Symbol,
    bars_of,
    chord_changes,
    with_signs,
)

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from envs.music.key import Key
    from envs.music.score import Score
    from envs.music.task import Task

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" \
"http://www.musicxml.org/dtds/partwise.dtd">
"""


@dataclass(frozen=True)
class Marks:
    """Words, colours and bar numbers to show on a score.

    Attributes:
        words: to print under the note or rest that sounds at (voice, cell).
        colours: such as "#c02040", of the whole note that sounds at (voice, cell), or the rest.
        numbers: of the bars, the pickup's included; counted from 1, the pickup 0, if empty.
    """

    words: Mapping[tuple[int, int], str] = field(default_factory=dict)
    colours: Mapping[tuple[int, int], str] = field(default_factory=dict)
    numbers: Sequence[int] = ()


def musicxml(
    score: Score,
    row: int = 0,
    title: str = "",
    tempo: float = 80.0,
    remarks: Mapping[tuple[int, int], str] | None = None,
    marks: Marks | None = None,
) -> str:
    """Return one piece as a MusicXML document.

    Three or four voices are a part of two staves, as `staves_of` says, others a part each.
    A coloured note has the id `symbol_id` gives, in the document and in its picture.

    Args:
        score: the pieces.
        row: which of them.
        title: printed above; none if empty.
        tempo: beats per minute, see `beat_quarters`.
        remarks: words to print under the note or rest that sounds at (voice, cell).
        marks: the same words, colours and numbers of bars, in place of `remarks`.
    """
    import xml.etree.ElementTree as ET

    from music21 import layout, metadata, stream
    from music21.musicxml.m21ToXml import ScoreExporter

    marks = marks or Marks(words=remarks or {})
    document = stream.Score()
    document.metadata = metadata.Metadata(title=title)
    staves = staves_of(score, row)
    for staff in staves:
        for part in _parts(score, row, staff, tempo, marks):
            document.insert(0, part)
    if score.task.voices > 1:
        document.insert(0, layout.StaffGroup(list(document.parts), symbol="bracket"))
    root = ScoreExporter(document, makeNotation=False).parse()
    _tidy(root, title)
    _count_in_cells(root, score.task.grid)
    join_parts(root, staves)
    for beats in root.iter("beats"):  # which were given music21 without groups
        beats.text = str(score.task.meter).split("/")[0]
    ET.indent(root)
    return _HEAD + ET.tostring(root, "unicode") + "\n"


def symbol_id(voice: int, cell: int) -> str:
    """Return the id of a coloured note or rest that is written at a cell."""
    return f"mark-{voice}-{cell}"


def _parts(score: Score, row: int, staff: Staff, tempo: float, marks: Marks) -> Iterator[Any]:
    """Yield a part for each voice of a staff; the signs of one hold for the other."""
    shown = written_key(score.task.key)
    signed = with_signs([bars_of(score, row, voice) for voice in staff.voices], shown)
    for voice, bars in zip(staff.voices, zip(*signed, strict=True), strict=True):
        yield _part(score, row, voice, bars, staff.low, tempo, marks)


def _part(
    score: Score,
    row: int,
    voice: int,
    bars: Sequence[Sequence[tuple[Symbol, bool]]],
    low: bool,
    tempo: float,
    marks: Marks,
) -> Any:
    """Return a voice as a part, its bars of symbols and whether each has a sign."""
    from music21 import bar, stream
    from music21.stream.enums import ShowNumber

    task = score.task
    shown = written_key(task.key)
    words = {cell: text for (v, cell), text in marks.words.items() if v == voice}
    colours = _colours(score, row, voice, marks)
    numbers = marks.numbers or range(int(task.pickup == 0), task.bars + 2)
    part: Any = stream.Part()
    part.partName = voice_name(task.voices, voice).capitalize()
    for index, (first, symbols) in enumerate(zip(task.bar_lines, bars, strict=True)):
        measure = stream.Measure(number=numbers[index])
        _open(measure, index, task, low, tempo if voice == 0 else None)
        for symbol, signed in symbols:
            offset = _quarters(symbol.start - first, task.grid)
            element = _element(symbol, signed, shown, task.bar_cells)
            inside = range(symbol.start, symbol.start + symbol.cells)
            shown_in = [colours[cell] for cell in inside if cell in colours]
            if shown_in:
                element.style.color = shown_in[0]
                element.id = symbol_id(voice, symbol.start)
            measure.insert(offset, element)
            said = [words[cell] for cell in inside if cell in words]
            if said:
                remark = _words(" ".join("; ".join(said).split()), "below")
                remark.style.fontStyle = "italic"
                measure.insert(offset, remark)
        notes = measure.notesAndRests
        drawn = [(symbol, note) for (symbol, _), note in zip(symbols, notes, strict=True)]
        _bracket_tuplets(drawn)
        _beam(drawn)
        for cell, chord in chord_changes(task, index) if voice == 0 else ():
            measure.insert(_quarters(cell - first, task.grid), _chord(chord))
        part.append(measure)
    measure.rightBarline = bar.Barline("final")
    if task.pickup:
        upbeat = part.getElementsByClass(stream.Measure).first()
        upbeat.paddingLeft = _quarters(task.bar_cells - task.pickup, task.grid)
        upbeat.showNumber = ShowNumber.NEVER
    return part


def _open(measure: Any, index: int, task: Task, low: bool, tempo: float | None) -> None:
    """Put clef, key, metre and tempo into the first bar, and begin a new line every few bars."""
    from music21 import clef, duration, key, layout
    from music21.meter import TimeSignature
    from music21.tempo import MetronomeMark

    if index == 0:
        shown = written_key(task.key)
        measure.insert(0, clef.BassClef() if low else clef.TrebleClef())
        measure.insert(0, key.Key(shown.tonic.replace("b", "-"), shown.written_mode))
        measure.insert(0, TimeSignature(task.meter.signature))
        if tempo is not None:
            beat = duration.Duration(beat_quarters(task.meter))
            mark: Any = MetronomeMark(number=round(tempo, 2), referent=beat)
            mark.placement = "above"
            measure.insert(0, mark)
    elif index > (task.pickup > 0) and (index - (task.pickup > 0)) % BARS_PER_LINE == 0:
        measure.insert(0, layout.SystemLayout(isNew=True))


def _colours(score: Score, row: int, voice: int, marks: Marks) -> dict[int, str]:
    """Return the colour of each cell of the marked notes of a voice, and of marked silence."""
    found = {cell: colour for (v, cell), colour in marks.colours.items() if v == voice}
    for start, end, pitch in spans_of(score, row, voice):
        marked = [found[cell] for cell in range(start, end) if cell in found]
        if marked and pitch is not None:
            found.update(dict.fromkeys(range(start, end), marked[0]))
    return found


def _chord(symbol: str) -> Any:
    """Return a chord symbol; words above the staff where music21 knows no such symbol."""
    return chord_symbol(symbol) if SYMBOL.fullmatch(symbol) else _words(symbol, "above")


def _words(text: str, placement: str) -> Any:
    from music21.expressions import TextExpression

    words: Any = TextExpression(text)
    words.placement = placement
    return words


def _quarters(cells: int, grid: int) -> Any:
    from music21.common import opFrac

    return opFrac(cells / grid)


def _element(symbol: Symbol, signed: bool, key: Key, bar_cells: int) -> Any:
    from music21 import duration, note, pitch, tie

    length = duration.Duration(symbol.written)
    if symbol.tuplet:
        _, drawn, time_of = symbol.tuplet
        unit = duration.Duration(symbol.written).type
        length.appendTuplet(duration.Tuplet(drawn, time_of, unit))
    if symbol.pitch is None:
        rest = note.Rest(duration=length)
        if symbol.cells == bar_cells:
            rest.fullMeasure = True
        return rest
    letter, altered, octave = spelled(key, symbol.pitch)
    place = pitch.Pitch(letter)
    place.accidental = pitch.Accidental(altered)
    place.accidental.displayStatus = signed
    place.octave = octave  # set apart: 'C-1' would be C flat
    written = note.Note(place, duration=length)
    if symbol.tied or symbol.continues:
        kind = "start" if not symbol.continues else "continue" if symbol.tied else "stop"
        written.tie = tie.Tie(kind)
    return written


def _bracket_tuplets(drawn: Sequence[tuple[Symbol, Any]]) -> None:
    """Mark where each tuplet of a bar begins and ends."""
    for _, members in groupby(drawn, key=lambda pair: pair[0].tuplet):
        group = [element.duration for _, element in members]
        if group[0].tuplets:
            group[0].tuplets[0].type = "start"
            group[-1].tuplets[0].type = "stop"


def _beam(drawn: Sequence[tuple[Symbol, Any]]) -> None:
    """Join the flags of neighbouring notes of a group to beams."""
    for _, members in groupby(drawn, key=lambda pair: (pair[0].group, pair[0].flags > 0)):
        notes = list(members)
        flags = [0, *(symbol.flags for symbol, _ in notes), 0]
        for (_, note), before, own, after in zip(notes, flags, flags[1:], flags[2:], strict=False):
            for level in range(1, own + 1) if len(notes) > 1 else ():
                if level > max(before, after):
                    note.beams.append("partial", "left" if before else "right")
                elif level <= min(before, after):
                    note.beams.append("continue")
                else:
                    note.beams.append("start" if level <= after else "stop")


def _count_in_cells(root: ET.Element, grid: int) -> None:
    """Write times as whole cells; music21 rounds them to divisions that not every grid fits."""
    from music21.defaults import divisionsPerQuarter

    for tag in ("divisions", "duration", "offset"):
        for element in root.iter(tag):
            element.text = str(round(float(element.text or 0) * grid / divisionsPerQuarter))


def _tidy(root: ET.Element, title: str) -> None:
    """Take out a default composer, a date that changes every day, and random names of parts."""
    unwanted = [
        ("identification", "creator"),
        ("identification/encoding", "encoding-date"),
        (".", "movement-title"),
    ]
    for path, tag in unwanted if title else [*unwanted, (".", "work")]:
        for parent in root.findall(path):
            for element in parent.findall(tag):
                parent.remove(element)
    names = root.findall("part-list/score-part/part-name")
    if len(names) == 1:  # a name for programs; a single staff needs none
        names[0].set("print-object", "no")
    for parts in (root.findall("part-list/score-part"), root.findall("part")):
        for number, part in enumerate(parts):
            part.set("id", f"P{number + 1}")
