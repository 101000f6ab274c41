"""One ABC tune -> one monophonic grid of 16th notes.

music21's ABC tokenizer reads notes, accidentals, keys and lengths; this module prepares the text
for it and lays its notes on the grid. The text has to be prepared because a broken rhythm or a
tuplet is misread by music21 when a tie, slur, grace note or bowing mark stands between its notes.
Metre and bar lines are read here as well: music21's own bars carry invented metres at pickups.

Not read: grace notes, all voices but the first, chord notes below the top one; repeats are not
expanded.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

REST, HOLD, FIRST_PITCH = 0, 1, 2
LOWEST_MIDI, HIGHEST_MIDI = 48, 83
CENTRE_MIDI = 66
MAX_OFF_GRID, MAX_LOST, MAX_WRONG_BARS, MAX_OUT_OF_KEY = 0.15, 0.10, 0.20, 0.20
MIN_NOTES = 8
MAX_TEXT = 20_000  # characters of a tune; those of the corpus have 2,500 at most
MAX_CELLS = 20_000  # of a tune
# Tonic pitch class of each mode once the tune has neither sharps nor flats.
MODE_TONIC = {
    "major": 0, "ionian": 0, "dorian": 2, "phrygian": 4, "lydian": 5, "mixolydian": 7,
    "minor": 9, "aeolian": 9,
}  # fmt: skip
WHITE_KEYS = (0, 2, 4, 5, 7, 9, 11)


class TuneError(ValueError):
    """A tune that has no faithful 16th-note grid; the message is the reason, fit for counting."""


@dataclass(frozen=True)
class GridTune:
    """A tune on the grid, transposed to no sharps or flats.

    tokens: int16 [T]; 0 rest, 1 hold, t >= 2 the onset of MIDI pitch t + 46.
    position: int16 [T]; cells since the start of the bar, 0 <= position < cells in a bar.
    meter: numerator and denominator. tonic: pitch class 0..11 of the transposed tonic.
    out_of_key: more than a fifth of the notes lie outside the key signature.
    """

    tokens: NDArray[np.int16]
    position: NDArray[np.int16]
    meter: tuple[int, int]
    tonic: int
    title: str
    out_of_key: bool


@dataclass
class Event:
    """A note or rest in a bar: onset in cells from the bar line, MIDI pitch or None."""

    onset: Fraction
    midi: int | None
    in_tuplet: bool


@dataclass
class Bar:
    """One bar of a tune, from bar line to bar line; lengths and onsets in cells (16ths).

    strong: opened by a repeat sign or double bar. volta: number of the ending that it opens, or 0.
    first_ending: where in the bar a first ending begins, if it begins inside.
    """

    events: list[Event] = field(default_factory=list)
    length: Fraction = Fraction(0)
    strong: bool = False
    volta: int = 0
    first_ending: Fraction | None = None


def fields(text: str, letter: str) -> list[str]:
    """The values of one header or body field of an ABC tune, comments removed."""
    found = re.findall(rf"(?m)^{letter}:(?![|:])(.*)$", text)
    return [value.split("%")[0].strip() for value in found]


def read_meter(text: str) -> tuple[int, int]:
    """Metre of the tune from its M: fields, which must agree, inline [M:] included."""
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
    """The highest note of a chord, as long as its first note, as ABC has it."""
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
    """An ABC length such as 3, /, // or 3/2 as a multiple of the unit length."""
    below = int(divisor) if divisor else 2 ** len(slashes)
    return Fraction(int(number or 1), below or 1)


def clean_line(line: str) -> str:
    """One line of ABC music with everything removed that is no note, bar line, tuplet or tie."""
    # Some files went through quoted-printable e-mail: =20 is a space, =3D an equals sign.
    line = re.sub(r"=20\b|=\s*$", "", line).replace("=3D", "=")
    line = re.sub(r'"[^"]*"', "", line).split("%")[0]
    line = re.sub(r"![\w.():]+!|\+[a-z]+\+|\[[A-Za-z]:[^\[\]]*\]|\{[^{}]*\}", "", line)
    line = line.replace("[|]", "|")
    line = re.sub(r"y\d*|[^A-Ga-gxzZ\d\s|:\[\](<>/,'^=_-]", "", line)
    # Z stands for z in these files; x is a rest where it has a length, else an editor's mark.
    line = re.sub(r"x(?=\d)|Z", "z", line).replace("x", "")
    line = re.sub(r"\[([^\[\]|:\d][^\[\]|:]*)\](\d*)(/*)(\d*)", _top_note, line)
    line = re.sub(r"\((?!\d)", "", line)
    line = re.sub(r"\[(?![12|])|(?<!\|)\]", "", line)  # brackets left without their partner
    # music21 reads A/ and A// but not A3//.
    line = re.sub(r"(\d)(//+)(?!\d)", lambda m: f"{m[1]}/{2 ** len(m[2])}", line)
    # Apart from its note, or music21 takes D:: for a field.
    line = re.sub(r"(?<![|:]):", " :", line)
    # Endings in one spelling, apart from the bar line: music21 knows [1 and [2 only.
    line = re.sub(r"(?:(?<=[|:])|\[)1(?:[,-]\d)*(?=\D|$)", " [1 ", line)
    return re.sub(r"(?:(?<=[|:])|\[)[2-9](?:[,-]\d)*(?=\D|$)", " [2 ", line)


