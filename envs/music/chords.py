"""Chords of a task, read from a line of words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from envs.errors import quoted
from envs.music.key import Key

MAX_WORDS, LONGEST = 256, 16  # chords in a line, letters in a chord
MAX_LINE = 4096  # characters
_ROMAN = re.compile(r"[b#]*(?:[iv]+|[IV]+)o?(?![a-z])")
# Root, quality, number, alterations, bass: music21 itself ignores words it does not know.
SYMBOL = re.compile(
    r"[A-G][b#]?(?:maj|M|min|m|dim|aug|o|ø|\+)?(?:maj)?(?:2|4|5|6|7|9|11|13)?"
    r"(?:sus[24]?|(?:add|[b#])(?:2|4|5|6|9|11|13)){0,3}(?:/[A-G][b#]?)?"
)


@dataclass(frozen=True)
class Chord:
    """A chord.

    Attributes:
        name: the word in the task, 'V7' or 'Bb7'.
        root: pitch class.
        pitch_classes: of all its notes.
        symbol: the chord symbol of a lead sheet, 'Bb7' for both; the name if there is none.
        bass: pitch class of the lowest note of an inversion, as in 'C/E' or 'I6'; -1 if the root is
            the lowest, or any may be.
    """

    name: str
    root: int
    pitch_classes: frozenset[int]
    symbol: str = ""
    bass: int = -1


def parse_chords(text: str, key: Key, bars: int) -> tuple[tuple[Chord, ...], ...]:
    """Return the chords of each of `bars` bars.

    Args:
        text: roman numerals ('i VII i v') or chord symbols ('Dm7 G7 C'), one for each bar. With
            bar lines, the chords of a bar share it evenly: 'I | IV V | I'. The line repeats if
            it has fewer bars than the piece.
        key: the key of the roman numerals.
        bars: number of bars of the piece.

    Raises:
        ValueError: a word that is no chord, an empty bar, or more than `bars` bars.
    """
    rows = _bars_of(text)
    if not rows or not all(rows):
        raise ValueError(
            f"chords {quoted(text)}: expected words such as 'I IV V I' or 'C | F G7 | C'"
        )
    if sum(map(len, rows)) > MAX_WORDS:
        raise ValueError(f"{sum(map(len, rows))} chords, expected at most {MAX_WORDS}")
    if len(rows) > bars:
        raise ValueError(
            f"chords {quoted(text)} fill {len(rows)} bars, expected at most the {bars} of the "
            "piece; ask for more bars"
        )
    chords = [tuple(parse_chord(word, key) for word in row) for row in rows]
    return tuple(chords[bar % len(chords)] for bar in range(bars))


def _bars_of(text: str) -> list[list[str]]:
    """Return the words of each bar of a line of chords."""
    if len(text) > MAX_LINE:
        raise ValueError(f"chords of {len(text)} characters, expected at most {MAX_LINE}")
    if "|" not in text:
        return [[word] for word in text.split()]
    return [row.split() for row in text.strip().strip("|").split("|")]


def chord_bars(text: str) -> int:
    """Return the number of bars that a line of chords fills."""
    return len(_bars_of(text))


@lru_cache(maxsize=512)
def parse_chord(word: str, key: Key) -> Chord:
    """Return the chord of a roman numeral in a key, or of a chord symbol; music21 reads both.

    Raises:
        ValueError: the word is neither.
    """
    from music21 import harmony, roman
    from music21 import key as keys

    try:
        if _ROMAN.match(word) and len(word) <= LONGEST:
            where = keys.Key(key.tonic.replace("b", "-"), key.written_mode)
            parsed: Any = roman.RomanNumeral(word, where)
        elif SYMBOL.fullmatch(word):
            parsed = chord_symbol(word)
        else:
            raise ValueError(word)
        pitches = frozenset(pitch.pitchClass for pitch in parsed.pitches)
        if len(pitches) < 2:
            raise ValueError(word)
        symbol = word
        if not isinstance(parsed, harmony.ChordSymbol):
            figure = _flats(harmony.chordSymbolFigureFromChord(parsed), "-", "b")
            figure = figure.replace("o", "dim")  # music21's sign of diminished chords
            symbol = figure if SYMBOL.fullmatch(figure) else word
        root, bass = parsed.root().pitchClass, parsed.bass().pitchClass
        return Chord(word, root, pitches, symbol, -1 if bass == root else bass)
    except Exception:  # music21 raises errors of many types
        raise ValueError(
            f"chord {quoted(word)}: expected a roman numeral such as 'V7' or a symbol "
            "such as 'Bbm7'"
        ) from None


def chord_symbol(word: str) -> Any:
    """Return the music21 object of a symbol such as 'Bbm7'; music21 writes a flat as '-'."""
    from music21 import harmony

    return harmony.ChordSymbol(_flats(word, "b", "-"))


def _flats(symbol: str, old: str, new: str) -> str:
    """Replace the sign `old` of flats by `new` in the root and the bass of a chord symbol."""
    return re.sub(rf"(^|/)([A-G]){old}", rf"\1\2{new}", symbol)
