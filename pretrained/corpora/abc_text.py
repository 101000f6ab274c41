"""The text of an ABC tune, prepared for music21's tokenizer.

A broken rhythm or a tuplet is misread by music21 if a tie, slur, grace note or bowing mark stands
between its notes, so everything is removed that is no note, bar line, tuplet or tie. The metre is
read here as well: music21's own bars have invented metres at pickups.
"""

from __future__ import annotations

import re
from fractions import Fraction


class TuneError(ValueError):
    """A tune that cannot be written on a grid of 16ths; the message is one of a few reasons."""


def fields(text: str, letter: str) -> list[str]:
    """Return the values of a header or body field of an ABC tune, without comments."""
    values = re.findall(rf"(?m)^{letter}:(?![|:])(.*)$", text)
    return [value.split("%")[0].strip() for value in values]


def read_meter(text: str) -> tuple[int, int]:
    """Return numerator and denominator of a tune's M: and inline [M:] fields.

    Raises:
        TuneError: no metre, or several.
    """
    named = {"C": "4/4", "c": "4/4", "C|": "2/2", "c|": "2/2"}
    values: list[str] = fields(text, "M") + re.findall(r"\[M:([^\[\]]*)\]", text)
    meters = {named.get(value.strip(), value.strip()) for value in values}
    if not meters:
        raise TuneError("no metre")
    if len(meters) > 1:
        raise TuneError("metre changes")
    match = re.fullmatch(r"(\d{1,2})\s*/\s*(1|2|4|8|16)", meters.pop())
    if not match or not int(match[1]):
        raise TuneError("no metre")
    return int(match[1]), int(match[2])


def _top_note(match: re.Match[str]) -> str:
    """Return the ABC of a chord's highest note, with the length of its first note."""
    notes = re.findall(r"([\^_=]*)([A-Ga-gz])([,']*)(\d*)(/*)(\d*)", match[1])
    if not notes:
        return " "

    def height(note: tuple[str, ...]) -> int:
        octave = note[2].count("'") - note[2].count(",") + note[1].islower()
        return -100 if note[1] == "z" else 7 * octave + "cdefgab".index(note[1].lower())

    top = max(notes, key=height)
    length = _fraction(*notes[0][3:]) * _fraction(*match.group(2, 3, 4))
    return f"{''.join(top[:3])}{length.numerator}/{length.denominator}"


def _fraction(number: str, slashes: str, divisor: str) -> Fraction:
    """Return an ABC length such as 3, /, // or 3/2 as a multiple of the unit length."""
    below = int(divisor) if divisor else 2 ** len(slashes)
    return Fraction(int(number or 1), below or 1)


def clean_line(line: str) -> str:
    """Remove everything from a line of music that is no note, bar line, tuplet or tie."""
    # Some files are quoted-printable e-mail: =20 is a space, =3D an equals sign.
    line = re.sub(r"=20\b|=\s*$", "", line).replace("=3D", "=")
    line = re.sub(r'"[^"]*"', "", line).split("%")[0]
    line = re.sub(r"![\w.():]+!|\+[a-z]+\+|\[[A-Za-z]:[^\[\]]*\]|\{[^{}]*\}", "", line)
    line = line.replace("[|]", "|")
    line = re.sub(r"y\d*|[^A-Ga-gxzZ\d\s|:\[\](<>/,'^=_-]", "", line)
    # Z means z in these files; x is a rest if it has a length, else an editor's mark.
    line = re.sub(r"x(?=\d)|Z", "z", line).replace("x", "")
    line = re.sub(r"\[([^\[\]|:\d][^\[\]|:]*)\](\d*)(/*)(\d*)", _top_note, line)
    line = re.sub(r"\((?!\d)", "", line)
    line = re.sub(r"\[(?![12|])|(?<!\|)\]", "", line)  # brackets left without their partner
    # music21 reads A/ and A// but not A3//.
    line = re.sub(r"(\d)(//+)(?!\d)", lambda m: f"{m[1]}/{2 ** len(m[2])}", line)
    # A space before it, or music21 reads D:: as a field.
    line = re.sub(r"(?<![|:]):", " :", line)
    # Endings get one spelling, with a space before it: music21 reads only [1 and [2.
    line = re.sub(r"(?:(?<=[|:])|\[)1(?:[,-]\d)*(?=\D|$)", " [1 ", line)
    return re.sub(r"(?:(?<=[|:])|\[)[2-9](?:[,-]\d)*(?=\D|$)", " [2 ", line)


def clean_tune(text: str) -> str:
    """Return the M:, L: and K: fields of a tune and the cleaned music of its first voice.

    Raises:
        TuneError: no key, or lengths of absurd numbers.
    """
    head, key, body = text.partition("\nK:")
    if not key:
        raise TuneError("no key")
    out = [f"M:{value}" for value in fields(head, "M")] + [f"L:{v}" for v in fields(head, "L")]
    body = re.sub(r"\[([KL]:[^\[\]]*)\]", r"\n\1\n", body)
    # The music ends at the first empty line; remarks follow.
    lines = re.split(r"\n[ \t]*\n", "K:" + body)[0].split("\n")
    voice = "1"
    for line in lines:
        voice_line = re.match(r"\[?V:\s*(\w+)", line)
        if voice_line:
            voice = voice_line[1]
        is_field = re.match(r"([A-Za-z]):(?![|:])", line)
        if is_field and is_field[1] in "KLM":
            out.append(line.split("%")[0].strip())
        elif not is_field and voice == "1":
            if re.search(r"\d{6}|/{9}", line.split("%")[0]):
                raise TuneError("rhythm off the 16th grid")
            out.append(clean_line(line))
    return "\n".join(out) + "\n"
