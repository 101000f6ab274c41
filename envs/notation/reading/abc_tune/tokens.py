"""The characters of a line of music in ABC: a table of tokens, and the names of decorations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from envs.errors import RefusedError, quoted

_LENGTH = r"(\d*)(/*)(\d*)"
_NOTE = rf"(\^\^?|__?|=)?([A-Ga-g])([,']*){_LENGTH}"
# What a line of music is made of, in the order in which it is tried.
TOKENS = {
    "text": r'"[^"]*"|%.*',
    "space": r"[\s`$]+|y\d*|\\(?=\s*(?:%|$))",
    "named": r'\["[^"]*"(?![^\[\]|]*\])',
    "field": r"\[[A-Za-z]:(?![|:])[^\[\]]*\]",
    "ending": r"\[\d+(?:[,.-]\d+)*\.?",
    "bar": r"\.?\[?:*\|[|:]*\]?|::+",
    "chord": rf"\[([^\[\]|]*)\]{_LENGTH}",
    "note": _NOTE,
    "rest": rf"[zx]{_LENGTH}",
    "rests": r"[ZX](\d*)",
    "number": r"\d+(?:[,.-]\d+)*\.?",
    "microtone": r"[\^_]+(?:\d+/?\d*|/\d*)[A-Ga-g]",
    "grace": r"\{[^{}]*\}",
    "tuplet": r"\((\d+)(?::(\d*))?(?::(\d*))?",
    "overlay": r"\(&|&+\)?",
    "tie": r"\.?-",
    "broken": r"<+|>+",
    "plus": r"\+([^+|\s]+)\+",
    "bang": r"!(?:([^!|]*)!)?",
    "mark": r"[.~H-Wh-w()]",
    "stray": r"[*;?@#+}\]:\\]",
}
TOKEN = re.compile("|".join(f"(?P<{name}>{token})" for name, token in TOKENS.items()))
PARTS = {name: re.compile(token) for name, token in TOKENS.items()}
_CHORD = re.compile(rf"{_NOTE}(-?)|([zx]){_LENGTH}")
_BETWEEN = re.compile(r'"[^"]*"|![^!]*!|[\s.~H-Wh-w()`-]')  # nothing that sounds, within a chord
OLD_CHORD = re.compile(rf"(?:{_NOTE})+")
TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # the others depend on the metre
MEANT = ".~HLMOPSTuv()*"  # marks to which the standard, or * an older one, gives a meaning
_NAMES = (  # of decorations
    "trill trill( trill) lowermordent uppermordent mordent pralltriller roll turn turnx "
    "invertedturn invertedturnx arpeggio > accent emphasis fermata invertedfermata tenuto 0 1 2 3 "
    "4 5 + plus snap slide wedge upbow downbow open thumb breath pppp ppp pp p mp mf f ff fff ffff "
    "sfz crescendo( <( crescendo) <) diminuendo( >( diminuendo) >) segno coda d.s. d.c. dacoda "
    "dacapo fine shortphrase mediumphrase longphrase editorial courtesy beam / // /// gmark "
    "marcato ^ dot staccato d.c.alcoda d.c.alfine d.s.alcoda d.s.alfine 8va( 8va) 8vb( 8vb) "
    "ped ped-up repeatbar repeatbar2 sf sfp fp a dc ds"
)
DECORATIONS = frozenset(_NAMES.split())
_LIKE_MUSIC = re.compile(r"[\^_=A-Ga-gzxuvTHLM\d,'/<>()~.{}\"-]*")


def bang(text: str) -> int:
    """Return the length of a decoration such as !trill!, 1 for a ! that is an old line break.

    Args:
        text: from one ! to the next, or one alone.

    Raises:
        RefusedError: it may be either.
    """
    name = re.sub(r"\s+", "", text.strip("!")).lower()
    spaced, like_music = re.search(r"\s", text), _LIKE_MUSIC.fullmatch(name)
    if text == "!" or (name not in DECORATIONS and spaced and like_music):
        return 1
    if name in DECORATIONS or not (spaced or like_music):
        return len(text)
    raise RefusedError(
        f"{quoted(text)} may be a decoration or notes between line breaks; write "
        "'I:linebreak !' in the header if it is notes, else take it out"
    )


def scan(line: str, bangs: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the tokens of a line of music, each as its kind and its characters.

    Args:
        line: without the spaces around it.
        bangs: True if a ! is a line break and never begins a decoration.

    Raises:
        RefusedError: a character that is no ABC, or a quarter tone.
    """
    place = 0
    while place < len(line):
        found = TOKEN.match(line, place)
        if found is None:
            raise RefusedError(f"{quoted(line[place : place + 20])} is no ABC")
        kind, text = str(found.lastgroup), found[0]
        if kind == "bang":
            text = text[: 1 if bangs else bang(text)]
        elif kind == "microtone":
            raise RefusedError(_quarter_tone(text))
        place += len(text)
        yield kind, text


@lru_cache(4096)
def read_length(number: str, slashes: str, divisor: str) -> Fraction:
    """Return a length such as 3, /, // or 3/2 as a multiple of the unit note.

    Raises:
        RefusedError: it is zero, absurd or spelled in another way.
    """
    count = int(number or 1) if len(number) < 7 else 0
    below = int(divisor) if divisor else 1 << len(slashes)
    if not count or not 0 < below <= 1024 or (divisor and len(slashes) != 1):
        raise RefusedError(f"the length {quoted(number + slashes + divisor)} is none")
    return Fraction(count, below)


def read_tuplet(found: re.Match[str], compound: bool) -> tuple[Fraction, int]:
    """Return the factor of a tuplet's lengths and the number of its notes.

    Args:
        found: a token such as (3 or (3:2:4.
        compound: True in metres such as 6/8, where five are in the time of three.

    Raises:
        RefusedError: absurd numbers, or ten notes and more in a time that is not written.
    """
    notes, time, held = (int((each or "0")[:4]) for each in found.groups())
    time = time or TUPLETS.get(notes, (3 if compound else 2) if notes < 10 else 0)
    if not 1 < notes <= 64 or not 0 < time <= 64:
        raise RefusedError(f"{quoted(found[0])} is no tuplet; expected such as (3 or (3:2:3")
    return Fraction(time, notes), held or notes


def read_chord(inside: str) -> list[tuple[str, str, str, Fraction, str]]:
    """Return the notes of a chord: accidental, letter ('' of a rest), octave marks, length, tie.

    Raises:
        RefusedError: it holds none, or something else.
    """
    notes, place = [], 0
    while place < len(inside):
        note = _CHORD.match(inside, place)
        found = note or _BETWEEN.match(inside, place)
        if found is None:
            break
        place = found.end()
        if note is not None:
            sign, letter, marks, *length = note.groups()
            tie, rest = length[3], length[4:]
            written = rest[1:] if rest[0] else length[:3]
            notes.append((sign, letter or "", marks or "", read_length(*written), tie))
    if microtone := PARTS["microtone"].match(inside, place):
        raise RefusedError(_quarter_tone(microtone[0]))
    if place < len(inside) or not notes:
        raise RefusedError(f"{quoted(f'[{inside}]')} is no chord")
    return notes


def _quarter_tone(text: str) -> str:
    return f"{quoted(text)} makes a quarter tone; expected semitones"
