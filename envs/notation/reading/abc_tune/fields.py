"""Values of the fields of ABC: key, metre, unit note, tempo, clef and other words of a voice."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass, field
from fractions import Fraction

from envs.errors import RefusedError, quoted
from envs.music.key import MODE_FIFTHS, MODE_NAMES, Key, signature
from envs.music.pitch import ACCIDENTALS, LETTERS, line_of_fifths_name
from envs.notation.reading.time_signatures import Signature

FIELD = re.compile(r"([A-Za-z]):(.*)")
MAIL = re.compile(r"=(?:20)?\s*$")  # an end of a line in mail: =20 is a space, =3D an equals sign
# A mode is known by its first three letters in either case; 'm' alone is minor.
MODES = MODE_NAMES | {"exp": "explicit", "": "major"}
SIGNS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_TONIC = re.compile(r"([A-G])([#b♯♭]?)(\s*)([A-Za-z]*)(.*)")
_ACCIDENTAL = re.compile(r"(\^\^?|__?|=)([A-Ga-g])")
_MICROTONE = re.compile(r"(?<![\^_])[\^_]+(?:\d+/?\d*|/\d*)[A-Ga-g]")
_WORD = re.compile(r'([A-Za-z]+)=("[^"]*"|\S*)|("[^"]*")|(\S+)')
_CLEF = re.compile(
    r"(treble|alto|tenor|bass|soprano|mezzosoprano|baritone|subbass|auto|none|perc|[GCFP](?=\d))"
    r"(\d?)([+-](?:8|15)(?:va|vb|ma|mb)?)?"
)
# Words that tell how music is drawn or played and change no note.
_DRAWN = (
    "middle m name nm sname snm subname stafflines staffscale style stem stems gstem dyn lyrics "
    "gchord gch bracket brace space cue scale program map up down merge"
)
DRAWN = frozenset(_DRAWN.split())
MOVED = ("shift", "score", "sound", "instrument")  # kinds of transposition that are not read
# Marks of escapes such as \'e, and the combining characters that they mean.
_MARKS = "'`^\"~c,vuH=.a;"
_COMBINING = "\u0301\u0300\u0302\u0308\u0303\u0327\u0327\u030c\u0306\u030b\u0304\u0307\u030a\u0328"
COMBINING = dict(zip(_MARKS, _COMBINING, strict=True))
_LIGATURES = "AE=Æ ae=æ OE=Œ oe=œ ss=ß /O=Ø /o=ø DH=Ð dh=ð TH=Þ th=þ aa=å AA=Å"
LIGATURES = dict(each.split("=") for each in _LIGATURES.split())
_ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|(AE|ae|OE|oe|ss|/[Oo]|DH|dh|TH|th|aa|AA)|(['`^\"~cvuH=.;a,])([A-Za-z])"
    r"|([%&\\]))"
)
_NUMBER = r"\d{1,4}(?:\.\d{1,6})?"
_TEMPO = re.compile(
    r"(?:(?P<beat>\d{1,3}/\d{1,3}(?: \d{1,3}/\d{1,3}){0,7}) ?= ?"
    r"|(?P<unit>[Cc])(?P<count>\d{0,2})(?:/(?P<of>\d{1,2}))? ?= ?)?"
    rf"(?P<low>{_NUMBER})(?: ?- ?(?P<high>{_NUMBER}))?(?!\d|/)"
)


KEYS = "expected such as D, Em or A mixolydian"


@dataclass
class VoiceSettings:
    """Everything that fields say and that holds for the notes behind them.

    Attributes:
        signs: alteration of each letter by the key.
        key: tonic and mode, None if no tonic is named.
        fifths: sharps of the signature, None if it has none of the usual ones.
        meter: None if it is free or not named.
        metered: True if an M: field stood.
        unit: length of a note without a number, in quarter notes.
        octave: octaves up, by `octave=`.
        clef: octaves up, by a clef such as treble-8.
        transpose: semitones up.
        drums: True if the notes are percussion.
        propagate: accidentals hold in the bar for one "octave", for the "pitch" in every octave, or
            "not"; '' is "pitch", as the standard has it, and a notice where octaves differ.
        left_out: words without a meaning.
    """

    signs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LETTERS, 0))
    key: Key | None = None
    fifths: int | None = None
    meter: Signature | None = None
    metered: bool = False
    unit: Fraction = Fraction(1, 2)
    octave: int = 0
    clef: int = 0
    transpose: int = 0
    drums: bool = False
    propagate: str = ""
    left_out: list[str] = field(default_factory=list)

    def read(self, letter: str, value: str) -> bool:
        """Take the value of a K:, L: or M: field; return False if it is a clef alone.

        Raises:
            RefusedError: as `read_key`, `read_unit` and `read_meter`.
        """
        if letter == "K":
            return self.read_key(value)
        (self.read_unit if letter == "L" else self.read_meter)(value)
        return True

    def read_key(self, value: str) -> bool:
        """Take the value of a K: field; return True if it names a key and not a clef alone.

        Raises:
            RefusedError: no such mode, a quarter tone, or a transposition that is not read.
        """
        value = value.strip()
        if found := _MICROTONE.search(value):
            raise RefusedError(f"its key has the quarter tone {found[0]}; expected semitones")
        key, words, tonic = None, value, None
        if named := re.match(r"(?i)none\b(?!=)|HP\b|$", value):
            key = Key("A", "mixolydian") if named[0].lower() == "hp" else None
            words = value[named.end() :]
        elif not _CLEF.match(value) and (tonic := _TONIC.fullmatch(value)):
            key, words = _tonic(tonic, value)
        explicit = "".join(word for word in words.split() if _ACCIDENTAL.match(word))
        accidentals = _ACCIDENTAL.findall(explicit)
        self.read_voice(" ".join(word for word in words.split() if not _ACCIDENTAL.match(word)))
        if not (named or tonic or accidentals):
            if self.left_out:
                raise RefusedError(f"its key is {quoted(value)}; {KEYS}")
            return False
        self.signs = signature(key) if key else dict.fromkeys(LETTERS, 0)
        self.signs |= {letter.upper(): SIGNS[sign] for sign, letter in accidentals}
        self.key, self.fifths = key, key.fifths if key else None
        if tonic and (key is None or self.signs != signature(key)):
            self.key, self.fifths = _of_signs(tonic[1] + _sharp_or_flat(tonic[2]), self.signs), None
        return True

    def read_voice(self, value: str) -> None:
        """Take the words behind a key or the name of a voice: clef, octave, transposition.

        Raises:
            RefusedError: a number that is none, or a transposition that is not read.
        """
        for name, given, quote, word in _WORD.findall(value):
            given = given.strip('"')
            clef = _CLEF.fullmatch(given if name == "clef" else word)
            if clef:
                shift = clef[3] or ""
                self.clef = (2 if "15" in shift else 1) * (-1 if "-" in shift else 1) * bool(shift)
                self.drums = clef[1] in ("perc", "P")
            elif name in ("octave", "transpose", "t"):
                if not re.fullmatch(r"[+-]?\d{1,2}", given):
                    raise RefusedError(f"{name}={quoted(given)}: expected a whole number")
                setattr(self, "octave" if name == "octave" else "transpose", int(given))
            elif name in MOVED:
                raise RefusedError(f"{name}= is not read; write the notes as they sound")
            elif not (quote or (name or word) in DRAWN):
                self.left_out.append(f"{name}={given}" if name else word)

    def read_unit(self, value: str) -> None:
        """Take the value of an L: field.

        Raises:
            RefusedError: it is no length of at most a breve.
        """
        unit = re.fullmatch(r"(\d{1,3})(?:/([1-9]\d{0,2}))?", value.replace(" ", ""))
        if unit is None or not 0 < int(unit[1]) <= 2 * int(unit[2] or 1):
            raise RefusedError(f"its unit note is {quoted(value)}; expected such as 1/8")
        self.unit = Fraction(4 * int(unit[1]), int(unit[2] or 1))

    def read_meter(self, value: str) -> None:
        """Take the value of an M: field.

        Raises:
            RefusedError: it is no metre.
        """
        value = value.strip()
        free = value.lower() in ("none", "")
        self.metered = True
        self.meter = None if free else Signature.parse(value.upper() if value[0] == "c" else value)

    def default_unit(self) -> None:
        """Set the unit note that goes with the metre: 1/16 if a bar is under three quarters."""
        short = self.meter is not None and self.meter.bar < 3
        self.unit = Fraction(1, 4) if short else Fraction(1, 2)

    @property
    def sounding_key(self) -> tuple[Key | None, int | None]:
        """Key and sharps of the signature as the transposed notes sound."""
        if self.key is None or self.transpose % 12 == 0:
            return self.key, self.fifths if self.transpose % 12 == 0 else None
        pitch_class = (self.key.pitch_class + self.transpose) % 12
        names = (line_of_fifths_name(place) for place in range(-7, 12))
        keys = (Key(name, self.key.mode) for name in names)
        key = min(
            (key for key in keys if key.pitch_class == pitch_class), key=lambda k: abs(k.fifths)
        )
        return key, None if self.fifths is None else key.fifths


def _sharp_or_flat(sign: str) -> str:
    return {"♯": "#", "♭": "b"}.get(sign, sign)


def _tonic(found: re.Match[str], value: str) -> tuple[Key | None, str]:
    """Return the key, None for explicit accidentals alone, and the words behind it."""
    tonic, space, word, rest = found[1] + _sharp_or_flat(found[2]), found[3], found[4], found[5]
    mode = MODES.get(word.lower()[:3])
    if space and (not word or mode is None or (rest[:1] == "=" and word in DRAWN)):
        return Key(tonic), f"{word}{rest}"  # accidentals, a clef or the like
    if mode is None or rest[:1] not in ("", " ", "\t", "^", "_", "="):
        raise RefusedError(f"its key is {quoted(value)}; {KEYS}")
    return (None if mode == "explicit" else Key(tonic, mode)), rest


def _of_signs(tonic: str, signs: dict[str, int]) -> Key | None:
    """Return the key on a tonic whose letters have these alterations."""
    home = (LETTERS[tonic[0]] + ACCIDENTALS[tonic[1:]]) % 12
    steps = sorted({(LETTERS[letter] + sign - home) % 12 for letter, sign in signs.items()})
    for mode in MODE_FIFTHS:
        if list(Key(tonic, mode).steps) == steps:
            return Key(tonic, mode)
    return Key(tonic, ",".join(map(str, steps))) if steps[0] == 0 else None


def read_tempo(value: str, unit: Fraction) -> tuple[float | None, str]:
    """Return the quarter notes per minute of a Q: field, None if it has no numbers, and a notice.

    Args:
        value: such as '"Allegro" 1/4=120', '1/4=100-120' (the mean) or '120' (unit notes).
        unit: the unit note in quarter notes.
    """
    words = " ".join(re.sub(r'"[^"]*"', " ", value).split())
    found = _TEMPO.match(words)
    if found is None:
        lost = re.search(r"\d", value)
        return None, f"its tempo is {quoted(value)}: not read; expected 1/4=120" if lost else ""
    beat = unit
    if found["beat"]:
        each = [part.split("/") for part in found["beat"].split()]
        beat = sum((4 * Fraction(int(a), max(1, int(b))) for a, b in each), Fraction(0))
    elif found["unit"]:
        beat = unit * int(found["count"] or 1) / max(1, int(found["of"] or 1))
    low, high = float(found["low"]), float(found["high"] or found["low"])
    tempo = float(beat) * (low + high) / 2
    doubtful = found["high"] or re.search(r"\d", words[found.end() :])
    read = f"its tempo {quoted(value)} is read as {tempo:g} quarter notes a minute"
    return tempo, read if doubtful else ""


def read_words(value: str) -> str:
    """Return the words of a title with its escapes, such as \\'e or &eacute;, as letters."""

    def letter(found: re.Match[str]) -> str:
        code, ligature, mark, base, plain = found.groups()
        if mark:
            return unicodedata.normalize("NFC", base + COMBINING[mark])
        sign = "\0" if plain == "&" else plain  # which begins no name of a letter
        return chr(int(code, 16)) if code else LIGATURES.get(ligature, sign)

    return html.unescape(_ESCAPE.sub(letter, value)).replace("\0", "&").strip()
