"""Tunes of one voice as grids of 16th notes in a key without sharps and flats, from pieces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import RefusedError
from envs.music.codec import FIRST_PITCH, Codec
from envs.music.key import MODE_FIFTHS, SCALES
from envs.music.meter import Meter
from envs.music.piece import Piece
from envs.notation.reading.abc import read_text
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.draft import Part
from envs.notation.reading.selection import Known
from envs.notation.reading.times import one_meter

CENTRE_MIDI = 66
MAX_LOST, MAX_OUT_OF_KEY = 0.10, 0.20
MIN_NOTES = 8
MAX_TEXT = 20_000  # characters of a tune; those of the corpus have 2,500 at most
# Pitch class of each mode's tonic in the key without sharps and flats.
MODE_TONIC = {mode: 7 * fifths % 12 for mode, fifths in MODE_FIFTHS.items()}
WHITE_KEYS = SCALES["major"]
# A file of any format read as a tune: `grid_tune(read_piece(file, **AS_TUNE))`.
AS_TUNE: dict[str, Any] = {
    "grid": Codec.grid,
    "quantize": True,
    "part": 1,
    "voice": 1,
    "top": True,
}


class TuneError(ValueError):
    """Music that is no tune on a grid of 16ths: one of a few reasons, details behind a colon."""

    @property
    def reason(self) -> str:
        """The reason without details."""
        return str(self).partition(":")[0]


@dataclass(frozen=True, eq=False)
class GridTune:
    """A tune of one voice in C major, A minor or another mode without sharps and flats.

    Attributes:
        tokens: int16 (T,), a cell is a 16th; 0 is a rest, 1 a hold, t >= 2 the onset of MIDI pitch
            t + 46.
        position: int16 (T,), 16ths since the bar line.
        meter: numerator and denominator.
        tonic: pitch class 0..11 (C major 0, A minor 9, D dorian 2).
        title: a line of text, may be empty.
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


def for_codec(tokens: NDArray[np.integer], codec: Codec) -> NDArray[np.int64]:
    """Return tokens of the shipped corpus in another vocabulary, pitches unchanged."""
    shift = Codec().low - codec.low
    tokens = tokens.astype(np.int64)
    return np.where(tokens >= FIRST_PITCH, tokens + shift, tokens)


def fits(tune: GridTune, codec: Codec) -> bool:
    """True if all pitches of a tune are in a vocabulary."""
    pitches = tune.tokens[tune.tokens >= FIRST_PITCH] - FIRST_PITCH + Codec().low
    return bool((pitches >= codec.low).all() and (pitches <= codec.high).all())


def choose_shift(pitches: list[int], sharps: int) -> int:
    """Return the semitones that cancel the signature and bring the mean pitch near the centre.

    Raises:
        TuneError: the range is wider than C3-B5.
    """
    mean = sum(pitches) / len(pitches)
    fitting = [
        shift
        for shift in range(-max(pitches), 128 - min(pitches))
        if (shift + 7 * sharps) % 12 == 0
        and min(pitches) + shift >= Codec.low
        and max(pitches) + shift <= Codec.high
    ]
    if not fitting:
        raise TuneError("range wider than C3-B5")
    return min(fitting, key=lambda shift: (abs(mean + shift - CENTRE_MIDI), abs(shift)))


def grid_tune(piece: Piece) -> GridTune:
    """Return a piece of one voice as a tune.

    It ends with the bar that its last note ends in, or as much before a bar line as it begins.

    Args:
        piece: read of a file with AS_TUNE, or another one of four cells per quarter note.

    Raises:
        TuneError: several voices, another grid, few notes, many of them lost on the grid, or a
            range wider than C3-B5.
    """
    if piece.voices > 1:
        raise TuneError("several voices")
    if piece.grid != Codec.grid:
        raise TuneError(f"rhythm off the 16th grid: {piece.grid} cells per quarter note")
    notes, bar = piece.notes, piece.task.bar_cells
    if len(notes) < MIN_NOTES:
        raise TuneError(f"fewer than {MIN_NOTES} notes")
    if piece.lost > MAX_LOST * (len(notes) + piece.lost):
        raise TuneError(f"rhythm off the 16th grid: {piece.lost} notes fit no cell")
    shift = choose_shift([note.pitch for note in notes], piece.key.fifths)
    moved = [replace(note, pitch=note.pitch + shift) for note in notes]
    end = notes[-1].start + notes[-1].duration
    end = min(end + -end % bar, end + (piece.pickup - end) % bar)
    return GridTune(
        Codec().encode(moved, end),
        ((np.arange(end) - piece.pickup) % bar).astype(np.int16),
        (piece.meter.numerator, piece.meter.denominator),
        (piece.key.pitch_class - 7 * piece.key.fifths) % 12,
        piece.title,
    )


def read_tune(text: str, bars: bool = True) -> GridTune:
    """Read the first voice of a tune in ABC as a grid: top notes of chords, last endings alone.

    Args:
        text: of one tune, with its fields.
        bars: False to pass over the bar lines: bars that do not fit the metre, and every ending,
            are read as well, and positions are counted from the first note.

    Raises:
        TuneError: it is no ABC, names no key or metre, has no bars of one metre, or as `grid_tune`.
    """
    if len(text) > MAX_TEXT:
        raise TuneError("longer than any tune")
    known = Known(**AS_TUNE)
    try:
        draft = read_text(text, known)
    except RefusedError as error:
        raise TuneError(f"not readable as ABC: {error}") from None
    first = draft.parts[0] if draft.parts else Part([])
    _require_fields(first)
    if not bars:
        draft.parts = [replace(first, measures=[])]
    try:
        piece = make_piece(draft, known)
    except ValueError as error:
        raise TuneError(f"bars do not fit the metre: {error}") from None
    return grid_tune(piece)


def _require_fields(part: Part) -> None:
    """Raise TuneError unless a part has notes, a key and one metre."""
    if not any(part.voices[:1]):
        raise TuneError(f"fewer than {MIN_NOTES} notes")
    if not part.keys or part.keys[0].key is None:
        raise TuneError("no key")
    try:
        meter = one_meter(part)
    except RefusedError as error:
        raise TuneError(f"metre changes: {error}") from None
    if meter is None:
        raise TuneError("no metre")
