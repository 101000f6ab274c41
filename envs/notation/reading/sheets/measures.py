"""Measures of MusicXML: notes and rests with exact times, metres, keys, tempo and bar lines."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from envs.errors import RefusedError, quoted
from envs.music.pitch import LETTERS
from envs.notation.reading.bars import ZERO
from envs.notation.reading.draft import Mark, MeterMark
from envs.notation.reading.sheets.attributes import (
    NUMBER,
    QUARTERS,
    chord_mark,
    key_mark,
    number,
    per_minute,
    signature,
    transposition,
    whole,
)

PARTS = 32 * 9 * 5 * 7 * 11 * 13  # of a quarter note that notes and tuplets are whole numbers of
PLAIN = ("regular", "none", "dotted", "dashed")  # bar lines that begin no section


@dataclass
class Item:
    """A note or rest of a measure; times in quarter notes from the beginning of the measure.

    Attributes:
        start: time at which it begins.
        end: time at which it ends.
        pitch: MIDI number, None for what is not read as a note.
        voice: label of its voice.
        staff: label of its staff.
        is_rest: True for a rest, cue note or skipped time.
        fills: it is a rest that stands for a measure of any length.
        chord: it begins with the note before it.
        hidden: it is not printed.
        tied: to the next note of its pitch.
        ends_tie: it is tied to a note before it.
    """

    start: Fraction
    end: Fraction
    pitch: int | None
    voice: str
    staff: str
    is_rest: bool = False
    fills: bool = False
    chord: bool = False
    hidden: bool = False
    tied: bool = False
    ends_tie: bool = False


@dataclass
class Contents:
    """One measure of a part; times in quarter notes from its beginning.

    Attributes:
        number: as printed, None if there is none.
        implicit: its number is not printed, as of an upbeat.
        items: notes and rests in the order of the file.
        marks: metres, keys and chord symbols with the staff they are for, "" for all.
        tempos: times and quarter notes per minute.
        opens: a repeat sign or double bar is at its left.
        closes: a repeat sign or double bar is at its right.
        ending: number of the ending that begins, "" if none does.
        ends: an ending ends with it.
        unread: kinds of notes that are left out.
    """

    number: int | None
    implicit: bool
    items: list[Item] = field(default_factory=list)
    marks: list[tuple[str, Mark]] = field(default_factory=list)
    tempos: list[tuple[Fraction, float]] = field(default_factory=list)
    opens: bool = False
    closes: bool = False
    ending: str = ""
    ends: bool = False
    unread: set[str] = field(default_factory=set)


def bars(measures: Iterable[ET.Element]) -> list[Contents]:
    """Return the bars of a part.

    Raises:
        RefusedError: a number is none, a pitch is no pitch, or a metre no metre.
    """
    part = _Part()
    before: list[Contents] = []
    for measure in measures:
        before.append(part.read(measure))
        for staff, count in part.repeated.items():
            _repeat(before, staff, count)
    return before


def _repeat(found: Sequence[Contents], staff: str, count: int) -> None:
    """Fill the last bar as the sign % has it: with the notes of the bar before it, or of another.

    Args:
        found: the bars; those written out stay.
        staff: label of the one that the sign is for, "" for all.
        count: of bars that the sign repeats, 0 if it repeats beats.
    """
    bar = found[-1]
    own = [item for item in bar.items if staff in ("", item.staff)]
    if any(item.pitch is not None for item in own):
        return
    if not 0 < count < len(found):
        raise RefusedError(f"bar {bar.number} has a sign for what stands before; write out notes")
    again = [replace(item) for item in found[-1 - count].items if staff in ("", item.staff)]
    bar.items = [item for item in bar.items if item not in own] + again


class _Part:
    """Divisions, transposition and place of a part while its measures are read."""

    def __init__(self) -> None:
        self.divisions = Fraction(1)
        self.shifts: dict[str, tuple[int, int]] = {}  # semitones and fifths of each staff
        self.drums: set[str] = set()
        self.repeated: dict[str, int] = {}  # bars that a sign stands for in each staff
        self.number: int | None = None
        self.bar = Contents(None, False)
        self.raw = self.now = ZERO  # as the durations of the file add up, and exactly
        self.last = (ZERO, ZERO)  # start and end of the note before
        self.places, self.order = {ZERO: ZERO}, [ZERO]  # the latter in order of time
        self.layer = 1

    def read(self, measure: ET.Element) -> Contents:
        printed = re.match(r"\d{1,6}", measure.get("number", "").strip())
        if printed:
            self.number = int(printed[0])
        elif measure.get("number", "").strip():  # such as X1, which counts with the one before
            self.number = self.number or 0
        implicit = measure.get("implicit") == "yes"
        has_number = bool(measure.get("number", "").strip())
        self.bar = Contents(self.number if has_number else None, implicit)
        self.raw = self.now = ZERO
        self.last = (ZERO, ZERO)
        self.places, self.order = {ZERO: ZERO}, [ZERO]
        self.layer = 1
        for element in measure:
            getattr(self, f"_{element.tag}")(element)
        self._leave_hidden()
        return self.bar

    def _leave_hidden(self) -> None:
        """Leave out notes that are not printed beside others: they tell how to play those."""
        items = [item for item in self.bar.items if item.pitch is not None]
        shown = {item.staff for item in items if not item.hidden}
        for item in items:
            if item.hidden and item.staff in shown:
                item.pitch = None
                self.bar.unread.add("notes that are not printed")

    # -- time --------------------------------------------------------------------------------------

    def _lengths(self, element: ET.Element) -> tuple[Fraction, Fraction]:
        """Return the length of an element as its duration says, and exactly.

        Durations are rounded where a note is not whole divisions; its type, dots and tuplet are
        exact.
        """
        written = self._written(element)
        if written is not None and element.find("duration") is None:
            return written, written
        raw = number(element.findtext("duration"), "a duration") / self.divisions
        if raw < 0:
            raise RefusedError("a duration is below 0; export it anew")
        if written is not None and abs(raw - written) * self.divisions < 1:
            # Without a tuplet far from its type it may be a note of one that is not said.
            tuplet = element.find("time-modification") is not None
            if tuplet or not raw or abs(raw - written) * 10 < written:
                return raw, written
        return raw, self._restored(raw)

    def _written(self, note: ET.Element) -> Fraction | None:
        """Return the length that the type, dots and tuplet of a note say, None without a type."""
        length = QUARTERS.get((note.findtext("type") or "").strip())
        if length is None:
            return None
        length *= 2 - Fraction(1, 2 ** min(len(note.findall("dot")), 8))
        tuplet = note.find("time-modification")
        if tuplet is None:
            return length
        actual = whole(tuplet.findtext("actual-notes"), "the notes of a tuplet")
        normal = whole(tuplet.findtext("normal-notes"), "the notes of a tuplet")
        return length * normal / actual if actual > 0 and normal > 0 else None

    def _restored(self, raw: Fraction) -> Fraction:
        """Return a time, as that of a triplet near it if it is none of notes."""
        near = Fraction(round(raw * 24), 24)
        if PARTS % raw.denominator and abs(raw - near) * self.divisions < 1:
            return near
        return raw

    def _backup(self, element: ET.Element) -> None:
        self.raw -= number(element.findtext("duration"), "a duration") / self.divisions
        # Rounded durations add up to a little less or more.
        if -self.raw * self.divisions > len(self.bar.items):
            raise RefusedError(f"bar {self.bar.number} backs up before its beginning")
        self.layer += 1
        self._go(max(self.raw, ZERO))

    def _go(self, raw: Fraction) -> None:
        """Go back to a time of the file: that of a note that begins or ends there if one does."""
        at = bisect_right(self.order, raw)
        before, *near = self.order[at - 1 : at + 1]
        close = min((before, *near), key=lambda place: abs(place - raw))
        if abs(close - raw) * self.divisions < 1:
            self.raw, self.now = close, self.places[close]
        else:
            self.raw, self.now = raw, self.places[before] + self._restored(raw - before)

    def _forward(self, element: ET.Element) -> None:
        raw, length = self._lengths(element)
        voice = (element.findtext("voice") or "").strip() or "forward"
        end = self.places.get(self.raw + raw, self.now + length)
        self.bar.items.append(Item(self.now, end, None, voice, self._staff(element), is_rest=True))
        self._move(raw, end)

    def _move(self, raw: Fraction, end: Fraction) -> None:
        self.last = (self.now, end)
        self.raw, self.now = self.raw + raw, end
        if self.raw not in self.places:
            self.places[self.raw] = self.now
            insort(self.order, self.raw)

    # -- notes -------------------------------------------------------------------------------------

    def _note(self, note: ET.Element) -> None:
        if note.find("grace") is not None:
            return
        raw, length = self._lengths(note)
        chord = note.find("chord") is not None
        start, end = self.last if chord else (self.now, self.now + length)
        end = min(end, start + length)
        rest = note.find("rest")
        voice = (note.findtext("voice") or "").strip()
        if not voice:
            voice = self.bar.items[-1].voice if chord and self.bar.items else str(self.layer)
        item = Item(start, end, None, voice, self._staff(note), chord=chord)
        item.is_rest = rest is not None or note.find("cue") is not None
        item.fills = rest is not None and rest.get("measure") == "yes"
        if not item.is_rest:
            item.pitch = self._pitch(note, item.staff)
            item.hidden = note.get("print-object") == "no"
            ties = note.findall("tie") or note.findall("notations/tied")
            item.tied = any(each.get("type") == "start" for each in ties)
            item.ends_tie = any(each.get("type") == "stop" for each in ties)
        self.bar.items.append(item)
        if not chord:
            self._move(raw, item.end)

    def _staff(self, element: ET.Element) -> str:
        return (element.findtext("staff") or "").strip() or "1"

    def _pitch(self, note: ET.Element, staff: str) -> int | None:
        """Return the pitch that sounds, None for one that is not read."""
        pitch = note.find("pitch")
        if pitch is None or staff in self.drums:
            return None
        if (note.findtext("notehead") or "").strip() == "slash":
            self.bar.unread.add("slashes for rhythm")
            return None
        step = (pitch.findtext("step") or "").strip()
        if step not in LETTERS:
            raise RefusedError(f"a note is {quoted(step)}; expected A to G")
        alter = number(pitch.findtext("alter") or "0", "an alteration")
        if alter.denominator > 1:
            raise RefusedError(
                f"bar {self.bar.number} has a quarter tone; expected whole semitones"
            )
        octave = whole(pitch.findtext("octave"), "an octave")
        found = 12 * (octave + 1) + LETTERS[step] + int(alter) + self._shift(staff)[0]
        if not 0 <= found <= 127:
            raise RefusedError(f"a note of bar {self.bar.number} is beyond C-1 to G9")
        return found

    # -- what stands beside the notes --------------------------------------------------------------

    def _attributes(self, element: ET.Element) -> None:
        divisions = element.find("divisions")
        if divisions is not None:
            self.divisions = number(divisions.text, "the divisions of a quarter note")
            if self.divisions <= 0:
                raise RefusedError(
                    f"the divisions of a quarter note are {quoted(divisions.text)}; expected 1 or "
                    "more: export it anew"
                )
        for each in element.findall("transpose"):
            self.shifts[each.get("number", "")] = transposition(each)
        for clef in element.findall("clef"):
            drums = (clef.findtext("sign") or "").strip() == "percussion"
            (self.drums.add if drums else self.drums.discard)(clef.get("number", "1"))
        for style in element.findall("measure-style"):
            for sign in style:
                self.repeated.pop(style.get("number", ""), None)
                if sign.get("type") == "start":
                    bars = whole(sign.text, "a sign of repeat") if sign.tag[0] == "m" else 0
                    self.repeated[style.get("number", "")] = bars
        for key in element.findall("key"):
            mark = key_mark(key, self.now, self._shift(key.get("number", "1"))[1])
            self.bar.marks.append((key.get("number", ""), mark))
        for time in element.findall("time"):
            self.bar.marks.append((time.get("number", ""), MeterMark(self.now, signature(time))))

    def _harmony(self, element: ET.Element) -> None:
        shift = self._shift("1")[0]
        self.bar.marks.append(("", chord_mark(element, self.now, self.divisions, shift)))

    def _shift(self, staff: str) -> tuple[int, int]:
        return self.shifts.get(staff, self.shifts.get("", (0, 0)))

    def _barline(self, element: ET.Element) -> None:
        style = (element.findtext("bar-style") or "regular").strip()
        place = element.get("location", "right")
        if style not in PLAIN or element.find("repeat") is not None:
            self.bar.opens |= place == "left"
            self.bar.closes |= place == "right"
        ending = element.find("ending")
        if ending is not None and ending.get("type") == "start":
            self.bar.ending = ending.get("number", "").strip() or "?"
        elif ending is not None:
            self.bar.ends = True

    def _direction(self, element: ET.Element) -> None:
        metronome = element.find("direction-type/metronome")
        found = per_minute(metronome) if metronome is not None else None
        if found:
            self.bar.tempos.append((self.now, found))
        else:
            for sound in element.findall("sound"):
                self._sound(sound)

    def _sound(self, element: ET.Element) -> None:
        words = element.get("tempo", "").strip()
        if NUMBER.fullmatch(words) and float(words) > 0:
            self.bar.tempos.append((self.now, float(words)))
