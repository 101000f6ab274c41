"""The notes of one voice of an ABC tune, from the characters of its lines of music."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from fractions import Fraction

from envs.errors import RefusedError, quoted
from envs.music.pitch import LETTERS
from envs.notation.reading.abc_tune.endings import BarLines
from envs.notation.reading.abc_tune.fields import SIGNS, VoiceSettings
from envs.notation.reading.abc_tune.tokens import (
    DECORATIONS,
    MEANT,
    OLD_CHORD,
    PARTS,
    read_chord,
    read_length,
    read_tuplet,
    scan,
)
from envs.notation.reading.chord_marks import chord_word
from envs.notation.reading.draft import ChordMark, KeyMark, MeterMark, Part, Sound

CARRIED = (
    "an accidental changes the letter in other octaves too, to the end of its bar, as ABC 2.1 has "
    "it; '%%propagate-accidentals octave' says otherwise"
)
UNEVEN = "a < or > stands between unequal lengths, which ABC does not define: both are multiplied"
LED = "a tie leads into several endings: it is read into the first one only"
MOST_OVERLAYS = 15  # in a bar
ANY = 99  # stands for every octave
FINEST = 1 << 20  # of the denominators of times


class _Sounding:
    """A note whose end may still move."""

    def __init__(self, start: Fraction, end: Fraction, pitch: int) -> None:
        self.start, self.end, self.pitch = start, end, pitch


@dataclass
class _Event:
    """The last note, chord or rest: when it starts, its length, its notes with their lengths."""

    start: Fraction
    length: Fraction
    notes: list[tuple[str, int, _Sounding, Fraction]] = field(default_factory=list)


class Voice:
    """One voice: its settings, its clock, and the notes up to now.

    Args:
        name: of its V: field.
        settings: that hold at its beginning.
    """

    def __init__(self, name: str, settings: VoiceSettings) -> None:
        self.name, self.settings = name, replace(settings, left_out=[])
        self.time = self.latest = Fraction(0)
        self.lines: list[list[_Sounding]] = [[]]
        self.line = 0
        self.bars = BarLines()
        self.meters: list[MeterMark] = []
        self.keys: list[KeyMark] = []
        self.chords: list[ChordMark] = []
        self.altered: dict[tuple[str, int], int] = {}  # by accidentals earlier in the bar
        self.ties: dict[int, dict[tuple[str, int], _Sounding]] = {}
        self.event: _Event | None = None
        self.broken: _Event | None = None  # the note before a broken rhythm
        self.after: str = ""  # the kind of the last token that is no space or text
        self.factor = Fraction(1)  # of the next note, by a broken rhythm
        self.tuplet, self.left = Fraction(1), 0
        self.unknown: set[str] = set()  # characters that are left out
        self.told: dict[str, None] = {}  # sentences about doubtful readings
        self.leads = False  # a tie leads into the first of several endings
        self._mark_settings("KM")

    # -- a line of music ---------------------------------------------------------------------------

    def read(self, line: str, field: Callable[[str, str], Voice], bangs: bool) -> Voice:
        """Read a line of music; return the voice that its last notes are of.

        Args:
            line: without the spaces around it.
            field: takes a field within the line, and returns the voice that goes on.
            bangs: True if a ! is a line break and never begins a decoration.

        Raises:
            RefusedError: a character that is no ABC, or notes that cannot be read right.
        """
        voice = self
        for kind, text in scan(line, bangs):
            if kind == "field":
                voice = field(text[1], text[3:-1])
            else:
                voice._token(kind, text)
        return voice

    def _token(self, kind: str, text: str) -> None:
        handler, match = _HANDLERS.get(kind), PARTS[kind].match(text)
        if handler is not None and match is not None:
            handler(self, match)
        if kind not in ("space", "text", "mark", "plus", "tie"):
            self.after = kind

    # -- notes and rests ---------------------------------------------------------------------------

    def _note(self, found: re.Match[str]) -> None:
        sign, letter, marks, *length = found.groups()
        length_of = self._length(*length)
        self._sound([(sign, letter, marks, length_of)], length_of)

    def _rest(self, found: re.Match[str]) -> None:
        self._sound([], self._length(*found.groups()))

    def _chord(self, found: re.Match[str]) -> None:
        outer = self._length(*found.groups()[1:])
        notes = [(*each[:3], each[3] * outer) for each in read_chord(found[1])]
        tied = {_name(*each[1:3]) for each in read_chord(found[1]) if each[4]}
        self._sound([each for each in notes if each[1]], notes[0][3], tied)

    def _length(self, *written: str) -> Fraction:
        """Return a written length in quarter notes."""
        return read_length(*written) * self.settings.unit

    def _sound(
        self,
        notes: list[tuple[str, str, str, Fraction]],
        length: Fraction,
        tied: Collection[tuple[str, int]] = (),
    ) -> None:
        """Take a note, a chord or, without notes, a rest."""
        factor, self.factor = self.factor, Fraction(1)
        tuplet = self.tuplet if self.left else Fraction(1)
        self.left -= self.left > 0
        if self.broken and factor != 1 and self.broken.length != _times(length, tuplet):
            self.told[UNEVEN] = None
        factor *= tuplet
        event = _Event(self.time, _times(length, factor))
        ties = self.ties.pop(self.line, {})
        for sign, letter, marks, own in notes:
            name = _name(letter, marks)
            pitch, joined = self._pitch(sign, *name, ties)
            if any(each[2].pitch == pitch for each in event.notes):
                continue  # a unison
            own = _times(own, factor)
            end = self.time + own
            sounding = joined or _Sounding(self.time, end, pitch)
            sounding.end = end
            event.notes.append((*name, sounding, own))
            if joined is None:
                self.lines[self.line].append(sounding)
        self.event, self.time = event, self.time + event.length
        if self.time.denominator > FINEST:
            raise RefusedError(
                "its lengths have no common measure; expected fractions of few kinds"
            )
        if tied:
            self._bind([each for each in event.notes if each[:2] in tied])

    def _pitch(
        self, sign: str, letter: str, place: int, ties: dict[tuple[str, int], _Sounding]
    ) -> tuple[int, _Sounding | None]:
        """Return the pitch of a note, and the note that a tie joins it to."""
        settings = self.settings
        before = ties.get((letter, place))
        if before is not None and not sign:
            return before.pitch, before  # its accidental holds for the tied note alone
        scope, everywhere = (letter, place), (letter, ANY)
        if settings.propagate == "octave":
            everywhere = scope
        plain = settings.signs[letter]
        alteration = SIGNS[sign] if sign else self.altered.get(everywhere, plain)
        if sign and settings.propagate != "not":
            self.altered[scope] = self.altered[everywhere] = alteration
        elif not settings.propagate and alteration != self.altered.get(scope, plain):
            self.told[CARRIED] = None
        octave = place + settings.octave + settings.clef
        pitch = 60 + 12 * octave + LETTERS[letter] + alteration + settings.transpose
        if not 0 <= pitch <= 127:
            raise RefusedError("a note is beyond C-1 to G9")
        return pitch, next((each for each in ties.values() if each.pitch == pitch), None)

    def _tie(self, found: re.Match[str]) -> None:
        # Behind a grace note a tie belongs to nothing.
        event = self.broken if self.after == "broken" else self.event
        if event is not None and self.after in ("note", "chord", "bar", "broken"):
            self._bind(event.notes)

    def _bind(self, notes: list[tuple[str, int, _Sounding, Fraction]]) -> None:
        ties = self.ties.setdefault(self.line, {})
        ties |= {(letter, place): sounding for letter, place, sounding, _ in notes}

    # -- rhythm ------------------------------------------------------------------------------------

    def _broken(self, found: re.Match[str]) -> None:
        short = Fraction(1, 1 << len(found[0]))
        first, second = (2 - short, short) if found[0][0] == ">" else (short, 2 - short)
        if self.event is None or self.factor != 1 or len(found[0]) > 3:
            raise RefusedError(f"{quoted(found[0])} stands behind no note; take it out")
        event, self.factor = self.event, second
        self.time = event.start + event.length * first
        for _, _, sounding, length in event.notes:
            sounding.end = event.start + length * first
        self.broken, self.event = event, None  # what follows makes another note longer

    def _tuplet(self, found: re.Match[str]) -> None:
        if self.left:
            raise RefusedError("a tuplet begins within another one; write out their lengths")
        meter = self.settings.meter
        beats = int(meter.plain.split("/")[0]) if meter else 0
        self.tuplet, self.left = read_tuplet(found, compound=beats > 3 and beats % 3 == 0)

    # -- bars --------------------------------------------------------------------------------------

    def _rests(self, found: re.Match[str]) -> None:
        meter, count = self.settings.meter, int(found[1] or 1) if len(found[1]) < 6 else 0
        if meter is None:
            raise RefusedError("it has rests of whole bars but no metre; expected an M: field")
        if not count:
            raise RefusedError(f"{quoted(found[0])} is no rest of bars; expected such as Z4")
        for number in range(count):
            if number:
                self._end_bar("|")
            self.time += meter.bar
        self.event = None
        self.ties.pop(self.line, None)

    def _bar(self, found: re.Match[str]) -> None:
        self._end_bar(found[0].lstrip("."))

    def _end_bar(self, sign: str) -> None:
        self.time = self.latest = max(self.time, self.latest)
        self.line, self.altered = 0, {}
        self.bars.cut(self.time, sign)

    def _ending(self, found: re.Match[str]) -> None:
        if self.bars.begin_ending(self.time, found[0].strip('["')):
            if self.leads:
                self.told[LED] = None
            self.ties.clear()  # no note of the ending before sounds on
        else:
            self.leads = any(self.ties.values())

    def _number(self, found: re.Match[str]) -> None:
        if self.after != "bar":
            raise RefusedError(f"the number {found[0]} belongs to no note and no ending")
        self._ending(found)

    def _overlay(self, found: re.Match[str]) -> None:
        if found[0] != "&" or self.line >= MOST_OVERLAYS:
            raise RefusedError(f"{found[0]!r} is not read; expected a V: field for each voice")
        self.latest = max(self.latest, self.time)
        self.time, self.line = self.bars.start, self.line + 1
        if self.line == len(self.lines):
            self.lines.append([])
        self.altered, self.event, self.left = {}, None, 0

    # -- what changes nothing ----------------------------------------------------------------------

    def _mark(self, found: re.Match[str]) -> None:
        self.unknown |= set(found[0]) - set(MEANT)

    def _text(self, found: re.Match[str]) -> None:
        word = chord_word(found[0][1:-1]) if found[0][0] == '"' else ""
        if word and not (self.chords and self.chords[-1].start == self.time):
            moved = f"{word} transposed" if self.settings.transpose else word
            self.chords.append(ChordMark(self.time, moved))

    def _plus(self, found: re.Match[str]) -> None:
        if found[1].lower() not in DECORATIONS and OLD_CHORD.fullmatch(found[1]):
            raise RefusedError(f"{quoted(found[0])} is a chord of old ABC; write [{found[1]}]")

    # -- fields ------------------------------------------------------------------------------------

    def set(self, letter: str, value: str) -> None:
        """Take the value of a K:, L: or M: field, which holds from here."""
        if self.settings.read(letter, value):
            self._mark_settings(letter)

    def _mark_settings(self, letters: str) -> None:
        """Note the key and the metre of the settings, which hold from here."""
        if "K" in letters:
            self.altered = {}
            key, fifths = self.settings.sounding_key
            while self.keys and self.keys[-1].start >= self.time:
                self.keys.pop()
            self.keys.append(KeyMark(self.time, key, fifths))
        if "M" in letters and self.settings.metered:
            while self.meters and self.meters[-1].start >= self.time:
                self.meters.pop()
            self.meters.append(MeterMark(self.time, self.settings.meter))

    # -- the whole ---------------------------------------------------------------------------------

    @property
    def has_music(self) -> bool:
        """True if it holds notes or rests."""
        return max(self.time, self.latest) > 0

    @property
    def part(self) -> Part:
        """The voice as a part of a draft, overlays as further voices."""
        self._end_bar("")
        if self.left or self.factor != 1:
            raise RefusedError("its last tuplet, < or > lacks a note; add it or take the sign out")
        voices = [[Sound(each.start, each.end, each.pitch) for each in line] for line in self.lines]
        return Part(voices, self.name, self.bars.measures, self.meters, self.keys, self.chords)


def _times(length: Fraction, factor: Fraction) -> Fraction:
    return length if factor == 1 else length * factor


def _name(letter: str, marks: str) -> tuple[str, int]:
    """Return the capital letter of a note and its octaves above middle C's."""
    return letter.upper(), marks.count("'") - marks.count(",") + letter.islower()


_HANDLERS: dict[str, Callable[[Voice, re.Match[str]], None]] = {
    "named": Voice._ending,
    "ending": Voice._ending,
    "bar": Voice._bar,
    "chord": Voice._chord,
    "note": Voice._note,
    "rest": Voice._rest,
    "rests": Voice._rests,
    "number": Voice._number,
    "tuplet": Voice._tuplet,
    "overlay": Voice._overlay,
    "tie": Voice._tie,
    "broken": Voice._broken,
    "text": Voice._text,
    "plus": Voice._plus,
    "mark": Voice._mark,
    "stray": Voice._mark,
}
