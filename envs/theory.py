"""Facts of music theory: note names, keys and scales, metres, interval names, spelling.

Pitches are MIDI numbers (middle C, C4, is 60); pitch classes count semitones above C.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "##": 2, "b": -1, "bb": -2, "♯": 1, "♭": -1}

# Semitones above the tonic.
SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
}

# Where a mode's tonic lies on the line of fifths, seen from its relative major.
MODE_FIFTHS = {
    "lydian": -1,
    "major": 0,
    "mixolydian": 1,
    "dorian": 2,
    "minor": 3,
    "phrygian": 4,
    "locrian": 5,
}

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

_NOTE = re.compile(r"([A-Ga-g])(##|bb|#|b|♯|♭)?(-?\d+)")
_FIFTHS_ORDER = "FCGDAEB"


def did_you_mean(word: str, known: object) -> str:
    """' Did you mean ...?' for the nearest of `known` (any iterable of words), else ''."""
    near = difflib.get_close_matches(word, list(known), n=1)  # type: ignore[call-overload]
    return f" Did you mean {near[0]!r}?" if near else ""


def parse_pitch(name: str | int) -> int:
    """MIDI number of a note name such as 'C4', 'F#3' or 'Bb5'; a number passes through.

    Raises:
        ValueError: not a note name, or outside MIDI 0..127.
    """
    if isinstance(name, str):
        match = _NOTE.fullmatch(name.strip())
        if match is None:
            raise ValueError(f"{name!r} is not a pitch; expected a note and octave such as 'C4'")
        letter, accidental, octave = match.groups()
        pitch = 12 * (int(octave) + 1) + LETTERS[letter.upper()] + ACCIDENTALS[accidental or ""]
    elif isinstance(name, bool) or not hasattr(name, "__index__"):
        raise TypeError(f"a pitch is a name such as 'C4' or a MIDI number, got {name!r}")
    else:
        pitch = name.__index__()
    if not 0 <= pitch <= 127:
        raise ValueError(f"pitch {name!r} is MIDI {pitch}; expected 0..127 (C-1 to G9)")
    return pitch


def parse_range(text: str) -> tuple[int, int]:
    """Lowest and highest MIDI pitch of a range such as 'C3-B5'."""
    low, dash, high = text.strip().rpartition("-")
    if not dash:
        raise ValueError(f"{text!r} is not a range; expected lowest-highest, such as 'C3-B5'")
    return parse_pitch(low), parse_pitch(high)


def line_of_fifths_name(fifths: int) -> str:
    """Letter and accidentals at a place on the line of fifths (F = -1, C = 0, G = 1)."""
    count, index = divmod(fifths + 1, 7)
    return _FIFTHS_ORDER[index] + ("#" * count if count >= 0 else "b" * -count)


@dataclass(frozen=True)
class Key:
    """A tonic and a mode. `Key.parse('F# dorian')`, `Key.parse('C major')`."""

    tonic: str
    mode: str = "major"

    @staticmethod
    def parse(text: str | Key) -> Key:
        """Read 'C', 'A minor', 'F# dorian'.

        Raises:
            ValueError: unknown tonic or mode.
        """
        if isinstance(text, Key):
            return text
        if not isinstance(text, str):
            raise TypeError(f"key {text!r}: expected words such as 'C major'")
        tonic, _, mode = text.strip().partition(" ")
        mode = mode.strip().lower() or "major"
        tonic = tonic[:1].upper() + tonic[1:]
        if tonic[:1] not in LETTERS or tonic[1:] not in ("", "#", "b"):
            raise ValueError(f"key {text!r}: {tonic!r} is no tonic; expected such as 'C' or 'F#'")
        if mode not in SCALES:
            known = f"{did_you_mean(mode, SCALES)} Known: {', '.join(SCALES)}"
            raise ValueError(f"key {text!r}: unknown mode {mode!r}.{known}")
        return Key(tonic, mode)

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"

    @cached_property
    def pitch_class(self) -> int:
        """Pitch class of the tonic, C = 0."""
        return (LETTERS[self.tonic[0]] + ACCIDENTALS[self.tonic[1:]]) % 12

    @cached_property
    def pitch_classes(self) -> frozenset[int]:
        """Pitch classes of the scale."""
        return frozenset((self.pitch_class + step) % 12 for step in SCALES[self.mode])

    @cached_property
    def fifths(self) -> int:
        """Sharps (positive) or flats (negative) of the key signature."""
        letter = _FIFTHS_ORDER.index(self.tonic[0]) - 1
        return letter + 7 * ACCIDENTALS[self.tonic[1:]] - MODE_FIFTHS[self.mode]

    def spell(self, pitch: int) -> tuple[str, int]:
        """Name and octave of a MIDI pitch as written in this key, such as ('F#', 4).

        The twelve names are those from three fifths below to eight above the key signature's
        major tonic: in C major E flat and B flat, but F, C and G sharp.
        """
        # A fifth is 7 semitones, and 7 * 7 = 49 = 1 (mod 12), so 7 * pitch inverts it.
        place = (7 * pitch - (self.fifths - 3)) % 12 + self.fifths - 3
        name = line_of_fifths_name(place)
        shift = sum(ACCIDENTALS[a] for a in name[1:])
        return name, (pitch - shift) // 12 - 1

    def pitch_name(self, pitch: int) -> str:
        """'F#4' for MIDI 66 in C major."""
        name, octave = self.spell(int(pitch))
        return f"{name}{octave}"


@dataclass(frozen=True)
class Meter:
    """A time signature. Compound metres (6/8, 9/8, 12/8) have dotted beats."""

    numerator: int
    denominator: int

    @staticmethod
    def parse(text: str | Meter) -> Meter:
        """Read '4/4' or '6/8'.

        Raises:
            ValueError: not two numbers, or a denominator that is no power of two up to 16.
        """
        if isinstance(text, Meter):
            return text
        if not isinstance(text, str):
            raise TypeError(f"metre {text!r}: expected words such as '4/4'")
        match = re.fullmatch(r"\s*(\d{1,2})/(\d{1,2})\s*", text)
        meter = Meter(int(match[1]), int(match[2])) if match else None
        if meter is None or meter.numerator < 1 or meter.denominator not in (1, 2, 4, 8, 16):
            raise ValueError(f"metre {text!r}: expected beats/unit such as '4/4' or '6/8'")
        return meter

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"

    @property
    def compound(self) -> bool:
        """Whether beats are dotted: 6/8, 9/8, 12/8."""
        return self.denominator >= 8 and self.numerator > 3 and self.numerator % 3 == 0

    def bar_cells(self, grid: int) -> int:
        """Cells of one bar at `grid` cells per quarter note."""
        cells, rest = divmod(4 * grid * self.numerator, self.denominator)
        if rest:
            raise ValueError(f"a bar of {self} is no whole number of cells at {grid} per quarter")
        return cells

    def beat_cells(self, grid: int) -> int:
        """Whole cells in a beat (the dotted beat of a compound metre), at least one."""
        return max(1, 4 * grid * (3 if self.compound else 1) // self.denominator)


def interval_name(semitones: int) -> str:
    """'major third' for 4 or -4; larger ones count octaves."""
    size = abs(int(semitones))
    if size <= 12:
        return INTERVAL_NAMES[size]
    octaves, rest = divmod(size, 12)
    plus = f" and a {INTERVAL_NAMES[rest]}" if rest else ""
    return ("octave" if octaves == 1 else f"{octaves} octaves") + plus
