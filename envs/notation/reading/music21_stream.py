"""Sheet music through music21: its notes, and what it says of itself."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from typing import Any

from envs.errors import RefusedError
from envs.music.key import Key
from envs.music.piece import Piece
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.bars import Measure
from envs.notation.reading.draft import UNTITLED, Draft, KeyMark, MeterMark, Part, Sound
from envs.notation.reading.selection import Known
from envs.notation.reading.sheets.ties import Tone, joined
from envs.notation.reading.time_signatures import Signature
from envs.notation.reading.times import refusing


def read_stream(
    stream: Any,
    kind: str,
    known: Known,
) -> Piece:
    """Read a piece as music21 has it; the voices of its measures are lines of their own.

    Args:
        stream: a music21 stream of one piece.
        kind: of the file, for errors.
        known: what the caller knows better.

    Raises:
        RefusedError: it holds several pieces, changes its metre, fits no task, or music21 fails.
    """
    with refusing(kind):
        draft = _draft(stream)
    return make_piece(draft, known)


def _draft(stream: Any) -> Draft:
    """Return the notes, and what the piece says of itself; arguments as `read_stream`."""
    from music21.stream import Opus, Score
    from music21.tempo import MetronomeMark

    if isinstance(stream, Opus):
        raise RefusedError(f"it holds {len(stream.scores)} tunes; expected one: split it")
    score = stream.toSoundingPitch()
    parts = list(score.parts) if isinstance(score, Score) else [score]
    draft = Draft([_part(part, score) for part in parts])
    if score.metadata is not None:
        title = str(score.metadata.title or score.metadata.movementName or "")
        draft.title = "" if UNTITLED.fullmatch(title) else title
    marks = score.recurse().getElementsByClass(MetronomeMark)
    with suppress(Exception):  # a tempo of 0 is none, and no reason to refuse a piece
        draft.tempo = marks[0].getQuarterBPM() if marks else None
    return draft


def _part(part: Any, score: Any) -> Part:
    """Return a part of a score."""
    return Part(
        _voices(part),
        str(getattr(part, "partName", None) or ""),
        _measures(part, score),
        _meters(part),
        _keys(part),
    )


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


def _measures(part: Any, score: Any) -> list[Measure]:
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
        result.append(Measure(start, length, measure.number, measure.id in skipped, opens))
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


def _voices(part: Any) -> list[list[Sound]]:
    """Return the notes of each voice of a part, the notes of a chord one by one."""
    from music21 import harmony, stream

    notes = []
    for element in part.recurse().notes:
        if isinstance(element, harmony.Harmony) or element.duration.isGrace:
            continue
        voice, site = 0, element.activeSite
        if isinstance(site, stream.Voice):
            voice = [id(each) for each in site.activeSite.voices].index(id(site))
        start = exact(element.getOffsetInHierarchy(part))
        end = start + exact(element.duration.quarterLength)
        for note in getattr(element, "notes", (element,)):
            if not hasattr(note, "pitch"):
                continue
            if not 0 <= note.pitch.ps <= 127:
                raise RefusedError(f"the note at quarter {float(start):g} is beyond C-1 to G9")
            ties = note.tie.type if note.tie is not None else ""
            tied, ends = ties in ("start", "continue"), ties in ("stop", "continue")
            notes.append(Tone(("", str(voice)), start, end, note.pitch.midi, tied, ends))
    voices = joined(notes, {})
    return [voices[each] for each in sorted(voices, key=lambda each: int(each[1]))]


def exact(quarters: float | Fraction) -> Fraction:
    """Return a time of music21's as the fraction that it means."""
    return Fraction(quarters).limit_denominator(10_080)
