"""Sheet music through music21: its notes, and what it says of itself."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from typing import Any

from envs.errors import RefusedError
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.piece import Piece
from envs.notation.reading.abc import AbcFields
from envs.notation.reading.assemble import Draft, Known, make_piece, sounds_of
from envs.notation.reading.bars import Measure, lay_out
from envs.notation.reading.time_signatures import Signature, Signatures
from envs.notation.reading.times import Sound, changed_meter, one_meter, read_meter, refusing

# What programs write where there is no title; music21 takes a file's name.
UNTITLED = re.compile(r"Music21 Fragment|Untitled|.*\.(mxl|xml|musicxml|abc|midi?|krn)")
KEY_CHANGES = "the key signature changes{}; the first is taken throughout"


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
    signatures: Signatures | None = None,
) -> Piece:
    """Read a piece as music21 has it; each part is a voice.

    Args:
        stream: a music21 stream of one piece.
        kind: of the file, for errors.
        known: what the caller knows better.
        fields: of ABC, which music21 makes up in part: key, metre, and numbers of the bars.
        signatures: of MusicXML, whose groups music21 is not given.

    Raises:
        RefusedError: it holds several pieces, changes its metre, fits no task, or music21 fails.
    """
    with refusing(kind):
        draft = _draft(stream, known, fields, signatures or Signatures())
    return make_piece(draft, known)


def _draft(stream: Any, known: Known, fields: AbcFields | None, signatures: Signatures) -> Draft:
    """Return the notes, and what the piece says of itself; arguments as `read_stream`."""
    from music21.stream import Opus, Score
    from music21.tempo import MetronomeMark

    if isinstance(stream, Opus):
        raise RefusedError(f"it holds {len(stream.scores)} tunes; expected one: split it")
    score = stream.toSoundingPitch()
    parts = list(score.parts) if isinstance(score, Score) else [score]
    voices = [_sounds(part, voice) for voice, part in enumerate(parts)]
    draft = Draft(sounds_of(voices, known.part))
    if score.metadata is not None:
        title = str(score.metadata.title or score.metadata.movementName or "")
        draft.title = "" if UNTITLED.fullmatch(title) else title
    marks = score.recurse().getElementsByClass(MetronomeMark)
    with suppress(Exception):  # a tempo of 0 is none, and no reason to refuse a piece
        draft.tempo = marks[0].getQuarterBPM() if marks else None
    if not parts:
        return draft
    part = max(parts, key=lambda each: len(each.getElementsByClass("Measure")))
    measures = _measures(part, score, fields)
    if fields is None:
        _read_key(draft, [part, *parts])
    else:
        draft.key = fields.key
        draft.notices += [KEY_CHANGES.format("")] if fields.changes_key else []
    draft.meter = known.meter or _meter(part, fields, signatures)
    if draft.meter is None and measures:
        draft.meter = _usual_meter(measures)
        draft.notices.append(f"the file names no metre: {draft.meter} by its bars' lengths")
    if draft.meter is not None:
        bar = Fraction(4 * draft.meter.numerator, draft.meter.denominator)
        draft.layout = lay_out(measures, bar)
        draft.notices += draft.layout.notices
    return draft


def _read_key(draft: Draft, parts: list[Any]) -> None:
    """Read the key signatures of the first part that has any."""
    from music21 import key

    in_parts = (list(part.recurse().getElementsByClass(key.KeySignature)) for part in parts)
    signatures = next(filter(None, in_parts), None)
    if signatures is None:
        return
    first = signatures[0]
    draft.fifths = first.sharps
    if isinstance(first, key.Key):
        draft.key = _key(first.tonic.name, first.mode)
    later = [each for each in signatures if each.sharps != first.sharps]
    draft.notices += [KEY_CHANGES.format(f" at bar {later[0].measureNumber}")] if later else []


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


def _meter(part: Any, fields: AbcFields | None, signatures: Signatures) -> Meter | None:
    """Return the one metre of a part, None if it names none."""
    from music21.meter import TimeSignature

    if fields is not None:
        return read_meter(fields.meter.spelled) if fields.meter else None
    named = [
        (
            Signature.parse(each.ratioString),
            exact(each.getOffsetInHierarchy(part)),
            each.measureNumber,
        )
        for each in part.recurse().getElementsByClass(TimeSignature)
    ]
    own, _ = one_meter(named)
    if own is None:
        return None
    meter = signatures.known.get(own.plain, own)
    if own.plain in signatures.changes:
        raise changed_meter(meter, *signatures.changes[own.plain])
    return read_meter(meter.spelled)


def _usual_meter(measures: list[Measure]) -> Meter:
    """Return the metre of the most common bar."""
    lengths = [each.length for each in measures]
    usual = max(lengths, key=lengths.count)
    if usual.denominator > 2 or not 0 < usual < 50:
        return Meter(4, 4)
    return read_meter(f"{usual}/4" if usual.denominator == 1 else f"{usual.numerator}/8")


def _sounds(part: Any, voice: int) -> Iterator[Sound]:
    from music21 import chord, harmony, note

    last: Sound | None = None
    goes_on = False
    elements = sorted(part.flatten().notes, key=lambda element: element.offset)
    for element in elements:
        if isinstance(element, harmony.Harmony) or element.duration.isGrace:
            continue
        start = exact(element.offset)
        if any(not 0 <= pitch.ps <= 127 for pitch in element.pitches):
            raise RefusedError(
                f"the note at quarter {float(start):g} of voice {voice + 1} is beyond C-1 to G9"
            )
        if isinstance(element, chord.Chord) and element.pitches:
            raise RefusedError(
                f"a chord at quarter {float(start):g} of voice {voice + 1}; expected one note at "
                "a time, so give each voice a part of its own"
            )
        if not isinstance(element, note.Note):
            continue
        end = start + exact(element.duration.quarterLength)
        sound = Sound(voice, start, end, element.pitch.midi)
        if last and goes_on and last.pitch == sound.pitch and last.end == start:
            sound = Sound(voice, last.start, end, sound.pitch)
        elif last:
            yield last
        last = sound
        goes_on = element.tie is not None and element.tie.type in ("start", "continue")
    if last:
        yield last


def exact(quarters: float | Fraction) -> Fraction:
    """Return a time of music21's as the fraction that it means."""
    return Fraction(quarters).limit_denominator(10_080)
