"""A Piece from the notes of a file and what the file says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from envs.errors import RefusedError
from envs.music.codec import Codec, Note
from envs.music.key import Key
from envs.music.meter import Meter, beat_quarters
from envs.music.piece import FASTEST, SLOWEST, Piece, roomy_range, score_of
from envs.music.pitch import LETTERS
from envs.music.task import MAX_BARS, MAX_VOICES, Task
from envs.notation.reading.bars import Layout
from envs.notation.reading.times import Sound, choose_grid, on_grid, rounded

TITLE_LENGTH = 120


@dataclass(frozen=True)
class Known:
    """Settings of a caller that take precedence over the file.

    Attributes:
        grid: cells per quarter note; four if they fit, else what fits of 2, 3, 6, 8 and 12.
        key: such as "G major", instead of the file's. If neither names one it is estimated.
        meter: such as "6/8", instead of the file's.
        pickup: cells before the first bar line, instead of the file's.
        part: number of the only part to read, from 1; each part is a voice if None.
    """

    grid: int | None = None
    key: Key | None = None
    meter: Meter | None = None
    pickup: int | None = None
    part: int | None = None

    def __post_init__(self) -> None:
        if self.grid is not None:
            Codec(grid=self.grid)  # checks the grid
        if self.part is not None and self.part < 1:
            raise ValueError(f"part {self.part}: expected 1 or more, or None for all")
        if self.pickup is not None and self.pickup < 0:
            raise ValueError(f"pickup {self.pickup}: expected 0 cells or more")
        if self.key is not None:  # frozen: text is read into its type here, once
            object.__setattr__(self, "key", Key.parse(self.key))
        if self.meter is not None:
            object.__setattr__(self, "meter", Meter.parse(self.meter))


@dataclass
class Draft:
    """The notes of a file and what it says of itself; None where it says nothing.

    Attributes:
        sounds: the notes, at the times of the file.
        title: as the file has it, which may be anything.
        key: tonic and mode.
        fifths: sharps of a key signature whose mode is not named.
        meter: the one metre of the piece.
        tempo: quarter notes per minute.
        layout: where its bars lie.
        tick: within what distance a time counts as on the grid, for files that count in ticks;
            the ends of notes are rounded there, as programs cut notes short.
        notices: what a reader should know.
    """

    sounds: list[Sound]
    title: str = ""
    key: Key | None = None
    fifths: int | None = None
    meter: Meter | None = None
    tempo: float | None = None
    layout: Layout = field(default_factory=Layout)
    tick: Fraction = Fraction(0)
    notices: list[str] = field(default_factory=list)


def sounds_of(parts: Sequence[Iterable[Sound]], part: int | None) -> list[Sound]:
    """Return the notes of all parts, or of the one with a number, from 1.

    Raises:
        RefusedError: that part has no notes.
    """
    chosen = parts if part is None else parts[part - 1 : part]
    sounds = [sound for each in chosen for sound in each]
    if part is not None and not sounds:
        numbers = [str(number) for number, each in enumerate(parts, 1) if any(True for _ in each)]
        raise RefusedError(
            f"part {part} holds no notes; parts that do: {', '.join(numbers) or 'none'}"
        )
    return sounds


def make_piece(draft: Draft, known: Known) -> Piece:
    """Return a piece of the notes of a file and what it says of itself.

    Raises:
        RefusedError: the notes fit no grid, are too many voices or bars, or overlap.
        ValueError: no task fits them: a bar of no whole cells, or too many cells.
    """
    draft.meter = known.meter or draft.meter
    meter = draft.meter or Meter(4, 4)
    moved_to = draft.layout.moved
    sounds = [
        Sound(sound.voice, *times, sound.pitch)
        for sound in draft.sounds
        if (times := moved_to(sound.start, sound.end)) is not None
    ]
    voices = sorted({sound.voice for sound in sounds})
    if not 1 <= len(voices) <= MAX_VOICES:
        raise RefusedError(
            f"it has {len(voices)} voices; expected at most {MAX_VOICES}, so read one part of it"
            if voices
            else "it holds no notes; expected at least one pitched note"
        )
    grid = known.grid or choose_grid(sounds, meter, draft.tick)
    sounds, moved = rounded(sounds, grid, draft.tick) if draft.tick else (sorted(sounds), False)
    notes = [replace(note, voice=voices.index(note.voice)) for note in on_grid(sounds, grid)]
    pickup, bars = _length(draft, notes, meter, grid)
    pickup = pickup if known.pickup is None else known.pickup
    key = known.key or draft.key
    tempo, notices = _tempo(draft, meter)
    notices += ["the file names no metre: 4/4 is taken"] if draft.meter is None else []
    notices += ["the ends of some notes are rounded to the grid"] if moved else []
    low, high = roomy_range([note.pitch for note in notes])
    task = Task(
        key=key or estimate_key(sounds, draft.fifths),
        meter=meter,
        bars=bars,
        low=low,
        high=high,
        grid=grid,
        voices=len(voices),
        pickup=pickup,
    )
    return Piece(
        score=score_of(notes, task),
        title=printable(draft.title),
        tempo=tempo,
        numbers=_numbers(draft.layout.numbers, bars + (pickup > 0), pickup),
        estimated=key is None,
        notices=(*draft.notices, *notices),
    )


def _length(draft: Draft, notes: Sequence[Note], meter: Meter, grid: int) -> tuple[int, int]:
    """Return the cells of the upbeat, and the bars of the whole."""
    pickup, end = draft.layout.pickup * grid, -(-draft.layout.end * grid // 1)
    if pickup.denominator > 1:
        raise RefusedError(
            f"its upbeat, {draft.layout.pickup} of a quarter, is off the grid of {grid}"
        )
    cells = max(int(end), *(note.start + note.duration for note in notes))
    bars = -(-cells // meter.bar_cells(grid))
    if bars > MAX_BARS:
        raise RefusedError(f"it has {bars} bars; expected at most {MAX_BARS}, so cut it")
    return int(pickup), bars


def _tempo(draft: Draft, meter: Meter) -> tuple[float | None, list[str]]:
    """Return beats per minute within what can be listened to, and a notice if they are not."""
    if draft.tempo is None:
        return None, []
    tempo = draft.tempo / float(beat_quarters(meter))
    if not SLOWEST <= tempo <= FASTEST:
        return None, [f"the tempo, {tempo:.3g} beats per minute, is not taken"]
    return round(tempo, 3), []


def _numbers(printed: Sequence[int], count: int, pickup: int) -> tuple[int, ...]:
    """Return the numbers of `count` bars: the printed ones, then counted on."""
    numbers = list(printed[:count]) or [0 if pickup else 1]
    numbers += range(numbers[-1] + 1, numbers[-1] + 1 + count - len(numbers))
    return tuple(numbers)


def printable(words: str) -> str:
    """Return words of a file as one line without control characters, cut if they are many."""
    line = "".join(c for c in " ".join(words[: 10 * TITLE_LENGTH].split()) if c.isprintable())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1] + "…"


# -- keys ------------------------------------------------------------------------------------------


def estimate_key(sounds: list[Sound], fifths: int | None = None) -> Key:
    """Return the major or minor key whose profile the lengths of the pitch classes fit best.

    Krumhansl and Schmuckler's algorithm, as music21 has it.

    Args:
        sounds: the notes.
        fifths: sharps of the signature, if it is known.
    """
    from music21 import note, stream

    line: Any = stream.Stream()
    for sound in sounds:
        line.append(note.Note(sound.pitch, quarterLength=float(sound.end - sound.start)))
    best = line.analyze("krumhansl")
    for found in (best, *best.alternateInterpretations):
        key = _named(found.tonic.pitchClass, found.mode, fifths)
        if fifths is None or key.fifths == fifths:
            return key
    return Key("C")


def _named(pitch_class: int, mode: str, fifths: int | None) -> Key:
    """Return the key with the given signature, or else with the fewest signs."""
    keys = [Key(letter + sign, mode) for letter in LETTERS for sign in ("", "#", "b")]
    same = [key for key in keys if key.pitch_class == pitch_class]
    return min(same, key=lambda key: (key.fifths != fifths, abs(key.fifths), -key.fifths))
