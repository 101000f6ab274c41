"""ABC from anywhere, put into words that music21 reads as ABC 2.1 means them.

music21 loses notes behind some decorations and rests of whole bars, and misreads a broken rhythm
or a tuplet where a tie, slur or grace note stands between its notes. All of that is taken out or
spelled out here; none of it is a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from envs.errors import RefusedError, quoted
from envs.music.key import MODE_FIFTHS, Key
from envs.music.pitch import line_of_fifths_name
from envs.music.task import MAX_BARS
from envs.notation.reading.time_signatures import Signature
from envs.notation.reading.times import changed_meter

NO_METER = ("", "none")
READ = "IKLMQTVX"  # the fields that tell notes, bars, key, metre, tempo and title
MODES = {mode[:3]: mode for mode in (*MODE_FIFTHS, "ionian", "aeolian")} | {"m": "minor"}
_FIELD = re.compile(r"([A-Za-z]):(?![|:])|%")
_INLINE = re.compile(r"\[([A-Za-z]):([^\[\]]*)\]")
_NOTE = r"((?:[\^_=]{0,2}[A-Ga-g][,']*|z))(\d*)(/*)(\d*)"
_BROKEN = re.compile(rf"{_NOTE} ?(-?) ?(<+|>+) ?(-?) ?{_NOTE}")


def abc_text(data: bytes) -> str:
    """Return a tune as text with plain ends of lines.

    Raises:
        RefusedError: it is no tune or several tunes.
        UnicodeDecodeError: it is no text.
    """
    text = data.decode("utf-8-sig")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    tunes = len(re.findall("(?m)^X:", text))
    if tunes > 1:
        raise RefusedError(f"it holds {tunes} tunes; expected one: split it")
    if not re.search(r"(?m)^[A-Za-z]:", text):
        raise RefusedError("it has no fields; expected a tune that begins with X: and K:")
    return text


def standard_abc(text: str) -> str:
    """Return the text as music21 needs it.

    Raises:
        RefusedError: several voices written over each other in one bar.
    """
    meter = _signature(next(_values(text, "M"), ""))
    unit = "1/16" if meter and Fraction(meter.plain) < Fraction(3, 4) else "1/8"
    version = re.match(r"%abc-\d\.\d", text)
    bar = _bar_units(text)
    text = _by_voice("\n".join(_line(line, bar) for line in text.split("\n")))
    # It lets an accidental hold to the end of the bar only in a file that names its version.
    return f"{version[0] if version else '%abc-2.1'}\nL:{unit}\n{text}"


def _by_voice(text: str) -> str:
    """Return the tune voice after voice: music21 takes each V: field for a part of its own."""
    head = re.search(r"(?m)^K:.*\n", text)
    if head is None:
        return text
    voices: dict[str, list[str]] = {"": []}
    name = ""
    for line in text[head.end() :].split("\n"):
        field = re.match(r"V:[ \t]*(\S*)", line)
        if field:
            name = field[1]
        else:
            voices.setdefault(name, []).append(line)
    start = re.sub(r"(?m)^V:.*\n", "", text[: head.end()])
    sung = {name: lines for name, lines in voices.items() if any(map(_is_music, lines))}
    start += "".join(f"{line}\n" for line in voices[""] if "" not in sung)
    if len(sung) < 2:
        return start + "\n".join(line for lines in sung.values() for line in lines)
    parts = [f"V:{number}\n" + "\n".join(lines) for number, lines in enumerate(sung.values(), 1)]
    return start + "\n".join(parts)


def _is_music(line: str) -> bool:
    return not _FIELD.match(line) and re.search("[A-Ga-gz]", line) is not None


def _line(line: str, bar: Fraction | None) -> str:
    """Return a line of any kind; a field that is not read is left empty.

    Args:
        line: of the tune.
        bar: its length in unit lengths.
    """
    named = _FIELD.match(line)
    if named is not None:
        return _field(named[1], line[2:]) if named[1] else ""
    # What is no note, bar line, tuplet or tie is taken out. Fields inside a line stand on lines of
    # their own; remarks and the like are dropped.
    parts = _INLINE.split(re.sub(r'"[^"]*"', "", line).split("%")[0])
    out = [_notes(parts[0], bar)]
    for letter, value, music in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        field = _field(letter, value) if letter in "KLMV" else ""
        out += [f"\n{field}\n" if field else "", _notes(music, bar)]
    return "".join(out)


def _field(letter: str, value: str) -> str:
    """Return a field as music21 reads it, '' if it is not read.

    Raises:
        RefusedError: it is no such metre or unit note.
    """
    if letter not in READ:
        return ""
    if letter == "T":
        return f"T:{' '.join(value.split())}"
    value = " ".join(value.split("%")[0].split())
    if letter == "M":
        # Not given to music21, which invents metres for bars of other lengths and takes seconds
        # for a long one; what is read of it are the bar lines.
        _signature(value)
        return ""
    if letter == "L":
        unit = re.fullmatch(r"(\d{1,3})(?:/([1-9]\d{0,2}))?", value)
        if value and (unit is None or not 0 < int(unit[1]) <= int(unit[2] or 1)):
            raise RefusedError(f"its unit note is {quoted(value)}; expected such as 1/8")
    if letter == "K":
        # It lowers a tune by two octaves for a bass clef behind K:, and misses some modes.
        value = re.sub(r" (?:clef=)?bass\b", "", value, count=1)
        value = re.sub(r"(?i)^([A-G][#b]?) ?(loc|lyd)[a-z]*", _as_major, value)
    return f"{letter}:{value}"


def _as_major(found: re.Match[str]) -> str:
    mode = "locrian" if found[2].lower() == "loc" else "lydian"
    return line_of_fifths_name(Key.parse(f"{found[1]} {mode}").fifths)


def _notes(music: str, bar: Fraction | None) -> str:
    if "&" in music:
        raise RefusedError("it writes voices over each other with '&'; expected a V: field each")
    music = re.sub(r"![^!]*!|\+[a-z]+\+|\{[^{}]*\}|y\d*|[H-WYh-w~.`]", "", music)
    music = re.sub(r"\s+", " ", music)
    music = re.sub(r"\((?!\d)|\)", "", music).replace("x", "z").replace("X", "Z")
    music = re.sub(r"Z(\d*)", lambda found: _whole_bars(found, bar), music)
    # Endings in one spelling, apart from the bar line: it knows [1 and [2 only.
    music = re.sub(r"(?:(?<=\|)|\[)1(?:[,-]\d)*(?=\D|$)", " [1 ", music)
    music = re.sub(r"(?:(?<=\|)|\[)[2-9](?:[,-]\d)*(?=\D|$)", " [2 ", music)
    place = 0
    while found := _BROKEN.search(music, place):  # the second note may begin another
        place = found.start()
        music = music[:place] + _spelled_out(found) + music[found.end() :]
    # It reads A/ and A// but not A3//.
    return re.sub(r"(\d)(//+)(?!\d)", lambda found: f"{found[1]}/{2 ** len(found[2])}", music)


def _spelled_out(found: re.Match[str]) -> str:
    """Return two notes of a broken rhythm with their lengths: A>B is A3/2B1/2."""
    first, before, sign, after, second = found[1], found[5], found[6], found[7], found[8]
    short = Fraction(1, 2 ** min(len(sign), 6))
    factors = (2 - short, short) if sign[0] == ">" else (short, 2 - short)
    lengths = [
        length(*found.group(*group)) * factor
        for group, factor in zip(((2, 3, 4), (9, 10, 11)), factors, strict=True)
    ]
    one, two = (f"{each.numerator}/{each.denominator}" for each in lengths)
    return f"{first}{one}{before or after}{second}{two}"


def length(number: str, slashes: str, divisor: str) -> Fraction:
    """Return an ABC length such as 3, /, // or 3/2 as a multiple of the unit length."""
    below = int(divisor) if divisor else 2 ** min(len(slashes), 10)
    return Fraction(int(number or 1), below or 1)


