"""Numbers, keys, metres, chords, tempos and transpositions of MusicXML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from itertools import zip_longest

from envs.errors import RefusedError, quoted
from envs.music.key import MODE_FIFTHS, MODE_NAMES, Key
from envs.music.pitch import line_of_fifths_name
from envs.notation.reading.chord_marks import spelled_chord
from envs.notation.reading.draft import ChordMark, KeyMark
from envs.notation.reading.time_signatures import Signature

_SMALL = ("eighth", "16th", "32nd", "64th", "128th", "256th", "512th", "1024th")
TYPES = {"maxima": 32, "long": 16, "breve": 8, "whole": 4, "half": 2, "quarter": 1}
QUARTERS = {name: Fraction(length) for name, length in TYPES.items()} | {
    name: Fraction(1, 2 ** (place + 1)) for place, name in enumerate(_SMALL)
}
NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,9})?")


def number(text: str | None, what: str) -> Fraction:
    """Return a number of the file.

    Raises:
        RefusedError: it is none.
    """
    words = (text or "").strip()
    if not NUMBER.fullmatch(words):
        raise RefusedError(f"{what} is {quoted(words)}; expected a number: export it anew")
    return Fraction(words)


def whole(text: str | None, what: str) -> int:
    """Return a whole number of the file; RefusedError if it is none."""
    found = number(text, what)
    if found.denominator > 1:
        raise RefusedError(f"{what} is {quoted(text)}; expected a whole number")
    return int(found)


def transposition(element: ET.Element) -> tuple[int, int]:
    """Return by how many semitones, and sharps of its key, music sounds above what is written."""
    chromatic = whole(element.findtext("chromatic") or "0", "a transposition")
    diatonic = whole(element.findtext("diatonic") or "0", "a transposition")
    octaves = whole(element.findtext("octave-change") or "0", "a transposition")
    fifths = 7 * chromatic - 12 * diatonic
    if abs(fifths) > 12:  # the steps are not given
        fifths = (7 * chromatic + 6) % 12 - 6
    return chromatic + 12 * octaves, fifths


def key_mark(element: ET.Element, time: Fraction, shift: int) -> KeyMark:
    """Return the key that sounds.

    Args:
        element: of a key signature.
        time: at which it stands.
        shift: sharps that it sounds with beside those written.
    """
    if element.find("fifths") is None:
        return KeyMark(time)
    fifths = whole(element.findtext("fifths"), "the sharps of a key") + shift
    if abs(fifths) > 7:
        fifths -= 12 if fifths > 0 else -12
    mode = (element.findtext("mode") or "").strip().lower()
    mode = MODE_NAMES.get(mode, mode)
    place = MODE_FIFTHS.get("minor" if mode == "natural minor" else mode)
    if place is None or abs(fifths) > 7:
        return KeyMark(time, fifths=fifths)
    return KeyMark(time, Key(line_of_fifths_name(fifths + place), mode), fifths)


def signature(time: ET.Element) -> Signature | None:
    """Return a metre with its groups, None where it ends."""
    beats = [(each.text or "").strip() for each in time.findall("beats")]
    units = [(each.text or "").strip() for each in time.findall("beat-type")]
    if time.find("senza-misura") is not None or not (beats or units):
        return None
    pairs = zip_longest(beats, units, fillvalue="")
    return Signature.parse("+".join(f"{count}/{unit}" for count, unit in pairs))


def chord_mark(element: ET.Element, time: Fraction, divisions: Fraction, shift: int) -> ChordMark:
    """Return a chord symbol; its word is none that is read where the file has no plain chord.

    Args:
        element: harmony.
        time: at which it stands but for its own offset.
        divisions: of a quarter note.
        shift: semitones by which the part is transposed.
    """
    try:
        time += number(element.findtext("offset") or "0", "an offset") / divisions
        degrees = [
            (
                (each.findtext("degree-type") or "").strip(),
                whole(each.findtext("degree-value"), "a degree"),
                whole(each.findtext("degree-alter") or "0", "an alteration"),
            )
            for each in element.findall("degree")
        ]
        notes = [
            (
                (element.findtext(f"{name}/{name}-step") or "").strip(),
                whole(element.findtext(f"{name}/{name}-alter") or "0", "an alteration"),
            )
            for name in ("root", "bass")
        ]
    except RefusedError:
        return ChordMark(time, "harmony")
    kind = (element.findtext("kind") or "").strip()
    more = " and more" * (len(element.findall("root")) > 1) + " transposed" * (shift % 12 > 0)
    return ChordMark(time, spelled_chord(notes[0], kind, degrees, notes[1]) + more)


def per_minute(metronome: ET.Element) -> float | None:
    """Return quarter notes per minute, None if a mark names none."""
    unit = QUARTERS.get((metronome.findtext("beat-unit") or "").strip())
    figure = re.search(r"\d{1,4}(\.\d{1,4})?", metronome.findtext("per-minute") or "")
    if unit is None or not figure:
        return None
    dots = min(len(metronome.findall("beat-unit-dot")), 8)
    return float(unit * (2 - Fraction(1, 2**dots))) * float(figure[0]) or None
