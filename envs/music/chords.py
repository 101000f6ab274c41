"""What a task asks of harmony and form: chords and phrases, read from a line of words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from envs.errors import quoted
from envs.music.key import Key

MAX_WORDS, LONGEST = 256, 16  # chords of a line, letters of one
MAX_LINE = 4096  # characters
_ROMAN = re.compile(r"[b#]*(?:[iv]+|[IV]+)o?(?![a-z])")
# Root, quality, number, alterations, bass: music21 itself passes over what it does not know.
SYMBOL = re.compile(
    r"[A-G][b#]?(?:maj|M|min|m|dim|aug|o|ø|\+)?(?:maj)?(?:2|4|5|6|7|9|11|13)?"
    r"(?:sus[24]?|(?:add|[b#])(?:2|4|5|6|9|11|13)){0,3}(?:/[A-G][b#]?)?"
)


@dataclass(frozen=True)
class Chord:
    """A chord.

    Attributes:
        name: as it was written, 'V7' or 'Bb7'.
        root: pitch class.
        pitch_classes: of all its notes.
        symbol: as lead sheets have it, 'Bb7' for both; the name where there is no such symbol.
    """

    name: str
    root: int
    pitch_classes: frozenset[int]
    symbol: str = ""


def parse_chords(text: str, key: Key, bars: int) -> tuple[tuple[Chord, ...], ...]:
    """The chords of each bar.

    Args:
        text: chords, roman numerals ('i VII i v') or symbols ('Dm7 G7 C'), a bar each; or, with
            bar lines, several in a bar that share it evenly: 'I | IV V | I'. Fewer bars than
            there are begin again.
        key: that roman numerals are read in.
        bars: of the piece.

    Raises:
        ValueError: a word that is no chord, an empty bar, or more bars than there are.
    """
    rows = _bars_of(text)
    if not rows or not all(rows):
        raise ValueError(
            f"chords {quoted(text)}: expected words such as 'I IV V I' or 'C | F G7 | C'"
        )
    if sum(map(len, rows)) > MAX_WORDS:
        raise ValueError(f"chords: {sum(map(len, rows))} of them, expected at most {MAX_WORDS}")
    if len(rows) > bars:
        raise ValueError(
            f"chords {quoted(text)} fill {len(rows)} bars and the piece has {bars}; expected as "
            "many at most: ask for more bars"
        )
    read = [tuple(parse_chord(word, key) for word in row) for row in rows]
    return tuple(read[bar % len(read)] for bar in range(bars))


def _bars_of(text: str) -> list[list[str]]:
    """The words of each bar."""
    if len(text) > MAX_LINE:
        raise ValueError(f"chords of {len(text)} characters, expected at most {MAX_LINE}")
    if "|" not in text:
        return [[word] for word in text.split()]
    return [row.split() for row in text.strip().strip("|").split("|")]


def chord_bars(text: str) -> int:
    """How many bars a line of chords fills."""
    return len(_bars_of(text))


@lru_cache(maxsize=512)
def parse_chord(word: str, key: Key) -> Chord:
    """One chord: a roman numeral in a key, or a symbol; read by music21.

    Raises:
        ValueError: it is neither.
    """
    from music21 import harmony, roman
    from music21 import key as keys

    try:
        if _ROMAN.match(word) and len(word) <= LONGEST:
            where = keys.Key(key.tonic.replace("b", "-"), key.written_mode)
            found: Any = roman.RomanNumeral(word, where)
        elif SYMBOL.fullmatch(word):
            found = chord_symbol(word)
        else:
            raise ValueError(word)
        pitches = frozenset(pitch.pitchClass for pitch in found.pitches)
        if len(pitches) < 2:
            raise ValueError(word)
        symbol = word
        if not isinstance(found, harmony.ChordSymbol):
            named = _flats(harmony.chordSymbolFigureFromChord(found), "-", "b")
            named = named.replace("o", "dim")  # music21's sign of diminished chords
            symbol = named if SYMBOL.fullmatch(named) else word
        return Chord(word, found.root().pitchClass, pitches, symbol)
    except Exception:  # music21 raises whatever its code runs into
        raise ValueError(
            f"chord {quoted(word)}: expected a roman numeral such as 'V7' or a symbol "
            "such as 'Bbm7'"
        ) from None


def chord_symbol(word: str) -> Any:
    """A symbol such as 'Bbm7' as music21's, which writes a flat as a minus."""
    from music21 import harmony

    return harmony.ChordSymbol(_flats(word, "b", "-"))


def _flats(symbol: str, old: str, new: str) -> str:
    """A chord symbol with the flats of root and bass written otherwise."""
    return re.sub(rf"(^|/)([A-G]){old}", rf"\1\2{new}", symbol)
