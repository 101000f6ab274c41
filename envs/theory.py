"""Facts of music theory: note names, keys and scales, metres, interval names, spelling.

Pitches are MIDI numbers (middle C, C4, is 60); pitch classes count semitones above C.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

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
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    # Sixth and seventh degree are raised on the way up and not on the way down: all belong.
    "melodic minor": (0, 2, 3, 5, 7, 8, 9, 10, 11),
    "major pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
}
MODE_NAMES = {  # other names that people use
    "ionian": "major",
    "aeolian": "minor",
    "natural minor": "minor",
    "pentatonic": "major pentatonic",
    "pentatonic major": "major pentatonic",
    "pentatonic minor": "minor pentatonic",
}

# Where a mode's tonic lies on the line of fifths, seen from the major key of its signature.
MODE_FIFTHS = {
    "lydian": -1,
    "major": 0,
    "mixolydian": 1,
    "dorian": 2,
    "minor": 3,
    "phrygian": 4,
    "locrian": 5,
}
# The mode whose signature another one borrows.
WRITTEN_MODE = {
    "harmonic minor": "minor",
    "melodic minor": "minor",
    "major pentatonic": "major",
    "minor pentatonic": "minor",
    "blues": "minor",
}
# How a bar of so many beats is grouped if nobody says otherwise.
GROUPS = {5: (3, 2), 7: (2, 2, 3), 8: (3, 3, 2), 10: (3, 3, 2, 2), 11: (3, 3, 3, 2)}
OFF_BEAT = 99  # level of a cell that no division of the bar into beats, halves and so on reaches

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
_FIFTHS_ORDER = "FCGDAEB"


DIGITS = 80  # of a whole number that is printed
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = DIGITS + 1


def quoted(value: object) -> str:
    """Somebody's input in a message: its repr, what is long or deep cut short."""
    if isinstance(value, int) and abs(value) >= 10**DIGITS:
        return f"a number of more than {DIGITS} digits"  # Python prints none of thousands
    return _short.repr(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' Did you mean ...?' for the nearest of `known`, else ''."""
    near = difflib.get_close_matches(word[:80], list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def parse_pitch(name: str | int) -> int:
    """MIDI number of a note name such as 'C4', 'F#3' or 'Bb5'; a number passes through.

    Raises:
        ValueError: not a note name, or outside MIDI 0..127.
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
    """Lowest and highest MIDI pitch of a range such as 'C3-B5'."""
    low, dash, high = text.strip().rpartition("-")
    if not dash:
        raise ValueError(f"{quoted(text)} is not a range; expected lowest-highest, such as 'C3-B5'")
    return parse_pitch(low), parse_pitch(high)


def line_of_fifths_name(fifths: int) -> str:
    """Letter and accidentals at a place on the line of fifths (F = -1, C = 0, G = 1)."""
    count, index = divmod(fifths + 1, 7)
    return _FIFTHS_ORDER[index] + ("#" * count if count >= 0 else "b" * -count)


@dataclass(frozen=True)
class Key:
    """A tonic and a mode. `Key.parse('F# dorian')`, `Key.parse('C 0,2,3,7,8')`.

    A scale of one's own is written as its semitones above the tonic.
    """

    tonic: str
    mode: str = "major"

    @staticmethod
    def parse(text: str | Key) -> Key:
        """Read 'C', 'A minor', 'F# dorian', 'D blues', 'C 0,2,3,7,8'.

        Raises:
            ValueError: unknown tonic or mode, or a scale of other numbers than 0..11.
        """
        if isinstance(text, Key):
            return text
        if not isinstance(text, str):
            raise TypeError(f"key {quoted(text)}: expected words such as 'C major'")
        tonic, _, mode = text.strip().partition(" ")
        mode = mode.strip().lower() or "major"
        tonic = tonic[:1].upper() + tonic[1:]
        if tonic[:1] not in LETTERS or tonic[1:] not in ("", "#", "b"):
            raise ValueError(
                f"key {quoted(text)}: {quoted(tonic)} is no tonic; expected such as 'C' or 'F#'"
            )
        mode = MODE_NAMES.get(mode, mode)
        if mode[:1].isdecimal():
            return Key(tonic, _read_scale(text, mode))
        if mode not in SCALES:
            near = did_you_mean(mode, [*SCALES, *MODE_NAMES])
            known = f"{near} Known: {', '.join(SCALES)}, or semitones such as 0,2,3,7,8"
            raise ValueError(f"key {quoted(text)}: unknown mode {quoted(mode)}.{known}")
        return Key(tonic, mode)

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"

    @cached_property
    def pitch_class(self) -> int:
        """Pitch class of the tonic, C = 0."""
        return (LETTERS[self.tonic[0]] + ACCIDENTALS[self.tonic[1:]]) % 12

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Semitones of the scale above the tonic."""
        if self.mode in SCALES:
            return SCALES[self.mode]
        return tuple(int(step) for step in self.mode.split(","))

    @cached_property
    def pitch_classes(self) -> frozenset[int]:
        """Pitch classes of the scale."""
        return frozenset((self.pitch_class + step) % 12 for step in self.steps)

    @cached_property
    def written_mode(self) -> str:
        """The mode whose key signature is written: one of the seven church modes."""
        if self.mode in MODE_FIFTHS:
            return self.mode
        if self.mode in WRITTEN_MODE:
            return WRITTEN_MODE[self.mode]
        return "minor" if 3 in self.steps and 4 not in self.steps else "major"

    @cached_property
    def home(self) -> int:
        """Pitch class of the major key that has the same signature."""
        return (7 * self.fifths) % 12

    @cached_property
    def fifths(self) -> int:
        """Sharps (positive) or flats (negative) of the key signature."""
        letter = _FIFTHS_ORDER.index(self.tonic[0]) - 1
        return letter + 7 * ACCIDENTALS[self.tonic[1:]] - MODE_FIFTHS[self.written_mode]

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


def _read_scale(text: str, numbers: str) -> str:
    """Semitones of a scale as the mode's name, '0,2,3,7,8'."""
    words = numbers.replace(",", " ").split()
    steps = [int(word) if re.fullmatch(r"[0-9]{1,2}", word) else -1 for word in words]
    if steps != sorted(set(steps)) or steps[0] != 0 or steps[-1] > 11 or len(steps) < 2:
        raise ValueError(
            f"key {quoted(text)}: a scale is its semitones above the tonic, rising from 0 to 11 "
            "at most, such as 0,2,3,7,8"
        )
    return ",".join(map(str, steps))


@dataclass(frozen=True)
class Meter:
    """A time signature. Compound metres (6/8, 9/8, 12/8) have dotted beats.

    Attributes:
        numerator: units of a bar.
        denominator: the unit, 1 / denominator of a whole note.
        groups: units of the bar's groups, such as (2, 2, 3); () where the beats are equal.
    """

    numerator: int
    denominator: int
    groups: tuple[int, ...] = ()

    @staticmethod
    def parse(text: str | Meter) -> Meter:
        """Read '4/4', '6/8', '7/8' or, with a grouping of one's own, '3+2+2/8'.

        Raises:
            ValueError: not two numbers, a denominator that is no power of two up to 16, or
                groups of one unit.
        """
        if isinstance(text, Meter):
            return text
        if not isinstance(text, str):
            raise TypeError(f"metre {quoted(text)}: expected words such as '4/4'")
        match = re.fullmatch(r"\s*(\d{1,2}(?:\+\d{1,2})*)/(\d{1,2})\s*", text)
        parts = [int(part) for part in match[1].split("+")] if match else [0]
        unit = int(match[2]) if match else 0
        if not 1 <= sum(parts) <= 99 or unit not in (1, 2, 4, 8, 16):
            raise ValueError(
                f"metre {quoted(text)}: expected beats/unit such as '4/4', '6/8', '2+2+3/8'"
            )
        if len(parts) == 1:
            irregular = unit >= 8 or sum(parts) in (5, 7)
            return Meter(parts[0], unit, GROUPS.get(parts[0], ()) if irregular else ())
        if min(parts) < 2:
            raise ValueError(f"metre {quoted(text)}: a group has at least 2 units")
        return Meter(sum(parts), unit, tuple(parts))

    def __str__(self) -> str:
        if not self.groups or self == Meter.parse(self.signature):
            return self.signature
        return f"{'+'.join(map(str, self.groups))}/{self.denominator}"

    @property
    def signature(self) -> str:
        """'7/8': the time signature without its groups."""
        return f"{self.numerator}/{self.denominator}"

    @property
    def compound(self) -> bool:
        """Whether beats are dotted: 6/8, 9/8, 12/8."""
        dotted = self.denominator >= 8 and self.numerator > 3 and self.numerator % 3 == 0
        return dotted and not self.groups

    def bar_cells(self, grid: int) -> int:
        """Cells of one bar at `grid` cells per quarter note."""
        cells, rest = divmod(4 * grid * self.numerator, self.denominator)
        if rest:
            raise ValueError(f"a bar of {self} is no whole number of cells at {grid} per quarter")
        return cells

    def beat_cells(self, grid: int) -> int:
        """Whole cells in a beat (the dotted beat of a compound metre), at least one."""
        return max(1, 4 * grid * (3 if self.compound else 1) // self.denominator)

    def factors(self, grid: int) -> tuple[int, ...]:
        """How a bar divides down to its beats, and dotted beats into three: 4/4 (2, 2)."""
        beats = self.numerator // 3 if self.compound else self.numerator
        compound = self.compound
        if self.bar_cells(grid) % (beats * (3 if compound else 1)):
            # The grid is too coarse for the beats: 6/8 on quarter notes reads as 3/4.
            beats, compound = Fraction(self.numerator, self.denominator).numerator, False
        halves = []
        while beats % 2 == 0:
            halves.append(2)
            beats //= 2
        return (*halves, *([beats] if beats > 1 else []), *([3] if compound else []))

    def levels(self, grid: int) -> tuple[int, ...]:
        """How strong each border between cells of a bar is: 0 the bar line, more is weaker.

        (bar_cells + 1,): both bar lines included. The metrical grid of Lerdahl and Jackendoff, A
        Generative Theory of Tonal Music (1983), ch. 4, counted from above.
        """
        return _levels(self, grid)

    def group_starts(self, grid: int) -> tuple[int, ...]:
        """Cells of the bar at which a beat begins, or a group of an irregular bar."""
        cells = self.bar_cells(grid)
        if not self.groups or cells % self.numerator:
            return tuple(range(0, cells, self.beat_cells(grid)))
        unit = cells // self.numerator
        return tuple(unit * sum(self.groups[:number]) for number in range(len(self.groups)))


@lru_cache(maxsize=64)
def _levels(meter: Meter, grid: int) -> tuple[int, ...]:
    cells = meter.bar_cells(grid)
    levels = [OFF_BEAT] * (cells + 1)
    levels[0] = levels[cells] = 0

    def divide(start: int, size: int, factors: tuple[int, ...], depth: int) -> None:
        parts = parts_of(size, factors)
        if not parts:
            return
        step = size // parts
        for place in range(start, start + size, step):
            levels[place] = min(levels[place], depth)
            divide(place, step, factors[1:], depth + 1)

    if meter.groups and cells % meter.numerator == 0:
        unit = cells // meter.numerator
        for start, units in zip(meter.group_starts(grid), meter.groups, strict=True):
            levels[start] = min(levels[start], 1)
            divide(start, units * unit, (units,), 2)
    else:
        divide(0, cells, meter.factors(grid), 1)
    return tuple(levels)


def parts_of(size: int, factors: Sequence[int]) -> int:
    """Into how many parts a stretch of the bar falls; 0 if it is not divided further."""
    return factors[0] if factors else 2 if size % 2 == 0 else 0


def interval_name(semitones: int) -> str:
    """'major third' for 4 or -4; larger ones count octaves."""
    size = abs(int(semitones))
    if size <= 12:
        return INTERVAL_NAMES[size]
    octaves, rest = divmod(size, 12)
    plus = f" and a {INTERVAL_NAMES[rest]}" if rest else ""
    return ("octave" if octaves == 1 else f"{octaves} octaves") + plus
