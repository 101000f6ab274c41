"""Chords of a key by their function, and the root progressions of common practice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from envs.music.chords import SYMBOL
from envs.music.implied import DEGREES, NUMERALS, chords_of
from envs.music.key import C_MAJOR, SCALES, Key
from envs.music.tape import Array, freeze

# Piston, Harmony (1941), ch. 3, table of usual root progressions: of each degree those that follow
# it usually, sometimes and less often.
PISTON = {
    "I": ("IV V", "vi", "ii iii"),
    "ii": ("V", "IV vi", "I iii"),
    "iii": ("vi", "IV", "I ii V"),
    "IV": ("V", "I ii", "iii vi"),
    "V": ("I", "vi IV", "iii ii"),
    "vi": ("ii V", "iii IV", "I"),
    "vii": ("I iii", "vi", "ii IV V"),
}
# The major triad a whole tone below the tonic, in minor and the modes: Aldwell and Schachter,
# Harmony and Voice Leading (it leads to III); in modal tunes it goes to and from the tonic.
SUBTONIC = ("I III", "IV VI V", "II")
SOMETIMES, NEVER = 1, 3  # grades of the table's second column, and of what is not in it
Tones = tuple[int, ...]
TRIADS: dict[Tones, str] = {(4, 7): "", (3, 7): "m", (3, 6): "dim", (4, 8): "aug"}  # above the root
SEVENTHS: dict[Tones, str] = {
    (4, 7, 10): "7",
    (3, 7, 10): "m7",
    (4, 7, 11): "maj7",
    (3, 6, 10): "m7b5",
    (3, 6, 9): "dim7",
}
WITH_SEVENTH = {1: ("m7", "m7b5"), 4: ("7",)}  # degrees, from 0, and kinds of their sevenths
RAISES_NOTHING = "natural minor"  # the mode that has no chord outside its scale
APPLIED = (4, 1, 5, 3, 6, 2)  # degrees that may have a dominant of their own


@dataclass(frozen=True)
class Harmony:
    """A chord of a key.

    Attributes:
        numeral: such as 'ii7' or 'V7/V'.
        degree: of the root in the scale, from 0; of an applied dominant that of its aim.
        tones: pitch classes of root, third, fifth and, if it has one, seventh.
        symbol: of a lead sheet, such as 'Dm7'.
        applied: True if it is the dominant of another degree than the tonic.
    """

    numeral: str
    degree: int
    tones: Tones
    symbol: str
    applied: bool = False

    @property
    def root(self) -> int:
        """Pitch class of the root."""
        return self.tones[0]

    @property
    def third(self) -> int:
        """Semitones from the root to the third."""
        return (self.tones[1] - self.tones[0]) % 12

    @property
    def fifth(self) -> int:
        """Semitones from the root to the fifth."""
        return (self.tones[2] - self.tones[0]) % 12

    @property
    def tonic(self) -> bool:
        """True for the triad on the tonic."""
        return self.degree == 0 and not self.applied

    @property
    def dominant(self) -> bool:
        """True for the dominant of the tonic, with the leading note."""
        return self.degree == 4 and not self.applied and self.third == 4


def _kind(tones: Tones) -> str | None:
    """Return the kind of a chord as a symbol has it, '' of a major triad; None if it is none."""
    above = tuple((tone - tones[0]) % 12 for tone in tones[1:])
    return (TRIADS | SEVENTHS).get(above)


def _symbol(tones: Tones, key: Key) -> str:
    """Return the symbol of a chord of pitch classes; in C major's spelling if it has two signs."""
    names = (f"{each.spell(60 + tones[0])[0]}{_kind(tones)}" for each in (key, C_MAJOR))
    return next(name for name in names if SYMBOL.fullmatch(name))


