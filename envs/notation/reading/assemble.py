"""A Piece from the notes of a file and what the file says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from envs.errors import RefusedError
from envs.music.codec import Note
from envs.music.key import Key
from envs.music.meter import Meter, beat_quarters
from envs.music.piece import Piece, roomy_range, score_of
from envs.music.pitch import LETTERS
from envs.music.task import MAX_BARS, MAX_VOICES, Task
from envs.notation.reading.times import Facts, Sound, choose_grid, on_grid, rounded

TITLE_LENGTH = 120
SLOWEST, FASTEST = 10.0, 400.0  # beats per minute


def make_piece(
    facts: Facts,
    sounds: list[Sound],
    grid: int | None = None,
    key: str | Key | None = None,
    pickup: int | None = None,
) -> Piece:
    """A piece from the sounds of a file and what it says of itself.

    Args:
        facts: of the file.
        sounds: of its voices, at the times of the file.
        grid: cells per quarter note; one that fits if None.
        key: known better than by the file.
        pickup: cells before the first bar line, known better than by the file.

    Raises:
        RefusedError: the notes fit no grid, are too many voices or bars, or overlap.
    """
    meter = facts.meter or Meter(4, 4)
    sounds = _placed(facts, sounds)
    voices = sorted({sound.voice for sound in sounds})
    if not 1 <= len(voices) <= MAX_VOICES:
        raise RefusedError(
            f"it has {len(voices)} voices; expected at most {MAX_VOICES}, so read one part of it"
            if voices
            else "it holds no notes; expected at least one pitched note"
        )
    grid = grid or choose_grid(sounds, meter, facts.tick)
    sounds, moved = rounded(sounds, grid, facts.tick) if facts.tick else (sorted(sounds), False)
    notes = [replace(note, voice=voices.index(note.voice)) for note in on_grid(sounds, grid)]
    before, bars = _length(facts, notes, meter, grid)
    pickup = before if pickup is None else pickup
    named = Key.parse(key) if key is not None else facts.key
    tempo, told = _tempo(facts, meter)
    told += ["the file names no metre: 4/4 is taken"] if facts.meter is None else []
    told += ["the ends of some notes are rounded to the grid"] if moved else []
    low, high = roomy_range([note.pitch for note in notes])
    task = Task(
        key=named or estimate_key(sounds, facts.fifths),
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
        title=printable(facts.title),
        tempo=tempo,
        numbers=_numbers(facts.layout.numbers, bars + (pickup > 0), pickup),
        estimated=named is None,
        notices=(*facts.notices, *told),
    )


def _length(facts: Facts, notes: Sequence[Note], meter: Meter, grid: int) -> tuple[int, int]:
    """Cells of the upbeat, and bars of the whole."""
    pickup, end = facts.layout.pickup * grid, -(-facts.layout.end * grid // 1)
    if pickup.denominator > 1:
        raise RefusedError(
            f"its upbeat, {facts.layout.pickup} of a quarter, is off the grid of {grid}"
        )
    cells = max(int(end), *(note.start + note.duration for note in notes))
    bars = -(-cells // meter.bar_cells(grid))
    if bars > MAX_BARS:
        raise RefusedError(f"it has {bars} bars; expected at most {MAX_BARS}, so cut it")
    return int(pickup), bars


def _placed(facts: Facts, sounds: list[Sound]) -> list[Sound]:
    """The sounds where the layout of the bars has them."""
    result = []
    for sound in sounds:
        times = facts.layout.moved(sound.start, sound.end)
        if times is not None:
            result.append(Sound(sound.voice, *times, sound.pitch))
    return result


def _tempo(facts: Facts, meter: Meter) -> tuple[float | None, list[str]]:
    """Beats per minute within what can be listened to, and a word on it if it was not."""
    if facts.tempo is None:
        return None, []
    tempo = facts.tempo / float(beat_quarters(meter))
    if not SLOWEST <= tempo <= FASTEST:
        return None, [f"the tempo, {tempo:.3g} beats per minute, is not taken"]
    return round(tempo, 3), []


def _numbers(printed: Sequence[int], count: int, pickup: int) -> tuple[int, ...]:
    """Numbers of `count` bars: the printed ones, then counted on."""
    numbers = list(printed[:count]) or [0 if pickup else 1]
    numbers += range(numbers[-1] + 1, numbers[-1] + 1 + count - len(numbers))
    return tuple(numbers)


def printable(words: str, most: int = TITLE_LENGTH) -> str:
    """Words of a file as one line without control characters, cut if they are many."""
    line = "".join(c for c in " ".join(words[: 10 * most].split()) if c.isprintable())
    return line if len(line) <= most else line[: most - 1] + "…"


# -- keys ------------------------------------------------------------------------------------------


def estimate_key(sounds: list[Sound], fifths: int | None = None) -> Key:
    """The major or minor key whose profile the lengths of the pitch classes fit best.

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
    """The name of a key with the given signature, or else with the fewest signs."""
    keys = [Key(letter + sign, mode) for letter in LETTERS for sign in ("", "#", "b")]
    same = [key for key in keys if key.pitch_class == pitch_class]
    return min(same, key=lambda key: (key.fifths != fifths, abs(key.fifths), -key.fifths))
