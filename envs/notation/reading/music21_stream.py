"""Sheet music through music21: its notes, and what it says of itself.

A file comes from anywhere, so its text is bounded and made harmless before it comes here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from fractions import Fraction
from io import StringIO
from itertools import pairwise
from typing import Any

from envs.errors import RefusedError
from envs.music.key import Key
from envs.music.meter import Meter
from envs.notation.reading.abc import AbcFields
from envs.notation.reading.bars import Measure, lay_out
from envs.notation.reading.time_signatures import Signature, Signatures
from envs.notation.reading.times import Facts, Sound, bound_notes, broken, changed_meter, read_meter

MAX_MEASURES = 2_000  # of a part
# What programs write where there is no title; music21 takes a file's name.
UNTITLED = re.compile(r"Music21 Fragment|Untitled|.*\.(mxl|xml|musicxml|abc|midi?|krn)")


# -- what music21 has read -------------------------------------------------------------------------


def parsed(text: str, form: str, kind: str) -> Any:
    """A music21 stream of a text.

    Raises:
        RefusedError: music21 cannot read it.
    """
    from music21 import converter

    try:
        # parseData, as parse() takes a short text for a file name or an address to fetch, and
        # keeps pickles of what it read.
        # It prints what it cannot read, which may hold anything.
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            # It goes on without the bar that it failed at; a bar that is missing is no reading.
            warnings.filterwarnings("error", message="The following exception")
            return converter.parseData(text, format=form)
    except Exception as error:  # music21 raises whatever its code runs into
        raise broken(kind, error) from None


class Sheet:
    """A piece as music21 has it.

    Args:
        stream: a music21 stream of one piece.
        kind: of the file, for errors.
        fields: of ABC, which music21 makes up in part: key, metre, and numbers of the bars.
        signatures: of MusicXML, whose groups music21 is not given.

    Raises:
        RefusedError: it holds several pieces, too many notes, or music21 fails.
    """

    def __init__(
        self,
        stream: Any,
        kind: str,
        fields: AbcFields | None = None,
        signatures: Signatures | None = None,
    ) -> None:
        from music21.stream import Opus, Score

        self.kind, self.fields, self.signatures = kind, fields, signatures or Signatures()
        try:
            if isinstance(stream, Opus):
                raise RefusedError(f"it holds {len(stream.scores)} tunes; expected one: split it")
            self.score = stream.toSoundingPitch()
            self.parts = list(self.score.parts) if isinstance(self.score, Score) else [self.score]
            bound_notes(sum(len(part.recurse().notes) for part in self.parts))
        except RefusedError:
            raise
        except Exception as error:  # music21 raises whatever its code runs into
            raise broken(kind, error) from None

    def sounds(self, part: int | None = None) -> Iterator[Sound]:
        """The notes; each part is a voice.

        Args:
            part: number of the only part to read, from 0.
        """
        try:
            for voice, stream in enumerate(self.parts):
                if part in (None, voice):
                    yield from _sounds(stream, voice)
        except RefusedError:
            raise
        except Exception as error:  # music21 raises whatever its code runs into
            raise broken(self.kind, error) from None

    def facts(self, meter: Meter | None = None) -> Facts:
        """What the file says of itself.

        Args:
            meter: known better; the file's is not looked at.

        Raises:
            RefusedError: the metre changes, is one that bars of cells cannot have, or the bars
                do not fit it.
        """
        try:
            return self._facts(meter)
        except RefusedError:
            raise
        except Exception as error:  # music21 raises whatever its code runs into
            raise broken(self.kind, error) from None

    def _facts(self, meter: Meter | None) -> Facts:
        from music21.tempo import MetronomeMark

        facts = Facts()
        if self.score.metadata is not None:
            title = self.score.metadata.title or self.score.metadata.movementName or ""
            facts.title = "" if UNTITLED.fullmatch(str(title)) else str(title)
        marks = self.score.recurse().getElementsByClass(MetronomeMark)
        with suppress(Exception):  # a tempo of 0 is none, and no reason to refuse a piece
            facts.tempo = marks[0].getQuarterBPM() if marks else None
        if not self.parts:
            return facts
        part = max(self.parts, key=lambda each: len(each.getElementsByClass("Measure")))
        measures = _measures(part, self.score, self.fields)
        self._read_key(facts, part)
        facts.meter = meter or self._read_meter(part)
        if facts.meter is None and measures:
            facts.meter = _usual_meter(measures)
            facts.notices.append(f"the file names no metre: {facts.meter} by its bars' lengths")
        if facts.meter is not None:
            bar = Fraction(4 * facts.meter.numerator, facts.meter.denominator)
            try:
                facts.layout = lay_out(measures, bar)
            except ValueError as error:
                raise RefusedError(str(error)) from None
            facts.notices += facts.layout.notices
        return facts

    def _read_meter(self, part: Any) -> Meter | None:
        if self.fields is None:
            return _meter(part, self.signatures)
        return read_meter(self.fields.meter.spelled) if self.fields.meter else None

    def _read_key(self, facts: Facts, part: Any) -> None:
        from music21 import key

        if self.fields is not None:
            facts.key = self.fields.key
            if self.fields.changes_key:
                facts.notices.append("the key signature changes; the first is taken throughout")
            return
        signatures = list(part.recurse().getElementsByClass(key.KeySignature))
        for other in () if signatures else self.parts:
            signatures = signatures or list(other.recurse().getElementsByClass(key.KeySignature))
        if signatures:
            first = signatures[0]
            facts.fifths = first.sharps
            if isinstance(first, key.Key):
                facts.key = _key(first.tonic.name, first.mode)
        later = [each for each in signatures if each.sharps != signatures[0].sharps]
        if later:
            bar = later[0].measureNumber
            told = f"the key signature changes at bar {bar}; the first is taken throughout"
            facts.notices.append(told)


def _key(tonic: str, mode: str) -> Key | None:
    name = {"ionian": "major", "aeolian": "minor"}.get(mode, mode)
    try:
        return Key.parse(f"{tonic.replace('-', 'b')} {name}")
    except ValueError:
        return None


def _measures(part: Any, score: Any, fields: AbcFields | None) -> list[Measure]:
    """The measures of a part."""
    found = list(part.getElementsByClass("Measure"))
    if len(found) > MAX_MEASURES:
        raise RefusedError(f"it has {len(found)} measures; expected at most {MAX_MEASURES}")
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