def _whole_bars(found: re.Match[str], bar: Fraction | None) -> str:
    if bar is None or bar.denominator > 1:
        raise RefusedError("it has rests of whole bars but no metre; expected an M: field")
    bars = min(int(found[1][:5] or 1), MAX_BARS + 1)  # with more it is refused, but not at length
    return "|".join([f"z{bar}"] * bars)


# -- what its fields say ---------------------------------------------------------------------------


def _fields(text: str, letter: str) -> Iterator[tuple[str, int]]:
    """Yield the values of a field and where they stand, inside the music as well."""
    for found in re.finditer(rf"(?m)^{letter}:([^%\n]*)|\[{letter}:([^\]\n]*)\]", text):
        yield (found[1] or found[2] or "").strip(), found.start()


def _values(text: str, letter: str) -> Iterator[str]:
    return (value for value, _ in _fields(text, letter))


def _bar_at(text: str, place: int) -> int:
    """Return the number of the bar that begins at a place in the text."""
    key = re.search(r"(?m)^K:.*$", text)
    tune = text[key.end() if key else 0 : place]
    music = re.sub(r'(?m)^[A-Za-z]:(?![|:]).*$|%.*$|"[^"]*"|\[[A-Z]:[^\]]*\]', "", tune)
    parts = re.split(r"(?<![:\[\]])[:\[\]]*\|[|:\[\]\d]*", music)
    bars = [part for part in parts if re.search("[A-Gza-g]", part)]
    units = sum((length(*each[1:]) for each in re.findall(_NOTE, bars[0])) if bars else ())
    bar = _bar_units(text)
    upbeat = bar is not None and units < bar
    return len(bars) + 1 - upbeat


