"""Humdrum kern: each `**kern` spine is a part, from the right, and its subspines are voices.

Other spines, such as `**text` and `**dynam`, are left out. The syntax is that of
https://www.humdrum.org/rep/kern.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from envs.errors import RefusedError, quoted
from envs.music.key import MODE_NAMES, Key
from envs.music.piece import Piece
from envs.music.pitch import FIFTHS, LETTERS
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.bars import ZERO, Measure, played_before
from envs.notation.reading.draft import Draft, KeyMark, MeterMark, Part, titled
from envs.notation.reading.selection import Known, one_tune
from envs.notation.reading.sheets.document import decoded
from envs.notation.reading.sheets.ties import Tone, gaps, joined
from envs.notation.reading.time_signatures import Signature

_ENDS = re.compile(r"(?<=\n)\*-(?:\t\*-)*[^\S\n]*(?:\n|$)")  # every spine ends: so does the piece
_DURATION = re.compile(r"(?<![\d%])(\d{1,4})(?:%(\d{1,4}))?(?![\d%])(\.{0,4})(?!\.)")
_PITCH = re.compile(r"([a-g])\1*|([A-G])\2*")
_SIGNS = re.compile(r"#+|-+|n")
_BAR = re.compile(r"=+(\d{1,6})?")
_METER = re.compile(r"\*M(\d+(?:\+\d+)*)/(\d+)(?::.*)?")
_KEY = re.compile(r"\*([a-gA-G])([#-]?):(dor|phr|lyd|mix|aeo|ion|loc)?")
_TITLE = re.compile(r"!!!OTL(?:@[^:]*)?:(.*)")
MOST_SPINES = 500


@dataclass
class _Column:
    """A spine or subspine.

    Attributes:
        part: number of its part from the left, None if it is no kern.
        voice: number of its voice, from 1.
        end: time at which its last note or rest ends.
        cue: its notes are cue notes.
    """

    part: int | None
    voice: int = 1
    end: Fraction = ZERO
    cue: bool = False


def read_kern(data: bytes, known: Known) -> Piece:
    """Read a Humdrum file of kern spines.

    Raises:
        RefusedError: it is broken, holds several pieces, or fits no task.
    """
    return make_piece(read_draft(data, known), known)


def read_draft(data: bytes, known: Known) -> Draft:
    """Return the parts of a Humdrum file.

    Raises:
        RefusedError: it is broken, or holds several pieces and none is chosen.
    """
    pieces = _pieces(data)
    if not pieces:
        raise RefusedError("it has no **kern spine; expected notes in kern")
    reader = _Reader()
    first, piece = pieces[one_tune(len(pieces), known)]
    for number, line in enumerate(piece.split("\n"), first):
        try:
            reader.read(line)
        except RefusedError as error:
            raise RefusedError(f"line {number}: {error}") from None
    draft = reader.draft()
    draft.tunes = len(pieces)
    return draft


@lru_cache(maxsize=1)  # a collection is read piece by piece
def _pieces(data: bytes) -> list[tuple[int, str]]:
    """Return the pieces of a file, each with the number of its first line, from 1.

    A piece ends where all of its spines do.
    """
    text = re.sub("\r\n?", "\n", decoded(data))
    ends = [0, *(found.end() for found in _ENDS.finditer(text)), len(text)]
    pieces, line = [], 1
    for begin, end in pairwise(ends):
        piece = text[begin:end]
        if "**kern" in piece:
            pieces.append((line, piece))
        line += piece.count("\n")
    return pieces


class _Reader:
    """The state while the lines of a file are read."""

    def __init__(self) -> None:
        self.columns: list[_Column] = []
        self.parts: list[Part] = []
        self.notes: list[list[Tone]] = []
        self.title = ""
        self.tempo: float | None = None
        self.now = ZERO
        self.lines: list[tuple[Fraction, str]] = []  # bar lines
        self.labels: list[tuple[Fraction, str]] = []  # of sections
        self.once: set[str] | None = None  # sections that are played when nothing is repeated
        self.repeats = False

    def read(self, line: str) -> None:
        """Read a line."""
        if not line.strip() or line.startswith("!"):
            title = _TITLE.match(line)
            self.title = self.title or titled(html.unescape(title[1]) if title else "")
            return
        tokens = line.split("\t")
        if len(tokens) > MOST_SPINES:
            raise RefusedError(f"it has more than {MOST_SPINES} spines; expected one piece")
        if not self.columns and tokens[0].startswith("**"):
            self.columns = [self._begin(token) for token in tokens]
            return
        if len(tokens) != len(self.columns):
            raise RefusedError(
                f"it has {len(tokens)} columns; expected {len(self.columns)}, one of each spine"
            )
        if line.startswith("*"):
            self._interpret(tokens)
        elif line.startswith("="):
            self.now = max(column.end for column in self.columns)
            self.lines.append((self.now, tokens[0]))
        else:
            self._sound(tokens)

    def _begin(self, token: str) -> _Column:
        """Return the column of a spine that begins."""
        if token != "**kern":
            return _Column(None, end=self.now)
        self.parts.append(Part([]))
        self.notes.append([])
        return _Column(len(self.parts) - 1, end=self.now)

    # -- notes -------------------------------------------------------------------------------------

    def _sound(self, tokens: Sequence[str]) -> None:
        """Read a line of notes, which begin together."""
        found = [
            (column, token)
            for column, token in zip(self.columns, tokens, strict=True)
            if column.part is not None and token != "."
        ]
        timed = [(c, t) for c, t in found if not re.search("[qQ]", t.split(" ")[0])]
        times = {column.end for column, _ in timed}
        if len(times) > 1:
            raise RefusedError("its notes do not begin together, as durations before it say")
        for column, token in timed:
            start, length = column.end, ZERO
            for word in token.split(" "):
                length = _length(word) or length
                pitch = None if column.cue or "r" in word else _pitch(word)
                if pitch is not None:
                    note = Tone(("", str(column.voice)), start, start + length, pitch)
                    note.tied, note.ends_tie = bool({*"[_"} & {*word}), bool({*"]_"} & {*word})
                    self.notes[column.part or 0].append(note)
            first = _length(token.split(" ")[0])
            if first is None:
                raise RefusedError(f"{quoted(token)} has no duration")
            column.end += first

    # -- interpretations ---------------------------------------------------------------------------

    def _interpret(self, tokens: Sequence[str]) -> None:
        self.now = max(column.end for column in self.columns)
        if any(token in ("*^", "*v", "*x", "*+", "*-") or token[:2] == "**" for token in tokens):
            self._turn(tokens)
            return
        for column, token in zip(self.columns, tokens, strict=True):
            if token.startswith("*>"):
                self._section(token[2:])
            if column.part is None:
                continue
            part = self.parts[column.part]
            if token in ("*cue", "*Xcue"):
                column.cue = token == "*cue"
            elif token.startswith('*I"'):
                part.name = part.name or token[3:]
            elif meter := _METER.fullmatch(token):
                part.meters.append(MeterMark(self.now, _signature(meter[1], meter[2])))
            elif token.startswith("*Trd"):
                raise RefusedError(
                    f"its notes are transposed ({quoted(token)}); expected them as they sound: "
                    "write it at concert pitch, or without that word if they sound so"
                )
            elif token.startswith("*MX"):
                part.meters.append(MeterMark(self.now, None))
            elif tempo := re.fullmatch(r"\*MM(\d{1,4}(?:\.\d{1,4})?)", token):
                self.tempo = self.tempo or float(tempo[1])
            elif token.startswith("*k["):
                self._mark_key(part, fifths=_fifths(token[3:].rstrip("]")))
            elif key := _KEY.fullmatch(token):
                self._mark_key(part, key=_key(*key.groups()))

    def _mark_key(self, part: Part, key: Key | None = None, fifths: int | None = None) -> None:
        """Add a signature, or the key that it is of; other keys are no signatures."""
        last = part.keys[-1] if part.keys and part.keys[-1].start == self.now else None
        if last is not None:
            part.keys[-1] = replace(
                last, key=key or last.key, fifths=fifths if key is None else last.fifths
            )
        elif key is None or not part.keys:
            part.keys.append(KeyMark(self.now, key, fifths))

    def _section(self, words: str) -> None:
        """Read the name of a section, or which sections are played."""
        words, is_list, names = words.partition("[")
        if not is_list:
            if not self.labels or self.labels[-1] != (self.now, words):
                self.labels.append((self.now, words))
        elif words:
            self.once = {*names.rstrip("]").split(",")}
        else:
            self.repeats = True

    def _turn(self, tokens: Sequence[str]) -> None:
        """Split, join, exchange, add and end spines."""
        columns: list[_Column] = []
        joining = False
        swapped: int | None = None
        for column, token in zip(self.columns, tokens, strict=True):
            if token == "*v" and joining and columns[-1].part == column.part:
                columns[-1].end = max(columns[-1].end, column.end)
                columns[-1].voice = min(columns[-1].voice, column.voice)
                continue
            joining = token == "*v"
            if token == "*-":
                continue
            if token.startswith("**"):
                column = self._begin(token)
            columns.append(column)
            if token == "*^":
                taken = {each.voice for each in self.columns + columns if each.part == column.part}
                free = min({*range(1, len(taken) + 2)} - taken)
                columns.append(replace(column, voice=free))
            elif token == "*+":
                columns.append(_Column(None, end=self.now))
            elif token == "*x" and swapped is not None:
                columns[swapped], columns[-1], swapped = columns[-1], columns[swapped], None
            elif token == "*x":
                swapped = len(columns) - 1
        self.columns = columns

    # -- the whole ---------------------------------------------------------------------------------

    def draft(self) -> Draft:
        """Return what was read."""
        end = max((note.end for notes in self.notes for note in notes), default=ZERO)
        end = max([end, self.now, *(column.end for column in self.columns)])
        lines = [(ZERO, ""), *self.lines]
        starts = [*(time for time, _ in lines), end]
        skipped = self._skipped(starts)
        measures = [
            Measure(start, after - start, number, at in skipped, bool(re.search(r"[:|!]{2}", mark)))
            for at, ((start, after), number, (_, mark)) in enumerate(
                zip(pairwise(starts), _numbers(lines), lines, strict=True)
            )
        ]
        tied_over = gaps(starts, skipped)
        for part, notes in zip(self.parts, self.notes, strict=True):
            for note in notes:
                note.played = bisect_right(starts, note.start) - 1 not in skipped
            voices = joined(notes, tied_over)
            part.voices = [voices[each] for each in sorted(voices, key=lambda each: int(each[1]))]
            part.measures = measures
        return Draft(self.parts[::-1], self.title, self.tempo)

    def _skipped(self, starts: Sequence[Fraction]) -> set[int]:
        """Return the measures of sections that are played at a repeat only."""
        firsts = [bisect_left(starts, time) for time, _ in self.labels]
        sections = [
            (name, first, end - 1)
            for (_, name), (first, end) in zip(
                self.labels, pairwise([*firsts, len(starts) - 1]), strict=True
            )
        ]
        if self.once is not None:
            left_out = [each for each in sections if each[0] not in self.once]
            return {at for _, first, last in left_out for at in range(first, last + 1)}
        stems: dict[str, list[tuple[str, int, int]]] = {}
        for name, first, last in sections if self.repeats else ():
            if ending := re.fullmatch(r"(.*?)(\d{1,6})", name):
                stems.setdefault(ending[1], []).append((ending[2], first, last))
        return set().union(*map(played_before, stems.values()))


def _length(token: str) -> Fraction | None:
    """Return the quarter notes of a note or rest, None if it does not say."""
    found = _DURATION.search(token)
    if not found:
        return None
    count, of, dots = found.groups()
    if not count.strip("0"):  # a breve, and twice and four times as long
        length = Fraction(4 * 2 ** len(count))
    else:
        length = Fraction(4 * int(of or 1), int(count))
    return length * (2 - Fraction(1, 2 ** len(dots)))


def _pitch(token: str) -> int:
    found = _PITCH.search(token)
    if not found:
        raise RefusedError(f"{quoted(token)} is no note; expected such as 4cc#")
    name = found[0]
    octave = len(name) - 1 if name.islower() else -len(name)
    signs = _SIGNS.search(token, found.end())
    shift = 0 if not signs or signs[0] == "n" else len(signs[0]) * (1 if signs[0][0] == "#" else -1)
    pitch = 60 + 12 * octave + LETTERS[name[0].upper()] + shift
    if not 0 <= pitch <= 127:
        raise RefusedError(f"{quoted(token)} is beyond C-1 to G9")
    return pitch


def _signature(beats: str, unit: str) -> Signature:
    if unit in ("0", "00") and len(beats) < 9:  # breves, and notes twice as long
        counts = (int(count) * 2 ** len(unit) for count in beats.split("+"))
        return Signature.parse(f"{'+'.join(map(str, counts))}/1")
    return Signature.parse(f"{beats}/{unit}")


def _fifths(signs: str) -> int | None:
    """Return the sharps of a signature, None if it is of no key."""
    for order, sign, way in ((FIFTHS, "#", 1), (FIFTHS[::-1], "-", -1)):
        letters = signs.lower().replace(sign, "")
        if signs.count(sign) == len(letters) and order.lower().startswith(letters):
            return way * len(letters)
    return None


def _key(letter: str, sign: str, mode: str | None) -> Key:
    usual = "minor" if letter.islower() else "major"
    return Key(letter.upper() + sign.replace("-", "b"), MODE_NAMES.get(mode or "", usual))


def _numbers(lines: Sequence[tuple[Fraction, str]]) -> list[int | None]:
    """Return the numbers of the measures behind bar lines, None if none is printed."""
    found = [_BAR.match(mark) for _, mark in lines]
    printed = [int(each[1]) if each and each[1] else None for each in found]
    first = next((number for number in printed if number is not None), None)
    if first is None:
        return printed
    number = first - 1
    result: list[int | None] = []
    for each in printed:
        number = number if each is None else each
        result.append(number)
    return result