def clean_tune(text: str) -> str:
    """The tune as the tokenizer gets it: M:, L: and K: fields and the music of the first voice."""
    head, key, body = text.partition("\nK:")
    if not key:
        raise TuneError("no key")
    out = [f"M:{value}" for value in fields(head, "M")] + [f"L:{v}" for v in fields(head, "L")]
    body = re.sub(r"\[([KL]:[^\[\]]*)\]", r"\n\1\n", body)
    # Music ends at the first empty line; what follows are remarks.
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


def _tokens(cleaned: str) -> tuple[list[Any], set[int]]:
    """music21 tokens with pitch and length, ties taken out; and the ids of the tied notes."""
    from music21 import abcFormat

    # Version 2.1: an accidental lasts until the bar line. music21's default forgets it at once.
    handler = abcFormat.ABCHandler(abcVersion=(2, 1, 0))
    handler.tokenize(cleaned)
    kept: list[Any] = []
    tied: set[int] = set()
    for token in handler.tokens:
        if isinstance(token, abcFormat.ABCTie):
            notes = (t for t in reversed(kept) if isinstance(t, abcFormat.ABCNote))
            tied.add(id(next(notes, None)))
        else:
            kept.append(token)
    handler.tokens = kept
    handler.tokenProcess()
    return kept, tied


def read_bars(cleaned: str) -> list[Bar]:
    """The bars of a cleaned tune; a bar is cut wherever the ABC has a bar line."""
    from music21 import abcFormat, pitch

    tokens, tied = _tokens(cleaned)
    bars = [Bar(strong=True)]
    held: tuple[str, int] | None = None  # spelling and pitch of a note tied to the next
    for token in tokens:
        bar = bars[-1]
        if isinstance(token, abcFormat.ABCBar):
            volta = int(token.isRepeatBracket())
            if volta and bar.length:
                bar.first_ending = bar.length
            elif volta:
                bar.volta = volta
            elif bar.length:
                bars.append(Bar(strong=token.src.strip() != "|"))
            else:
                bar.strong |= token.src.strip() != "|"
        elif isinstance(token, abcFormat.ABCNote):
            length = Fraction(token.quarterLength).limit_denominator(1024) * 4
            if token.activeTuplet is not None:
                length *= Fraction(token.activeTuplet.tupletMultiplier())
            midi = pitch.Pitch(token.pitchName).midi if token.pitchName else None
            spelling = re.sub(r"[\d/]", "", token.src)
            # A tied note keeps its accidental over the bar line: compare the letters as well.
            if midi is None or held is None or not (midi == held[1] or spelling == held[0]):
                bar.events.append(Event(bar.length, midi, token.activeTuplet is not None))
            else:
                midi = held[1]
            held = (spelling.lstrip("^_="), midi) if id(token) in tied and midi else None
            bar.length += length
    return [bar for bar in bars if bar.length]


def bar_starts(bars: list[Bar], bar_cells: int) -> tuple[list[int], int]:
    """Where in the metre each bar begins, and how many bars have an unexplained length.

    A bar opened by a repeat sign or double bar may be short: it is a pickup, counted from the end
    of the metre's bar, unless it is an ending or the last bar. The bar before such a sign may be
    short too. A second ending begins where the first one began.

    Returns:
        Cells into the metre's bar at which each bar begins, one per bar; the number of wrong bars.
    """
    starts: list[int] = []
    wrong = first_ending = 0
    for i, bar in enumerate(bars):
        cells = round(bar.length)
        last = i + 1 == len(bars)
        closes = last or bars[i + 1].strong
        fits = bar.length % bar_cells == 0
        start = 0
        if bar.volta > 1:
            start = first_ending
        elif bar.strong and not fits and (i == 0 or not last):
            start = -cells % bar_cells
        if bar.volta == 1:
            first_ending = start
        if bar.first_ending is not None:
            first_ending = (start + round(bar.first_ending)) % bar_cells
        explained = bar.length < bar_cells and (bar.strong or bar.volta > 0 or closes)
        wrong += not (fits or explained)
        starts.append(start)
    return starts, wrong


