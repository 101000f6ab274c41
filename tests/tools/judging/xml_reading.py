"""A plain reading of the elements of partwise MusicXML, with none of the project's code."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from fractions import Fraction
from typing import Any

Notes = list[tuple[Fraction, Fraction, int]]
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
QUARTER_TONE = 1000  # semitones that make a pitch equal to nothing


def xml_notes(
    root: ET.Element, part: int = 0, every: bool = False
) -> tuple[Notes, list[dict[str, Any]]]:
    """Notes of the first voice of a part, or of all its voices, and its measures as written.

    Grace, cue and hidden notes are left out, ties are joined, a chord is several notes.

    Args:
        root: of the document.
        part: from 0.
        every: True for all voices.
    """
    reading = _Reading(every)
    for measure in root.findall("part")[part]:
        reading.add(measure)
    return sorted(reading.notes), reading.measures


class _Reading:
    """A part up to some measure."""

    def __init__(self, every: bool) -> None:
        self.every = every
        self.notes: Notes = []
        self.measures: list[dict[str, Any]] = []
        self.ties: dict[tuple[str | None, int], int] = {}  # to the place of the note
        self.divisions, self.shift = 1, 0
        self.voice: str | None = None
        self.at = self.last = self.furthest = Fraction(0)
        self.meter: str | None = None
        self.key: str | None = None
        self.ending = ""

    def add(self, measure: ET.Element) -> None:
        begin = self.at = self.last = self.furthest
        for each in measure:
            length = Fraction(each.findtext("duration") or 0) / self.divisions
            if each.tag == "attributes":
                self.attributes(each)
            elif each.tag in ("backup", "forward"):
                self.at += length if each.tag == "forward" else -length
            elif each.tag == "note" and each.find("grace") is None:
                self.note(each, length)
            self.furthest = max(self.furthest, self.at)
        endings = measure.findall("barline/ending")
        starts = {each.get("number") or "" for each in endings if each.get("type") == "start"}
        self.ending = ",".join(sorted(starts)) or self.ending
        found = {"start": begin, "length": self.furthest - begin, "ending": self.ending}
        self.measures.append(found | {"meter": self.meter, "key": self.key})
        if any(each.get("type") != "start" for each in endings):
            self.ending = ""

    def attributes(self, each: ET.Element) -> None:
        self.divisions = int(each.findtext("divisions") or self.divisions)
        if each.find("transpose") is not None:
            octaves = int(each.findtext("transpose/octave-change") or 0)
            self.shift = int(each.findtext("transpose/chromatic") or 0) + 12 * octaves
        if each.find("key/fifths") is not None:
            self.key = f"{each.findtext('key/fifths')} {each.findtext('key/mode') or ''}"
        if each.find("time/beats") is not None:
            self.meter = f"{each.findtext('time/beats')}/{each.findtext('time/beat-type')}"

    def note(self, each: ET.Element, length: Fraction) -> None:
        start = self.last if each.find("chord") is not None else self.at
        if each.find("chord") is None:
            self.last, self.at = self.at, self.at + length
        voice, pitch = each.findtext("voice"), each.find("pitch")
        self.voice = self.voice or voice
        hidden = each.find("cue") is not None or each.get("print-object") == "no"
        if pitch is None or hidden or (voice != self.voice and not self.every):
            return
        alter = Fraction(pitch.findtext("alter") or 0)
        midi = 12 * (int(pitch.findtext("octave") or 0) + 1) + self.shift + int(alter)
        midi += STEPS[pitch.findtext("step") or ""] + (QUARTER_TONE if alter % 1 else 0)
        # Programs write no voice for the notes of a chord, and no end of a tie.
        index = self.ties.pop((voice, midi), None)
        if index is not None and sum(self.notes[index][:2]) == start:
            first, before, _ = self.notes[index]
            self.notes[index] = (first, before + length, midi)
        else:
            index = len(self.notes)
            self.notes.append((start, length, midi))
        marks = [*each.findall("tie"), *each.findall("notations/tied")]
        if any(mark.get("type") == "start" for mark in marks):
            self.ties[voice, midi] = index
