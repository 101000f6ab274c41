"""Keys: a tonic and a scale, their pitch classes, signature and spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from envs.errors import did_you_mean, quoted
from envs.music.pitch import _FIFTHS_ORDER, ACCIDENTALS, LETTERS, line_of_fifths_name

# Semitones above the tonic.
SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "natural minor": (0, 2, 3, 5, 7, 8, 10),  # like minor, but nothing is raised in it
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
RAISED = (9, 11)  # sixth and seventh degree of minor, as melodies raise them: not in the scale
MODE_NAMES = {  # other names that people use
    "ionian": "major",
    "aeolian": "natural minor",
    **{"M": "major", "m": "minor", "maj": "major", "min": "minor", "dor": "dorian"},
    **{"phr": "phrygian", "lyd": "lydian", "mix": "mixolydian", "loc": "locrian"},
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
    "natural minor": "minor",
    "harmonic minor": "minor",
    "melodic minor": "minor",
    "major pentatonic": "major",
    "minor pentatonic": "minor",
    "blues": "minor",
}

# A letter, signs written in any way, and the mode behind a blank, a hyphen or nothing.
SIGNS = {"#": "#", "♯": "#", "b": "b", "♭": "b", "sharp": "#", "flat": "b"}
_SIGN = re.compile("[#♯b♭]|sharp|flat", re.IGNORECASE)
_NAME = re.compile(r"([A-Ga-g]?)((?:[#♯b♭]|[ -]?(?i:sharp|flat))*)[ -]*(.*)", re.DOTALL)
GERMAN = " Names are English: B is the German H, Bb the German B; major is Dur, minor Moll."


@dataclass(frozen=True)
class Key:
    """A tonic and a mode. `Key.parse('F# dorian')`, `Key.parse('C 0,2,3,7,8')`.

    A scale of one's own is written as its semitones above the tonic. In 'minor' the sixth and
    seventh degree may be raised, in 'natural minor', also called 'aeolian', they may not; the scale
    and all the rest are equal.
    """

    tonic: str
    mode: str = "major"

    @staticmethod
    def parse(text: str | Key) -> Key:
        """Read 'C', 'A minor', 'Am', 'F# dorian', 'D blues', 'C 0,2,3,7,8'.

        Raises:
            ValueError: unknown tonic or mode, or a scale of other numbers than 0..11.
        """
        if isinstance(text, Key):
            return text
        if not isinstance(text, str):
            raise TypeError(f"key {quoted(text)}: expected words such as 'C major'")
        letter, sign, word = _NAME.fullmatch(text.strip()).groups()  # type: ignore[union-attr]
        tonic = letter.upper() + "".join(SIGNS[each.lower()] for each in _SIGN.findall(sign))
        if not letter or tonic[1:] not in ("", "#", "b"):
            raise ValueError(
                f"key {quoted(text)}: {quoted(text.split(' ')[0])} is no tonic; expected such as "
                f"'C' or 'F#'.{GERMAN if text.strip()[:1] in ('h', 'H') else ''}"
            )
        mode = MODE_NAMES.get(word) or " ".join(word.lower().split()) or "major"
        mode = MODE_NAMES.get(mode, mode)
        if mode[:1].isdecimal():
            return Key(tonic, _read_scale(text, mode))
        if mode not in SCALES:
            names = [*SCALES, *(name for name in MODE_NAMES if len(name) > 3)]
            near = GERMAN if mode in ("dur", "moll") else did_you_mean(mode, names)
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
    def admitted(self) -> frozenset[int]:
        """Pitch classes that belong to the key: its scale, in minor also raised degrees."""
        raised = RAISED if self.mode == "minor" else ()
        return self.pitch_classes | {(self.pitch_class + step) % 12 for step in raised}

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


def written_key(key: Key) -> Key:
    """The key itself, or its enharmonic twin if its signature needs more than seven signs."""
    if -7 <= key.fifths <= 7:
        return key
    letter = "FCGDAEB".index(key.tonic[0]) - 1
    place = letter + 7 * ACCIDENTALS[key.tonic[1:]]
    return Key(line_of_fifths_name(place - 12 if key.fifths > 0 else place + 12), key.mode)


def spelled(key: Key, pitch: int) -> tuple[str, int, int]:
    """Letter, alteration in semitones and octave of a pitch as this key writes it."""
    name, octave = key.spell(pitch)
    return name[0], sum(ACCIDENTALS[sign] for sign in name[1:]), octave


def signature(key: Key) -> dict[str, int]:
    """Alteration of each of the seven letters under the key signature."""
    altered = dict.fromkeys(LETTERS, 0)
    for count in range(abs(key.fifths)):
        if key.fifths > 0:
            altered["FCGDAEB"[count]] = 1
        else:
            altered["BEADGCF"[count]] = -1
    return altered
