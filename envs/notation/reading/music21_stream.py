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
from envs.notation.reading.times import Sound, changed_meter, read_meter, refusing

# What programs write where there is no title; music21 takes a file's name.
UNTITLED = re.compile(r"Music21 Fragment|Untitled|.*\.(mxl|xml|musicxml|abc|midi?|krn)")


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
        draft = _Sheet(stream, fields, signatures or Signatures()).draft(known)
    return make_piece(draft, known)


class _Sheet:
    """A piece as music21 has it; arguments as `read_stream`."""

    def __init__(self, stream: Any, fields: AbcFields | None, signatures: Signatures) -> None:
        from music21.stream import Opus, Score

        if isinstance(stream, Opus):
            raise RefusedError(f"it holds {len(stream.scores)} tunes; expected one: split it")
        self.fields, self.signatures = fields, signatures
        self.score = stream.toSoundingPitch()
        self.parts = list(self.score.parts) if isinstance(self.score, Score) else [self.score]

    def draft(self, known: Known) -> Draft:
        """Return the notes, and what the piece says of itself."""
        from music21.tempo import MetronomeMark

        voices = [_sounds(part, voice) for voice, part in enumerate(self.parts)]
        draft = Draft(sounds_of(voices, known.part))
        if self.score.metadata is not None:
            title = self.score.metadata.title or self.score.metadata.movementName or ""
            draft.title = "" if UNTITLED.fullmatch(str(title)) else str(title)
        marks = self.score.recurse().getElementsByClass(MetronomeMark)
        with suppress(Exception):  # a tempo of 0 is none, and no reason to refuse a piece
            draft.tempo = marks[0].getQuarterBPM() if marks else None
        if not self.parts:
            return draft
        part = max(self.parts, key=lambda each: len(each.getElementsByClass("Measure")))
        measures = _measures(part, self.score, self.fields)
        self._read_key(draft, part)
        draft.meter = known.meter or self._read_meter(part)
        if draft.meter is None and measures:
            draft.meter = _usual_meter(measures)
            draft.notices.append(f"the file names no metre: {draft.meter} by its bars' lengths")
        if draft.meter is not None:
            bar = Fraction(4 * draft.meter.numerator, draft.meter.denominator)
            try:
                draft.layout = lay_out(measures, bar)
            except ValueError as error:
                raise RefusedError(str(error)) from None
            draft.notices += draft.layout.notices
        return draft

    def _read_meter(self, part: Any) -> Meter | None:
        if self.fields is None:
            return _meter(part, self.signatures)
        return read_meter(self.fields.meter.spelled) if self.fields.meter else None

    def _read_key(self, draft: Draft, part: Any) -> None:
        from music21 import key

        if self.fields is not None:
            draft.key = self.fields.key
            if self.fields.changes_key:
                draft.notices.append("the key signature changes; the first is taken throughout")
            return
        signatures = list(part.recurse().getElementsByClass(key.KeySignature))
        for other in () if signatures else self.parts:
            signatures = signatures or list(other.recurse().getElementsByClass(key.KeySignature))
        if signatures:
            first = signatures[0]
            draft.fifths = first.sharps
            if isinstance(first, key.Key):
                draft.key = _key(first.tonic.name, first.mode)
        later = [each for each in signatures if each.sharps != signatures[0].sharps]
        if later:
            bar = later[0].measureNumber
            change = f"the key signature changes at bar {bar}; the first is taken throughout"
            draft.notices.append(change)


def _key(tonic: str, mode: str) -> Key | None:
    try:
        return Key.parse(f"{tonic.replace('-', 'b')} {mode}")
    except ValueError:
        return None


def _measures(part: Any, score: Any, fields: AbcFields | None) -> list[Measure]:
    """The measures of a part."""
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
    """Ids of the measures in endings that another ending follows."""
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


def _meter(part: Any, signatures: Signatures) -> Meter | None:
    """The one metre of a part, None if it names none."""
    from music21.meter import TimeSignature

    found = list(part.recurse().getElementsByClass(TimeSignature))
    changes = [each for i, each in enumerate(found) if not i or not _same(each, found[i - 1])]
    if len(changes) > 1:
        first, second, *more = changes
        bar = first.barDuration.quarterLength
        # Programs write an upbeat as a bar of a metre of its own.
        upbeat = second.getOffsetInHierarchy(part) == bar < second.barDuration.quarterLength
        if more or not upbeat:
            wrong = more[0] if upbeat else second
            before = changes[changes.index(wrong) - 1]
            raise changed_meter(_spelled(before), _spelled(wrong), wrong.measureNumber)
    if not changes:
        return None
    own = Signature.parse(changes[-1].ratioString)
    meter = signatures.known.get(own.plain, own)
    if own.plain in signatures.changes:
        other, number = signatures.changes[own.plain]
        raise changed_meter(meter.spelled, other.spelled, number)
    return read_meter(meter.spelled)


def _same(one: Any, other: Any) -> bool:
    return bool(one.ratioString == other.ratioString)


def _spelled(signature: Any) -> str:
    return Signature.parse(signature.ratioString).spelled


def _usual_meter(measures: list[Measure]) -> Meter:
    """The metre of the most common bar."""
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
    """A time of music21's as the fraction that it means."""
    return Fraction(quarters).limit_denominator(10_080)
