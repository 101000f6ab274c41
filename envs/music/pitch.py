"""Names of pitches and intervals.

Pitches are MIDI numbers (middle C, C4, is 60); pitch classes count semitones above C.
"""

from __future__ import annotations

import re

from envs.errors import quoted

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "##": 2, "b": -1, "bb": -2, "♯": 1, "♭": -1}
INTERVAL_NAMES = (
    "unison",
    "minor second",
    "major second",
    "minor third",
    "major third",
    "fourth",
    "tritone",
    "fifth",
    "minor sixth",
    "major sixth",
    "minor seventh",
    "major seventh",
    "octave",
)
_NOTE = re.compile(r"([A-Ga-g])(##|bb|#|b|♯|♭)?(-?\d{1,4})")
# Ranges of the voices of a choir (Kostka and Payne, Tonal Harmony, ch. 5; the soprano to A5).
CHOIR = {"S": ("C4", "A5"), "A": ("G3", "D5"), "T": ("C3", "A4"), "B": ("E2", "D4")}
FIFTHS = "FCGDAEB"  # the letters in order of fifths, the order in which sharps are added


def parse_pitch(name: str | int) -> int:
    """Return the MIDI number of a note name such as 'C4', 'F#3' or 'Bb5', or of a number.

    Raises:
        ValueError: not a note name, or outside MIDI 0..127.
        TypeError: neither a name nor a whole number.
    """
    if isinstance(name, str):
        match = _NOTE.fullmatch(name.strip())
        if match is None:
            raise ValueError(
                f"{quoted(name)} is not a pitch; expected a note and octave such as 'C4'"
            )
        letter, accidental, octave = match.groups()
        pitch = 12 * (int(octave) + 1) + LETTERS[letter.upper()] + ACCIDENTALS[accidental or ""]
    elif isinstance(name, bool) or not hasattr(name, "__index__"):
        raise TypeError(f"a pitch is a name such as 'C4' or a MIDI number, got {quoted(name)}")
    else:
        pitch = name.__index__()
    if not 0 <= pitch <= 127:
        raise ValueError(f"pitch {quoted(name)} is MIDI {pitch}; expected 0..127 (C-1 to G9)")
    return pitch


def parse_range(text: str) -> tuple[int, int]:
    """Return the lowest and the highest MIDI pitch of a range such as 'C3-B5'."""
    low, dash, high = text.strip().rpartition("-")
    if not dash:
        raise ValueError(f"{quoted(text)} is not a range; expected lowest-highest, such as 'C3-B5'")
    return parse_pitch(low), parse_pitch(high)


def parse_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Return the lowest and the highest MIDI pitch of each voice, the highest voice first.

    Args:
        text: a range for each voice, 'C4-A5 E2-D4', or voices of a choir by their letters, 'SATB'.

    Raises:
        ValueError: no such ranges.
    """
    if re.fullmatch(f"[{''.join(CHOIR)}]+", text):
        return tuple(
            (parse_pitch(low), parse_pitch(high)) for low, high in map(CHOIR.__getitem__, text)
        )
    return tuple(map(parse_range, re.split(r"[,\s]+", text)))


def line_of_fifths_name(fifths: int) -> str:
    """Return letter and accidentals at a place on the line of fifths (F = -1, C = 0, G = 1)."""
    count, index = divmod(fifths + 1, 7)
    return FIFTHS[index] + ("#" * count if count >= 0 else "b" * -count)


def interval_name(semitones: int) -> str:
    """Return the name of an interval: 'major third' for 4 or -4, 'octave and a fifth' for 19."""
    size = abs(int(semitones))
    if size <= 12:
        return INTERVAL_NAMES[size]
    octaves, rest = divmod(size, 12)
    plus = f" and a {INTERVAL_NAMES[rest]}" if rest else ""
    return ("octave" if octaves == 1 else f"{octaves} octaves") + plus
