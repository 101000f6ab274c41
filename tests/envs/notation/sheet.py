"""MusicXML as it stands on paper: notes, full bars and accidentals, read element by element."""

import xml.etree.ElementTree as ET
from fractions import Fraction

from envs.music.piece import Piece

SIGNS = {"flat-flat": -2, "flat": -1, "natural": 0, "sharp": 1, "double-sharp": 2}
STEPS = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))
SHARPS = "FCGDAEB"


def read_sheet(document: str, piece: Piece) -> list[list[tuple[Fraction, Fraction, int]]]:
    """The notes of each part in cells; the bars must be full, tuplets closed and signs right."""
    parts = []
    for part in ET.fromstring(document).findall("part"):
        unit = Fraction(piece.grid, int(part.findtext(".//divisions")))
        now, notes, held = Fraction(0), [], None
        check_signs(part)
        for bar in part.findall("measure"):
            assert now in piece.task.bar_lines
            for note in bar.findall("note"):
                length = unit * int(note.findtext("duration"))
                ties = {tie.get("type") for tie in note.findall("tie")}
                pitch = sounding_pitch(note.find("pitch"))
                if "stop" in ties:
                    assert held == pitch
                    notes[-1] = (notes[-1][0], now + length, pitch)
                elif pitch is not None:
                    notes.append((now, now + length, pitch))
                held = pitch if "start" in ties else None
                now += length
        assert now == piece.task.cells
        assert held is None
        parts.append(notes)
    return parts


def sounding_pitch(pitch: ET.Element | None) -> int | None:
    """The MIDI number of a note, None of a rest."""
    if pitch is None:
        return None
    octave, alter = int(pitch.findtext("octave")), int(pitch.findtext("alter") or 0)
    return 12 * (octave + 1) + STEPS[pitch.findtext("step")] + alter


def check_signs(part: ET.Element) -> None:
    """Read every sign as players do: it holds to the end of the bar, for its place on the staff."""
    fifths = int(part.findtext(".//fifths"))
    signature = dict.fromkeys(SHARPS, 0)
    for step in SHARPS[:fifths] if fifths >= 0 else SHARPS[fifths:]:
        signature[step] = 1 if fifths > 0 else -1
    earlier: dict[tuple[str, str], int] = {}
    for bar in part.findall("measure"):
        read, held = {}, {}
        for note in bar.findall("note"):
            pitch, sign = note.find("pitch"), note.findtext("accidental")
            if pitch is None:
                continue
            step, alter = pitch.findtext("step"), int(pitch.findtext("alter") or 0)
            place = step, pitch.findtext("octave")
            if any(tie.get("type") == "stop" for tie in note.findall("tie")):
                assert sign is None, "a sign behind a tie"
                held[place] = alter
                continue
            if sign is None:
                assert read.get(place, signature[step]) == alter, "a sign is missing"
            else:
                assert SIGNS[sign] == alter
                assert place not in read or read[place] != alter, "a sign is repeated"
                around = [*read.items(), *held.items(), *earlier.items()]
                courtesy = any(other[0] == step and was != alter for other, was in around)
                assert courtesy or alter != signature[step], "a sign is needless"
            read[place] = alter
        earlier = held | read
