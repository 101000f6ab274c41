"""Files of ABC: encodings, the tunes of a collection, text that is no music."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from functools import lru_cache

from envs.errors import RefusedError, quoted
from envs.music.piece import Piece
from envs.notation.reading.abc_tune.fields import FIELD
from envs.notation.reading.abc_tune.tune import TuneReader
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.draft import Draft
from envs.notation.reading.selection import Known, one_tune
from envs.notation.reading.times import refusing

LONGEST_FIELD = 20_000  # characters of a field over several lines
MOST_LINES = 300_000  # of a collection
MOST_TEXT = 100_000_000  # characters of the tunes of a collection, each alone
CHARSETS = r"utf-?8|us-ascii|iso-?8859-\d{1,2}|latin-?\d|(?:windows-|cp)125\d|mac-?roman|koi8-r"
_CHARSET = re.compile(r"(?:%%|I:)abc-charset\b")
_TUNE = re.compile(r"X:(?![|:])")
Line = tuple[int, str]  # number from 1, and text without the spaces around it
Lines = tuple[list[Line], list[Line]]  # of a tune, and of music behind its end


def read_abc(data: bytes, known: Known) -> Piece:
    """Read a tune in ABC.

    Raises:
        RefusedError: as `read_draft` and `make_piece`.
    """
    return make_piece(read_draft(data, known), known)


def read_draft(data: bytes, known: Known) -> Draft:
    """Return the notes of one tune of a file in ABC as written: repeats are not played.

    Raises:
        RefusedError: it is no ABC, holds several tunes and none is chosen, or has notes that
            cannot be read right.
    """
    with refusing("ABC"):
        return _draft(*_tunes(data), known)


def read_text(text: str, known: Known) -> Draft:
    """Return what `read_draft` does of a text, whatever encoding it names.

    Raises:
        RefusedError: as `read_draft`.
    """
    with refusing("ABC"):
        return _draft(*_split(_clean(text)), known)


def tunes(text: str) -> list[str]:
    """Return the tunes of a file's text, each as a text that can be read alone.

    Raises:
        RefusedError: it is no text, or what holds for every tune is too long to stand in each.
    """
    head, found = _split(_clean(text))
    if len(found) * sum(len(line) for _, line in head) > MOST_TEXT:
        raise RefusedError("the fields before its first tune are too long for so many tunes")
    texts = ([*head, *tune, *([(0, ""), *behind] if behind else ())] for tune, behind in found)
    return ["\n".join(w for _, w in lines if not _CHARSET.match(w)) + "\n" for lines in texts]


def _draft(head: list[Line], found: list[Lines], known: Known) -> Draft:
    """Return the notes of one of the tunes of a file."""
    if not found:
        raise RefusedError("it holds no tune; expected fields such as X: and K: before the music")
    lines, behind = found[one_tune(len(found), known)]
    draft = TuneReader(head + lines).draft
    draft.tunes = len(found)
    if behind:
        draft.notices.append(
            f"line {behind[0][0]}: not read, as an empty line ends the tune above it"
        )
    return draft


# -- text ------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)  # a collection is read tune by tune
def _tunes(data: bytes) -> tuple[list[Line], list[Lines]]:
    """Return what `_split` does of a file in one of the encodings of ABC.

    Raises:
        RefusedError: it is no text, or in an unknown encoding.
    """
    named = re.search(rb"(?:\A|[\r\n])[ \t]*(?:%%|I:)abc-charset[ \t]+([\w-]{1,20})", data)
    name = named[1].decode().lower() if named else "utf-8"
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        name = "utf-16"
    elif data.startswith(codecs.BOM_UTF8):
        name = "utf-8"
    elif not re.fullmatch(CHARSETS, name):
        raise RefusedError(f"its abc-charset is {quoted(name)}; expected such as utf-8")
    try:
        text = data.decode(name)
    except (UnicodeDecodeError, LookupError):
        text = data.decode("cp1252", errors="replace")
    return _split(_clean(text))


def _clean(text: str) -> str:
    """Return the text of a file with Unix's ends of lines, and without what no file can hold.

    Raises:
        RefusedError: it is no text, or too long.
    """
    text = text.removeprefix("\ufeff").encode(errors="replace").decode()
    text = re.sub(r"\r\n?|\f", "\n", text)
    if text.count("\n") > MOST_LINES:
        raise RefusedError(f"it has more than {MOST_LINES} lines; expected fewer tunes")
    strange = re.search(r"[\x00-\x08\x0b\x0e-\x19\x1b-\x1f]", text)
    if strange:
        raise RefusedError(f"not readable as ABC: it holds {strange[0]!r}, so it is no text")
    return text


def _split(text: str) -> tuple[list[Line], list[Lines]]:
    """Return the lines that hold for every tune of a file, and those of each tune.

    Left out are what stands between %%begin... and %%end..., text between tunes, and what stands
    behind the empty line at the end of a tune.
    """
    head: list[Line] = []
    found: list[Lines] = []
    lines = list(_lines(text))
    numbered = any(_TUNE.match(line) for _, line in lines)
    in_head = ended = False
    for number, line in lines:
        if _TUNE.match(line) or (not numbered and not found and FIELD.match(line)):
            found.append(([], []))
            in_head, ended = True, False
        elif not found:
            if re.match(r"%|[ILMUm]:|$", line) and not ended:
                head.append((number, line))
            else:
                ended = True  # text, and no fields for the whole file behind it
            continue
        in_head &= not line.startswith("K:")
        ended |= not line and not in_head
        if not ended:
            found[-1][0].append((number, line))
        elif "|" in line and not FIELD.match(line):
            found[-1][1].append((number, line))
    return head, found


def _lines(text: str) -> Iterator[Line]:
    """Yield the lines with fields in one piece and without text to be printed.

    Raises:
        RefusedError: a text has no end.
    """
    before: Line | None = None
    until, began = "", 0
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        if until:
            until = "" if re.match(f"%%{until}(?!\\w)", line) else until
        elif begin := re.match(r"%%begin(\w+)", line):
            until, began = f"end{begin[1]}", number
        elif line.startswith("+:"):
            if before is None or not FIELD.match(before[1]):
                raise RefusedError(f"line {number}: '+:' goes on with a field; none is before it")
            before = before[0], f"{before[1]} {line[2:].strip()}"
            if len(before[1]) > LONGEST_FIELD:
                raise RefusedError(
                    f"line {number}: a field of more than {LONGEST_FIELD} characters"
                )
        elif line.startswith("%") and not line.startswith("%%") and before is not None:
            continue  # a remark, which may stand before +:
        else:
            yield from [before] if before else []
            before = number, line
    if until:
        raise RefusedError(f"line {began}: the text has no end; expected %%{until}")
    yield from [before] if before else []