def _cells(bar: Bar) -> tuple[dict[int, int | None], int, int]:
    """Snap the events of a bar to whole cells.

    Events on the grid keep their cell. Others go to the nearest cell (halves to the earlier one)
    if it is free and inside the bar; otherwise they are lost, like an ornament.

    Returns:
        cell -> MIDI or None; how many onsets lie off the grid outside tuplets; how many are lost.
    """
    size = round(bar.length)
    placed: dict[int, int | None] = {}
    off_grid = lost = 0
    for event in sorted(bar.events, key=lambda e: (e.onset.denominator != 1, e.onset)):
        cell = math.ceil(event.onset - Fraction(1, 2))
        off_grid += event.onset.denominator != 1 and not event.in_tuplet
        if cell in placed or cell >= size:
            lost += event.midi is not None
        else:
            placed[cell] = event.midi
    return placed, off_grid, lost


def lay_out(bars: list[Bar], bar_cells: int) -> tuple[list[int | None], list[int]]:
    """Write bars on the grid.

    Returns:
        Per cell a MIDI pitch, None for the onset of a rest, or -1 for a hold; per cell its
        position in the bar.
    """
    starts, wrong = bar_starts(bars, bar_cells)
    if wrong > MAX_WRONG_BARS * len(bars):
        raise TuneError("bars do not fit the metre")
    if sum(bar.length for bar in bars) > MAX_CELLS:
        raise TuneError("longer than any tune")
    grid: list[int | None] = []
    position: list[int] = []
    off_grid = lost = 0
    for bar, start in zip(bars, starts, strict=True):
        placed, bar_off_grid, bar_lost = _cells(bar)
        off_grid += bar_off_grid
        lost += bar_lost
        for cell in range(round(bar.length)):
            grid.append(placed.get(cell, -1))
            position.append((start + cell) % bar_cells)
    onsets = sum(event.midi is not None for bar in bars for event in bar.events)
    if onsets < MIN_NOTES:
        raise TuneError("fewer than 8 notes")
    if off_grid > MAX_OFF_GRID * onsets or lost > MAX_LOST * onsets:
        raise TuneError("rhythm off the 16th grid")
    return grid, position


def to_tokens(grid: list[int | None], shift: int) -> NDArray[np.int16]:
    """Tokens int16 [T] of a laid-out tune, transposed by `shift` semitones."""
    tokens: list[int] = []
    started = resting = False
    for cell in grid:
        if cell is None or cell < 0:
            # Before the first note there is nothing to hold; successive rests are one rest.
            silent = cell is None and not resting
            tokens.append(REST if silent or not started else HOLD)
            resting |= cell is None
        else:
            tokens.append(cell + shift - LOWEST_MIDI + FIRST_PITCH)
            started, resting = True, False
    return np.array(tokens, dtype=np.int16)


def read_key(cleaned: str) -> tuple[int, int]:
    """Sharps (negative: flats) of the first K: field, and the tonic once they are gone."""
    from music21 import abcFormat

    value = next(iter(fields(cleaned, "K")), "")
    meta = abcFormat.ABCMetadata(f"K:{value}")
    meta.preParse()
    sharps, mode = meta.getKeySignatureParameters()
    if value == "Hp":
        mode = "mixolydian"  # the highland pipes: A with two sharps
    if mode not in MODE_TONIC:
        raise TuneError("no key")
    return sharps, MODE_TONIC[mode]


def choose_shift(pitches: list[int], sharps: int) -> int:
    """Semitones that cancel the signature and bring the mean pitch nearest to the centre."""
    mean = sum(pitches) / len(pitches)
    fitting = [
        shift
        for shift in range(-48, 49)
        if (shift + 7 * sharps) % 12 == 0
        and min(pitches) + shift >= LOWEST_MIDI
        and max(pitches) + shift <= HIGHEST_MIDI
    ]
    if not fitting:
        raise TuneError("range wider than C3-B5")
    return min(fitting, key=lambda shift: (abs(mean + shift - CENTRE_MIDI), abs(shift)))


def read_tune(text: str) -> GridTune:
    """Convert one ABC tune (from its X: field on) to the grid.

    Raises:
        TuneError: the tune has no usable metre, key, rhythm, bars or range, or is none.
    """
    if len(text) > MAX_TEXT:
        raise TuneError("longer than any tune")
    meter = read_meter(text)
    bar_cells, rest = divmod(16 * meter[0], meter[1])
    if rest:
        raise TuneError("rhythm off the 16th grid")
    cleaned = clean_tune(text)
    try:
        (sharps, tonic), bars = read_key(cleaned), read_bars(cleaned)
    except TuneError:
        raise
    except Exception:  # music21 raises whatever its code runs into
        raise TuneError("not readable as ABC") from None
    grid, position = lay_out(bars, bar_cells)
    pitches = [cell for cell in grid if cell is not None and cell >= 0]
    tokens = to_tokens(grid, choose_shift(pitches, sharps))
    outside = ~np.isin((tokens[tokens >= FIRST_PITCH] - FIRST_PITCH) % 12, WHITE_KEYS)
    return GridTune(
        tokens=tokens,
        position=np.array(position, dtype=np.int16),
        meter=meter,
        tonic=tonic,
        title=(fields(text, "T") or [""])[0],
        out_of_key=bool(outside.mean() > MAX_OUT_OF_KEY),
    )
