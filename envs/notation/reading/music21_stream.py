"""Sheet music through music21: its notes, and what it says of itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from typing import Any

from envs.errors import RefusedError
from envs.music.key import Key
from envs.music.piece import Piece
from envs.notation.reading.abc import AbcFields
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.bars import Measure
from envs.notation.reading.draft import UNTITLED, Draft, KeyMark, MeterMark, Part, Sound
from envs.notation.reading.selection import Known
from envs.notation.reading.time_signatures import Signature
from envs.notation.reading.times import refusing

# -- what music21 has read -------------------------------------------------------------------------


def read_text(text: str, form: str, kind: str, known: Known, **more: Any) -> Piece:
    """Read a piece from text that music21 parses; `more` as `read_stream`.

    Raises:
        RefusedError: as `read_stream`, or music21 cannot read it.
    """
    from music21 import converter

    with refusing(kind), warnings.catch_warnings():
        # It goes on without the bar that it failed at; a bar that is missing is no reading.
        warnings.filterwarnings("error", message="The following exception")
        # parseData, as parse() takes a short text for a file name or an address to fetch, and
        # keeps pickles of what it read.
        stream = converter.parseData(text, format=form)
    return read_stream(stream, kind, known, **more)


def read_stream(
    stream: Any,
    kind: str,
    known: Known,
    fields: AbcFields | None = None,
) -> Piece:
    """Read a piece as music21 has it; each part is a voice.

    Args:
        stream: a music21 stream of one piece.
        kind: of the file, for errors.
        known: what the caller knows better.
        fields: of ABC, which music21 makes up in part: key, metre, and numbers of the bars.

    Raises:
        RefusedError: it holds several pieces, changes its metre, fits no task, or music21 fails.
    """
    with refusing(kind):
        draft = _draft(stream, fields)
    return make_piece(draft, known)


def _draft(stream: Any, fields: AbcFields | None) -> Draft:
    """Return the notes, and what the piece says of itself; arguments as `read_stream`."""
    from music21.stream import Opus, Score
    from music21.tempo import MetronomeMark

    if isinstance(stream, Opus):
        raise RefusedError(f"it holds {len(stream.scores)} tunes; expected one: split it")
    score = stream.toSoundingPitch()
    parts = list(score.parts) if isinstance(score, Score) else [score]
    draft = Draft([_part(part, score, fields) for part in parts])
    if score.metadata is not None:
        title = str(score.metadata.title or score.metadata.movementName or "")
        draft.title = "" if UNTITLED.fullmatch(title) else title
    marks = score.recurse().getElementsByClass(MetronomeMark)
    with suppress(Exception):  # a tempo of 0 is none, and no reason to refuse a piece
        draft.tempo = marks[0].getQuarterBPM() if marks else None
    return draft


def _part(part: Any, score: Any, fields: AbcFields | None) -> Part:
    """Return a part of a score."""
    voices = [list(_sounds(part))]
    measures = _measures(part, score, fields)
    if fields is None:
        return Part(
            voices,
            str(getattr(part, "partName", None) or ""),
            measures,
            _meters(part),
            _keys(part),
        )
    meters = [MeterMark(Fraction(0), fields.meter)] if fields.meter else []
    keys = [KeyMark(Fraction(0), fields.key)]
    keys += [KeyMark(Fraction(1), fifths=99)] if fields.changes_key else []
    return Part(voices, "", measures, meters, keys)


def _keys(part: Any) -> list[KeyMark]:
    from music21 import key

    return [
        KeyMark(
            exact(each.getOffsetInHierarchy(part)),
            _key(each.tonic.name, each.mode) if isinstance(each, key.Key) else None,
            each.sharps,
        )
        for each in part.recurse().getElementsByClass(key.KeySignature)
    ]


def _key(tonic: str, mode: str) -> Key | None:
    try:
        return Key.parse(f"{tonic.replace('-', 'b')} {mode}")
    except ValueError:
        return None


def _measures(part: Any, score: Any, fields: AbcFields | None) -> list[Measure]:
    """Return the measures of a part."""
    found = list(part.getElementsByClass("Measure"))
    skipped = _skipped(part, score)
    result, opens = [], False
    for measure, following in pairwise([*found, None]):
        start = exact(measure.offset)
        if following is None:
            length = exact(measure.duration.quarterLength)
        else:
            length = exact(following.offset) - start
        left, right = measure.leftBarline, measure.rightBarline
        opens |= left is not None and left.type != "regular"
        number = measure.number if fields is None else None
        result.append(Measure(start, length, number, measure.id in skipped, opens))
        opens = right is not None and right.type != "regular"
    return result


def _skipped(part: Any, score: Any) -> set[Any]:
    """Return the ids of the measures in endings that another ending follows."""
    from music21.spanner import RepeatBracket

    brackets = {
        id(each): each
        for stream in (part, score)
        for each in stream.recurse().getElementsByClass(RepeatBracket)
        if each.getSpannedElements() and each.getFirst() in part
    }
    ordered = sorted(brackets.values(), key=lambda each: each.getFirst().offset)
    skipped: set[Any] = set()
    for bracket, following in pairwise(ordered):
        end = bracket.getLast().offset + bracket.getLast().duration.quarterLength
        if following.getFirst().offset <= end and bracket.number != following.number:
            first, last = bracket.getFirst().offset, bracket.getLast().offset
            inside = part.getElementsByOffset(first, last, classList=["Measure"])
            skipped |= {measure.id for measure in inside}
    return skipped


def _meters(part: Any) -> list[MeterMark]:
    """Return the time signatures of a part."""
    from music21.meter import TimeSignature

    return [
        MeterMark(exact(each.getOffsetInHierarchy(part)), Signature.parse(each.ratioString))
        for each in part.recurse().getElementsByClass(TimeSignature)
    ]


def _sounds(part: Any) -> Iterator[Sound]:
    """Yield the notes of a part, the notes of a chord one by one, tied notes as one."""
    from music21 import harmony

    open_: dict[int, Sound] = {}  # pitch -> the note that is tied to the next
    elements = sorted(part.flatten().notes, key=lambda element: element.offset)
    for element in elements:
        if isinstance(element, harmony.Harmony) or element.duration.isGrace:
            continue
        start = exact(element.offset)
        end = start + exact(element.duration.quarterLength)
        for note in getattr(element, "notes", (element,)):
            if not hasattr(note, "pitch"):
                continue
            if not 0 <= note.pitch.ps <= 127:
                raise RefusedError(f"the note at quarter {float(start):g} is beyond C-1 to G9")
            sound = Sound(start, end, note.pitch.midi)
            before = open_.pop(sound.pitch, None)
            if before and before.end == start:
                sound = Sound(before.start, end, sound.pitch)
            elif before:
                yield before
            if note.tie is not None and note.tie.type in ("start", "continue"):
                open_[sound.pitch] = sound
            else:
                yield sound
    yield from open_.values()


def exact(quarters: float | Fraction) -> Fraction:
    """Return a time of music21's as the fraction that it means."""
    return Fraction(quarters).limit_denominator(10_080)