def _bar_units(text: str) -> Fraction | None:
    """Return the length of a bar in unit lengths."""
    meter = _signature(next(_values(text, "M"), ""))
    if meter is None:
        return None
    bar = Fraction(meter.plain)
    unit = re.fullmatch(r"(\d{1,2})/([1-9]\d{0,2})", next(_values(text, "L"), ""))
    if unit is None:
        return bar * (16 if bar < Fraction(3, 4) else 8)
    return bar / Fraction(max(1, int(unit[1])), int(unit[2]))


def _signature(value: str) -> Signature | None:
    return None if value in NO_METER else Signature.parse(value)


@dataclass(frozen=True)
class AbcFields:
    """Key and metre by the fields of a tune, as music21 invents or misses some of them.

    Attributes:
        text: of the tune.
    """

    text: str

    @property
    def meter(self) -> Signature | None:
        """The metre of the M: fields; None if they name none.

        Raises:
            RefusedError: it changes.
        """
        found = [(_signature(value), place) for value, place in _fields(self.text, "M")]
        meter = next((each for each, _ in found if each), None)
        for each, place in found:
            if meter and each != meter:
                raise changed_meter(meter, each, _bar_at(self.text, place))
        return meter

    @property
    def key(self) -> Key | None:
        """The key of the first K: field, None if it is no tonic and mode."""
        words = next(_values(self.text, "K"), "")
        if words[:2].lower() == "hp":  # the highland pipes
            return Key("A", "mixolydian")
        found = re.match(r"([A-G][#b]?)[ \t]*([A-Za-z]*)", words)
        if found is None or "exp" in words:
            return None
        word = found[2].lower()
        # Another word is no mode but a clef or the like: K:D treble.
        return Key.parse(f"{found[1]} {MODES.get(word[:3], 'major')}")

    @property
    def changes_key(self) -> bool:
        """True if the tune has several keys."""
        return len({value for value in _values(self.text, "K") if value}) > 1
