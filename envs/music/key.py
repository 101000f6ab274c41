"""Keys: a tonic and a scale, their pitch classes, signature and spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from envs.errors import did_you_mean, quoted
from envs.music.pitch import ACCIDENTALS, FIFTHS, LETTERS, line_of_fifths_name

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
    # The sixth and seventh degrees are raised going up and not going down: all four belong.
    "melodic minor": (0, 2, 3, 5, 7, 8, 9, 10, 11),
    "major pentatonic": (0, 2, 4, 7, 9),
    "minor pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
}
RAISED = (9, 11)  # raised sixth and seventh degree of minor: they are not in its scale
# Place of a mode's tonic on the line of fifths, relative to the major key of its signature.
MODE_FIFTHS = {
    "lydian": -1,
    "major": 0,
    "mixolydian": 1,
    "dorian": 2,
    "minor": 3,
    "phrygian": 4,
    "locrian": 5,
}
MODE_NAMES = (
    {  # other names of these modes
        "ionian": "major",
        "ion": "major",
        "aeolian": "natural minor",
        "aeo": "natural minor",
        "M": "major",
        "m": "minor",
        "pentatonic": "major pentatonic",
        "pentatonic major": "major pentatonic",
        "pentatonic minor": "minor pentatonic",
    }
    | {mode[:3]: mode for mode in MODE_FIFTHS}
)

# A letter, its signs in any spelling, and the mode after a blank, a hyphen or nothing.
SIGNS = {"#": "#", "♯": "#", "b": "b", "♭": "b", "sharp": "#", "flat": "b"}
_SIGN = re.compile("[#♯b♭]|sharp|flat", re.IGNORECASE)
_NAME = re.compile(r"([A-Ga-g]?)((?:[#♯b♭]|[ -]?(?i:sharp|flat))*)[ -]*(.*)", re.DOTALL)
GERMAN = " Names are English: B is the German H, Bb the German B; major is Dur, minor Moll."


@dataclass(frozen=True)
class Key:
    """A tonic and a mode: `Key.parse('F# dorian')`.

    A scale without a name is written as its semitones above the tonic: `Key.parse('C 0,2,3,7,8')`.
    In 'minor' the sixth and seventh degrees may be raised, in 'natural minor', also called
    'aeolian', they may not; their scales and signatures are equal.
    """

    tonic: str
    mode: str = "major"

    @staticmethod
    def parse(text: str | Key) -> Key:
        """Read a key such as 'C', 'A minor', 'Am', 'F# dorian', 'D blues' or 'C 0,2,3,7,8'.

        Raises:
            ValueError: unknown tonic or mode, or a scale with numbers outside 0..11.
            TypeError: no text.
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
        """Pitch classes that belong to the key: its scale, and in minor the raised degrees."""
        raised = RAISED if self.mode == "minor" else ()
        return self.pitch_classes | {(self.pitch_class + step) % 12 for step in raised}

    @cached_property
    def written_mode(self) -> str:
        """The church mode (one of seven) whose key signature is written."""
        if self.mode in MODE_FIFTHS:
            return self.mode
        return "minor" if 3 in self.steps and 4 not in self.steps else "major"

    @cached_property
    def home(self) -> int:
        """Pitch class of the major key that has the same signature."""
        return (7 * self.fifths) % 12

    @cached_property
    def fifths(self) -> int:
        """Sharps (positive) or flats (negative) of the key signature."""
        return self._tonic_fifths - MODE_FIFTHS[self.written_mode]

    @property
    def _tonic_fifths(self) -> int:
        """Place of the tonic on the line of fifths, C = 0."""
        return FIFTHS.index(self.tonic[0]) - 1 + 7 * ACCIDENTALS[self.tonic[1:]]

    def spell(self, pitch: int) -> tuple[str, int]:
        """Return name and octave of a MIDI pitch in this key, such as ('F#', 4).

        The twelve names go from three fifths below to eight fifths above the major tonic of the
        key signature: C major has E flat and B flat, but F, C and G sharp.
        """
        # A fifth is 7 semitones, and 7 * 7 = 49 = 1 (mod 12), so 7 * pitch inverts it.
        place = (7 * pitch - (self.fifths - 3)) % 12 + self.fifths - 3
        name = line_of_fifths_name(place)
        shift = sum(ACCIDENTALS[a] for a in name[1:])
        return name, (pitch - shift) // 12 - 1

    def pitch_name(self, pitch: int) -> str:
        """Return name and octave of a MIDI pitch in one word: 'F#4' for 66 in C major."""
        name, octave = self.spell(int(pitch))
        return f"{name}{octave}"


C_MAJOR = Key("C")  # names pitches where no key is known


def _read_scale(text: str, numbers: str) -> str:
    """Return the semitones of a scale as a mode's name, '0,2,3,7,8'."""
    words = numbers.replace(",", " ").split()
    steps = [int(word) if re.fullmatch(r"[0-9]{1,2}", word) else -1 for word in words]
    if steps != sorted(set(steps)) or steps[0] != 0 or steps[-1] > 11 or len(steps) < 2:
        raise ValueError(
            f"key {quoted(text)}: expected the scale's semitones above the tonic, rising from 0 "
            "to 11 at most, such as 0,2,3,7,8"
        )
    return ",".join(map(str, steps))


def written_key(key: Key) -> Key:
    """Return the key, or its enharmonic twin if its signature has more than seven signs."""
    if -7 <= key.fifths <= 7:
        return key
    place = key._tonic_fifths
    return Key(line_of_fifths_name(place - 12 if key.fifths > 0 else place + 12), key.mode)


def spelled(key: Key, pitch: int) -> tuple[str, int, int]:
    """Return letter, alteration (semitones) and octave of a MIDI pitch in a key."""
    name, octave = key.spell(pitch)
    return name[0], sum(ACCIDENTALS[sign] for sign in name[1:]), octave


def signature(key: Key) -> dict[str, int]:
    """Return the alteration (-1, 0, 1) of each of the seven letters in a key signature."""
    # On the line of fifths the letters come again after seven places, a sign higher.
    return {letter: (key.fifths - place + 6) // 7 for place, letter in enumerate(FIFTHS)}
