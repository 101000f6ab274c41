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
# The major triad a whole tone below the tonic, in minor and the modes: Aldwell and Schachter, Harmony
# and Voice Leading, ch. 13 (it leads to III); and between neighbours of the tonic in modal tunes.
SUBTONIC, BEFORE_SUBTONIC = ("I III", "IV VI V", "II"), 1
NEVER = 3  # grade of a progression that is not in the table
TRIADS = {(4, 7): "", (3, 7): "m", (3, 6): "dim", (4, 8): "aug"}  # symbol by third and fifth
SEVENTHS = {
    (4, 7, 10): "7",
    (3, 7, 10): "m7",
    (4, 7, 11): "maj7",
    (3, 6, 10): "m7b5",
    (3, 6, 9): "dim7",
}
WITH_SEVENTH = {1: ("m7", "m7b5"), 4: ("7",)}  # degrees, from 0, and kinds of their sevenths
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
    tones: tuple[int, ...]
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


def _symbol(tones: tuple[int, ...], key: Key) -> str:
    """Return the chord symbol of a root and the tones above it, with pitch classes."""
    above = tuple((tone - tones[0]) % 12 for tone in tones[1:])
    kind = TRIADS[above] if len(above) == 2 else SEVENTHS[above]
    names = (each.spell(60 + tones[0])[0] + kind for each in (key, C_MAJOR))
    return next(name for name in names if SYMBOL.fullmatch(name))


def _numeral(degree: int, tones: tuple[int, ...]) -> str:
    """Return the roman numeral of a chord on a degree."""
    third, fifth = ((tone - tones[0]) % 12 for tone in tones[1:3])
    name = NUMERALS[DEGREES.index(degree)].upper()
    name = name.lower() if third == 3 else name
    return name + "o" * (fifth == 6) + "+" * (fifth == 8) + "7" * (len(tones) == 4)


@lru_cache(maxsize=256)
def harmonies_of(key: Key) -> tuple[Harmony, ...]:
    """Return the chords of a key: its triads, sevenths of ii and V, and applied dominants.

    Triads are those of `envs.music.implied.chords_of`. Of chords of the same tones the first
    stands: in minor, III is also the dominant of VI. An applied dominant has its seventh, and
    comes without it too.
    """
    steps, tonic = SCALES[key.written_mode], key.pitch_class
    found: dict[frozenset[int], Harmony] = {}

    def add(degree: int, above_tonic: tuple[int, ...], aim: str = "") -> None:
        tones = tuple((tonic + tone) % 12 for tone in above_tonic)
        numeral = (aim and "V" + "7" * (len(tones) == 4) + aim) or _numeral(degree, tones)
        chord = Harmony(numeral, degree, tones, _symbol(tones, key), bool(aim))
        found.setdefault(frozenset(tones), chord)

    rows = [*zip(DEGREES, chords_of(key), strict=False)]
    rows += zip((DEGREES[1], DEGREES[6]), chords_of(key)[len(DEGREES) :], strict=False)
    for degree, (triad, _) in rows:
        root = next(t for t in triad if {(t + 3) % 12, (t + 4) % 12} & triad and _is_root(t, triad))
        tones = tuple(sorted(triad, key=lambda tone: (tone - root) % 12))
        add(degree, tones)
        seventh = (*tones, steps[(degree + 6) % 7])
        if SEVENTHS.get(tuple((t - root) % 12 for t in seventh[1:])) in WITH_SEVENTH.get(
            degree, ()
        ):
            add(degree, seventh)
    for degree in APPLIED:
        aim, root = (tonic + steps[degree]) % 12, steps[degree] + 7
        for chord in [each for each in found.values() if not each.applied]:
            if chord.root == aim and len(chord.tones) == 3 and chord.fifth == 7:
                add(degree, (root, root + 4, root + 7, root + 10), f"/{chord.numeral}")
                add(degree, (root, root + 4, root + 7), f"/{chord.numeral}")
    return tuple(found.values())


def _is_root(tone: int, triad: frozenset[int]) -> bool:
    return tuple(sorted((other - tone) % 12 for other in triad))[1:] in TRIADS


def _subtonic(chord: Harmony, key: Key) -> bool:
    """True for the chord a whole tone below the tonic."""
    return not chord.applied and (chord.root - key.pitch_class) % 12 == 10


@lru_cache(maxsize=256)
def grades(key: Key) -> Array:
    """Return (chords, chords) how usual it is that a chord follows another one, 0 to NEVER.

    A dominant leads to its aim, whatever that is; other chords lead to an applied dominant as to
    its aim, a grade less usual. Chords of one root and degree follow each other freely; in modes
    without a leading note the seventh degree leads to the tonic as the dominant does.
    """
    chords, found = harmonies_of(key), []
    for one in chords:
        row = NUMERALS[DEGREES.index(one.degree)]
        table = SUBTONIC if _subtonic(one, key) else PISTON[row]
        follows = {
            word.lower(): grade for grade, words in enumerate(table) for word in words.split()
        }
        grade = []
        for two in chords:
            degree = NUMERALS[DEGREES.index(two.degree)]
            if one.root == two.root and one.applied == two.applied:
                grade.append(0 if len(two.tones) >= len(one.tones) else 1)
            elif one.applied:  # it resolves, or leads on to the dominant of its aim
                aim = one.degree == two.degree and not two.applied
                grade.append(0 if aim else NEVER)
            elif _subtonic(two, key):
                grade.append(BEFORE_SUBTONIC)
            else:
                grade.append(min(NEVER, follows.get(degree.lower(), NEVER) + two.applied))
        found.append(grade)
    return freeze(np.array(found))
