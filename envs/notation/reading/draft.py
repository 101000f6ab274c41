"""Drafts: parts of a file with their notes, bar lines, metres and keys, before they are a piece.

A reader of a format turns bytes into a Draft; everything behind it is one path for all formats.
Times are in quarter notes from the beginning of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from envs.music.key import Key
from envs.notation.reading.bars import Measure
from envs.notation.reading.time_signatures import Signature

_UNTITLED = re.compile(r"Music21 Fragment|Untitled|.*\.(mxl|xml|musicxml|abc|midi?|krn)")


def titled(words: str | None) -> str:
    """Return a title, "" for what programs write where there is none."""
    found = (words or "").strip()
    return "" if _UNTITLED.fullmatch(found) else found


@dataclass(frozen=True, order=True)
class Sound:
    """A note before it is on the grid.

    Attributes:
        start: time at which it begins.
        end: time at which it ends.
        pitch: MIDI number.
    """

    start: Fraction
    end: Fraction
    pitch: int


@dataclass(frozen=True)
class MeterMark:
    """A time signature of a part.

    Attributes:
        start: time at which it stands.
        signature: None where the metre ends, as in `M:none`.
    """

    start: Fraction
    signature: Signature | None


@dataclass(frozen=True)
class KeyMark:
    """A key signature of a part.

    Attributes:
        start: time at which it stands.
        key: tonic and mode, None if the file does not name both.
        fifths: sharps of the signature, None if words name the key.
    """

    start: Fraction
    key: Key | None = None
    fifths: int | None = None


@dataclass(frozen=True)
class ChordMark:
    """A chord symbol above a part.

    Attributes:
        start: time at which it stands.
        word: as `envs.music.chords.SYMBOL` has it, or as the file does if it is another.
    """

    start: Fraction
    word: str


Mark = MeterMark | KeyMark | ChordMark


@dataclass
class Part:
    """A staff, a MIDI track or a voice of ABC.

    Attributes:
        voices: lines of notes in order of time; notes of one start are a chord. Ties are joined;
            grace notes, cue notes and percussion are left out.
        name: as the file has it, which may be anything.
        measures: as written, one behind the other; none if the format has no bar lines.
        meters: time signatures in order.
        keys: key signatures in order.
        chords: chord symbols in order.
    """

    voices: list[list[Sound]]
    name: str = ""
    measures: list[Measure] = field(default_factory=list)
    meters: list[MeterMark] = field(default_factory=list)
    keys: list[KeyMark] = field(default_factory=list)
    chords: list[ChordMark] = field(default_factory=list)


@dataclass
class Draft:
    """The parts of a file and what it says of itself; None where it says nothing.

    Attributes:
        parts: in the order of the file.
        title: as the file has it, which may be anything.
        tempo: quarter notes per minute.
        tick: within what distance a time counts as on the grid, for files that count in ticks;
            the ends of notes are rounded there, as programs cut notes short.
        end: time at which the piece ends, 0 if the file does not say; it may be silent before.
        moved: how far notes begin from where the file has them, at most.
        lost: number of notes left out, as they fit no cell of the grid.
        tunes: number of tunes in the file, one of which this is.
        notices: what a reader should know.
    """

    parts: list[Part]
    title: str = ""
    tempo: float | None = None
    tick: Fraction = Fraction(0)
    end: Fraction = Fraction(0)
    moved: Fraction = Fraction(0)
    lost: int = 0
    tunes: int = 1
    notices: list[str] = field(default_factory=list)