def _numeral(degree: int, tones: Tones) -> str:
    """Return the roman numeral of a chord on a degree."""
    third, fifth = ((tone - tones[0]) % 12 for tone in tones[1:3])
    name = NUMERALS[DEGREES.index(degree)].upper()
    name = name.lower() if third == 3 else name
    return name + "o" * (fifth == 6) + "+" * (fifth == 8) + "7" * (len(tones) == 4)


def _from_root(triad: frozenset[int]) -> Tones:
    """Return the tones of a triad with the root first, then third and fifth."""
    orders = (tuple(sorted(triad, key=lambda tone: (tone - root) % 12)) for root in sorted(triad))
    return next(order for order in orders if _kind(order) is not None)


@lru_cache(maxsize=256)
def harmonies_of(key: Key) -> tuple[Harmony, ...]:
    """Return the chords of a key: its triads, sevenths of ii and V, and applied dominants.

    Triads are those of `envs.music.implied.chords_of`. Of chords of the same tones the first
    stands: in minor, III is also the dominant of VI. An applied dominant comes with and without its
    seventh; its aim is a major or minor triad.
    """
    steps, tonic = SCALES[key.written_mode], key.pitch_class
    found: dict[frozenset[int], Harmony] = {}

    def add(degree: int, above_tonic: Tones, aim: str = "") -> None:
        tones = tuple((tonic + tone) % 12 for tone in above_tonic)
        numeral = f"V{'7' * (len(tones) == 4)}/{aim}" if aim else _numeral(degree, tones)
        if key.mode == RAISES_NOTHING and not key.pitch_classes.issuperset(tones):
            return
        chord = Harmony(numeral, degree, tones, _symbol(tones, key), bool(aim))
        found.setdefault(frozenset(tones), chord)

    degrees = (*DEGREES, DEGREES[1], DEGREES[6])  # of chords_of, which ends so in minor
    for degree, (triad, _) in zip(degrees, chords_of(key), strict=False):
        tones = _from_root(triad)
        add(degree, tones)
        seventh = (*tones, steps[(degree + 6) % 7])
        if _kind(seventh) in WITH_SEVENTH.get(degree, ()):
            add(degree, seventh)
    triads = [chord for chord in found.values() if len(chord.tones) == 3 and chord.fifth == 7]
    for degree in APPLIED:
        for chord in triads:
            if chord.root == (tonic + steps[degree]) % 12:
                root = steps[degree] + 7
                dominant = tuple((root + tone) % 12 for tone in (0, 4, 7, 10))
                add(degree, dominant, chord.numeral)
                add(degree, dominant[:3], chord.numeral)
    return tuple(found.values())


def _subtonic(chord: Harmony, key: Key) -> bool:
    """True for the chord a whole tone below the tonic."""
    return not chord.applied and (chord.root - key.pitch_class) % 12 == 10


@lru_cache(maxsize=256)
def grades(key: Key) -> Array:
    """Return (chords, chords) how usual it is that a chord follows another one, 0 to NEVER.

    An applied dominant leads to its aim; it follows other chords as its aim does, a grade less
    usual. A triad and its seventh chord follow each other, the seventh behind the triad; two chords
    of one degree do sometimes.
    """
    chords = harmonies_of(key)
    return freeze(np.array([[_grade(one, two, key) for two in chords] for one in chords]))


def _grade(one: Harmony, two: Harmony, key: Key) -> int:
    """Return how usual it is that a chord follows another one, see `grades`."""
    if one.root == two.root and one.applied == two.applied:
        return int(len(two.tones) < len(one.tones))
    if one.applied:
        return 0 if one.degree == two.degree and not two.applied else NEVER
    if _subtonic(two, key):
        return SOMETIMES
    names = [NUMERALS[DEGREES.index(chord.degree)] for chord in (one, two)]
    if names[0] == names[1]:
        return SOMETIMES
    table = SUBTONIC if _subtonic(one, key) else PISTON[names[0]]
    follows = [names[1].lower() in words.lower().split() for words in table]
    return min(NEVER, (follows.index(True) if any(follows) else NEVER) + two.applied)
