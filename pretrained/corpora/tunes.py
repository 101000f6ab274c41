"""ABC tunes read as grids of 16th notes with one voice.

music21's ABC tokenizer reads notes, accidentals, keys and lengths; this module puts them on the
grid. Not read are grace notes, all voices but the first, and chord notes below the top one; repeats
are not expanded.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.music.codec import FIRST_PITCH, HOLD, REST, Codec
from envs.music.key import MODE_FIFTHS, SCALES
from envs.music.meter import Meter
from pretrained.corpora.abc_text import TuneError, clean_tune, fields, read_meter

CENTRE_MIDI = 66
MAX_OFF_GRID, MAX_LOST, MAX_WRONG_BARS, MAX_OUT_OF_KEY = 0.15, 0.10, 0.20, 0.20
MIN_NOTES = 8
MAX_TEXT = 20_000  # characters of a tune; those of the corpus have 2,500 at most
MAX_CELLS = 20_000  # of a tune
# Pitch class of each mode's tonic in the key without sharps and flats.
MODE_TONIC = {mode: 7 * fifths % 12 for mode, fifths in MODE_FIFTHS.items()}
MODE_TONIC |= {"ionian": MODE_TONIC["major"], "aeolian": MODE_TONIC["minor"]}
WHITE_KEYS = SCALES["major"]


@dataclass(frozen=True, eq=False)
class GridTune:
    """A tune of one voice in C major, A minor or another mode without sharps and flats.

    Attributes:
        tokens: int16 (T,), a cell is a 16th; 0 is a rest, 1 a hold, t >= 2 the onset of MIDI pitch
            t + 46.
        position: int16 (T,), 16ths since the printed bar line.
        meter: numerator and denominator.
        tonic: pitch class 0..11 (C major 0, A minor 9, D dorian 2).
        title: of its T: field.
    """

    tokens: NDArray[np.int16]
    position: NDArray[np.int16]
    meter: tuple[int, int]
    tonic: int
    title: str

    @property
    def bar_cells(self) -> int:
        """Number of 16ths in a bar."""
        return Meter(*self.meter).bar_cells(Codec.grid)

    @property
    def beat_cells(self) -> int:
        """Number of 16ths in a beat, which is dotted in 6/8, 9/8 and 12/8."""
        return Meter(*self.meter).beat_cells(Codec.grid)

    @property
    def offset(self) -> int:
        """Position of the first cell in its bar; 0 unless the tune begins with a pickup."""
        return int(self.position[0])

    @property
    def out_of_key(self) -> bool:
        """True if more than a fifth of the notes are outside the key signature."""
        notes = self.tokens[self.tokens >= FIRST_PITCH] - FIRST_PITCH
        return bool((~np.isin(notes % 12, WHITE_KEYS)).mean() > MAX_OUT_OF_KEY)


@dataclass
class Event:
    """A note or rest in a bar: onset in cells from the bar line, MIDI pitch or None."""

    onset: Fraction
    midi: int | None
    in_tuplet: bool


@dataclass
class Bar:
    """The events between two bar lines; lengths and onsets are in cells (16ths).

    strong: True if the bar begins with a repeat sign or a double bar.
    volta: number of the ending that begins with the bar, or 0.
    first_ending: the cell at which a first ending begins within the bar, if any.
    """

    events: list[Event] = field(default_factory=list)
    length: Fraction = Fraction(0)
    strong: bool = False
    volta: int = 0
    first_ending: Fraction | None = None


def _tokens(cleaned: str) -> tuple[list[Any], set[int]]:
    """Return music21's tokens with pitch and length, without ties, and the ids of tied notes."""
    from music21 import abcFormat

    # In version 2.1 an accidental lasts until the bar line, in music21's default for one note.
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
    """Return the bars of a cleaned tune, cut at each bar line of the ABC."""
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
            # A tied note keeps its accidental over the bar line, so letters are compared too.
            if midi is None or held is None or not (midi == held[1] or spelling == held[0]):
                bar.events.append(Event(bar.length, midi, token.activeTuplet is not None))
            else:
                midi = held[1]
            held = (spelling.lstrip("^_="), midi) if id(token) in tied and midi else None
            bar.length += length
    return [bar for bar in bars if bar.length]


def bar_starts(bars: list[Bar], bar_cells: int) -> tuple[list[int], int]:
    """Return the place in the metre at which each bar begins, and the number of wrong bars.

    A bar after a repeat sign or a double bar may be short: it is a pickup, counted from the end of
    the metre's bar, unless it is an ending or the last bar. The bar before such a sign may be
    short too. A second ending begins at the place of the first one. Bars of other lengths are
    wrong.

    Returns:
        cells since the metre's bar line at which each bar begins; the number of wrong bars.
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
    """Round the events of a bar to whole cells.

    Events on the grid keep their cell. Others go to the nearest cell (halves to the earlier one)
    if it is free and inside the bar; otherwise they are lost, like an ornament.

    Returns:
        cell -> MIDI pitch or None for a rest; the number of onsets that were off the grid and in
        no tuplet; the number of lost notes.
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
        for each cell a MIDI pitch, None for the onset of a rest, or -1 for a hold; for each cell
        its position in the bar.

    Raises:
        TuneError: wrong bars, too many or too few notes, or too many off the grid.
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
    """Return the tokens int16 (T,) of the grid of `lay_out`, transposed by `shift` semitones."""
    tokens: list[int] = []
    started = resting = False
    for cell in grid:
        if cell is None or cell < 0:
            # Before the first note all cells are rests; successive rests are one rest and holds.
            silent = cell is None and not resting
            tokens.append(REST if silent or not started else HOLD)
            resting |= cell is None
        else:
            tokens.append(cell + shift - Codec.low + FIRST_PITCH)
            started, resting = True, False
    return np.array(tokens, dtype=np.int16)


def read_key(cleaned: str) -> tuple[int, int]:
    """Return the sharps (negative: flats) of the first K: field, and the tonic without them.

    Raises:
        TuneError: no key, or an unknown mode.
    """
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
    """Return the semitones that cancel the signature and bring the mean pitch near the centre.

    Raises:
        TuneError: the range is wider than C3-B5.
    """
    mean = sum(pitches) / len(pitches)
    fitting = [
        shift
        for shift in range(-48, 49)
        if (shift + 7 * sharps) % 12 == 0
        and min(pitches) + shift >= Codec.low
        and max(pitches) + shift <= Codec.high
    ]
    if not fitting:
        raise TuneError("range wider than C3-B5")
    return min(fitting, key=lambda shift: (abs(mean + shift - CENTRE_MIDI), abs(shift)))


def read_tune(text: str) -> GridTune:
    """Read an ABC tune, from its X: field on, as a grid.

    Raises:
        TuneError: no ABC, or the metre, key, rhythm, bars or range cannot be used.
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
    except Exception:  # music21 raises errors of many types
        raise TuneError("not readable as ABC") from None
    grid, position = lay_out(bars, bar_cells)
    pitches = [cell for cell in grid if cell is not None and cell >= 0]
    tokens = to_tokens(grid, choose_shift(pitches, sharps))
    title = (fields(text, "T") or [""])[0]
    return GridTune(tokens, np.array(position, dtype=np.int16), meter, tonic, title)
