"""MusicXML of a piece, through music21, and its picture, through verovio."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from envs.measures import (
    BARS_PER_LINE,
    Symbol,
    bars_of,
    beat_quarters,
    low_voice,
    spelled,
    written_key,
)

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from envs.score import Score
    from envs.theory import Key

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" \
"http://www.musicxml.org/dtds/partwise.dtd">
"""
_ALTERED = {-2: "--", -1: "-", 0: "", 1: "#", 2: "##"}  # as music21 writes them


def musicxml(
    score: Score,
    row: int = 0,
    title: str = "",
    tempo: float = 80.0,
    remarks: Mapping[tuple[int, int], str] | None = None,
) -> str:
    """One piece as a MusicXML document, a part for each voice.

    Args:
        score: the pieces.
        row: which of them.
        title: printed above; none if empty.
        tempo: beats per minute, dotted beats in compound metres.
        remarks: words to print under the note or rest that sounds at (voice, cell).
    """
    import xml.etree.ElementTree as ET

    from music21 import layout, metadata, stream
    from music21.musicxml.m21ToXml import ScoreExporter

    document = stream.Score()
    document.metadata = metadata.Metadata(title=title)
    for voice in range(score.task.voices):
        words = {cell: text for (v, cell), text in (remarks or {}).items() if v == voice}
        document.insert(0, _part(score, row, voice, tempo, words))
    if score.task.voices > 1:
        document.insert(0, layout.StaffGroup(list(document.parts), symbol="bracket"))
    root = ScoreExporter(document, makeNotation=False).parse()
    _tidy(root, title)
    ET.indent(root)
    return _HEAD + ET.tostring(root, "unicode") + "\n"


def _part(score: Score, row: int, voice: int, tempo: float, words: Mapping[int, str]) -> Any:
    from music21 import bar, clef, duration, expressions, key, layout, meter, stream
    from music21.tempo import MetronomeMark

    task = score.task
    shown = written_key(task.key)
    part = stream.Part()
    for number, symbols in enumerate(bars_of(score, row, voice)):
        measure = stream.Measure(number=number + 1)
        if number == 0:
            low = low_voice(score, row, voice)
            measure.insert(0, clef.BassClef() if low else clef.TrebleClef())
            measure.insert(0, key.Key(shown.tonic.replace("b", "-"), shown.mode))
            measure.insert(0, meter.TimeSignature(str(task.meter)))
            if voice == 0:
                beat = duration.Duration(beat_quarters(task.meter))
                measure.insert(0, MetronomeMark(number=round(tempo, 2), referent=beat))
        elif number % BARS_PER_LINE == 0:
            measure.insert(0, layout.SystemLayout(isNew=True))
        first = number * task.bar_cells
        for symbol in symbols:
            offset = duration.opFrac((symbol.start - first) / task.grid)
            measure.insert(offset, _element(symbol, shown, task.bar_cells))
            said = [
                words[c] for c in range(symbol.start, symbol.start + symbol.cells) if c in words
            ]
            if said:
                remark: Any = expressions.TextExpression(" ".join("; ".join(said).split()))
                remark.style.fontStyle = "italic"
                remark.placement = "below"
                measure.insert(offset, remark)
        _bracket_tuplets(measure, symbols)
        part.append(measure)
    measure.rightBarline = bar.Barline("final")
    part.makeAccidentals(inPlace=True)
    part.makeBeams(inPlace=True, setStemDirections=False)  # stems are left to the engraver
    return part


def _element(symbol: Symbol, key: Key, bar_cells: int) -> Any:
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
    place = pitch.Pitch(letter + _ALTERED[altered])
    place.octave = octave  # set apart: 'C-1' would be C flat
    written = note.Note(place, duration=length)
    if symbol.tied or symbol.continues:
        kind = "start" if not symbol.continues else "continue" if symbol.tied else "stop"
        written.tie = tie.Tie(kind)
    return written


def _bracket_tuplets(measure: Any, symbols: list[Symbol]) -> None:
    """Mark where each tuplet of a bar begins and ends."""
    elements = list(measure.notesAndRests)
    for _, members in groupby(range(len(symbols)), key=lambda i: symbols[i].tuplet):
        group = [elements[i].duration for i in members]
        if group[0].tuplets:
            group[0].tuplets[0].type = "start"
            group[-1].tuplets[0].type = "stop"


def _tidy(root: ET.Element, title: str) -> None:
    """Take out a default composer, a date that changes every day, and random names of parts."""
    identification = root.find("identification")
    if identification is not None:
        for creator in identification.findall("creator"):
            identification.remove(creator)
        encoding = identification.find("encoding")
        if encoding is not None:
            for date in encoding.findall("encoding-date"):
                encoding.remove(date)
    for parts in (root.findall("part-list/score-part"), root.findall("part")):
        for number, part in enumerate(parts):
            part.set("id", f"P{number + 1}")
    for tag in ("movement-title", *(() if title else ("work",))):
        for element in root.findall(tag):
            root.remove(element)


def svg(document: str, width: int = 800) -> str:
    """A MusicXML document engraved as SVG, `width` pixels wide and as high as it needs.

    Raises:
        ValueError: verovio cannot read the document.
    """
    import verovio

    scale = 40  # per cent; a staff is then about as high as three lines of text
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    options = {
        "scale": scale,
        "pageWidth": round(width * 100 / scale),
        "pageHeight": 60000,  # everything on one page, cropped below
        "adjustPageHeight": True,
        "breaks": "smart",  # every four bars, unless lines would be overfull or half empty
        "breaksSmartSb": 0.4,
        "minLastJustification": 0.3,  # two bars still fill the line
        "header": "auto",
        "footer": "none",
        "svgViewBox": True,
        "xmlIdChecksum": True,  # the same piece gives the same picture
    }
    toolkit.setOptions(options)
    if not toolkit.loadData(document):
        raise ValueError("the score cannot be engraved; expected a MusicXML document")
    # With both a size and a view box, a page may show it as it is or scale it; on white paper,
    # because the ink is black whatever the page's colour.
    sized = r'<svg width="\1" height="\2" viewBox="0 0 \1 \2" style="background: white"'
    return re.sub(r'<svg viewBox="0 0 (\d+) (\d+)"', sized, toolkit.renderToSVG(1), count=1)
