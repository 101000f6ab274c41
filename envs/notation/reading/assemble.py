"""A Piece from the notes of a file and what the file says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from statistics import mode
from typing import Any

from envs.errors import RefusedError
from envs.music.codec import Note
from envs.music.key import MODE_FIFTHS, Key
from envs.music.meter import Meter, beat_quarters
from envs.music.piece import FASTEST, SLOWEST, Piece, roomy_range, score_of
from envs.music.pitch import LETTERS
from envs.music.task import MAX_BARS, MAX_CELLS, Task
from envs.notation.reading.bars import Layout, lay_out
from envs.notation.reading.chord_marks import chord_line
from envs.notation.reading.draft import ChordMark, Draft, Part, Sound
from envs.notation.reading.rounding import choose_grid, rounded
from envs.notation.reading.selection import Known, bar_at, one_tune, selected
from envs.notation.reading.times import on_grid, one_meter, read_meter

TITLE_LENGTH = 120


def make_piece(draft: Draft, known: Known) -> Piece:
    """Return a piece of the notes of a file and what it says of itself.

    Args:
        draft: the file; its notices grow.
        known: what is read of it, and what is known better.

    Raises:
        RefusedError: there is no such tune or part, or the notes fit no grid, change their metre,
            are too many voices or bars, or overlap.
        ValueError: no task fits them: a bar of no whole cells, or too many cells.
    """
    one_tune(draft.tunes, known)
    parts = selected(draft, known)
    main = max(parts, key=lambda part: len(part.measures))
    named = _meter(main, known, draft.notices)
    _refuse_other_meters(main, parts, known)
    meter = named or Meter(4, 4)
    layout = lay_out(main.measures, meter.bar) if named else Layout()
    draft.notices += layout.notices
    lines = [voice for part in parts for voice in part.voices]
    voices = [_moved(voice, layout) for voice in lines]
    if layout.filled and any(_is_longer(sound, layout) for voice in lines for sound in voice):
        draft.notices.append("a note that is tied over a filled bar lasts until the next one")
    last = layout.end if layout.measures else None
    grid = known.grid or choose_grid(voices, meter, draft.tick, known.quantize, last)
    voices = rounded(voices, grid, draft, known.quantize, last)
    notes = on_grid(voices, grid, partial(layout.place, meter))
    pickup, bars = _length(layout, notes, meter, grid, known)
    silent = bars * meter.bar_cells(grid) - -(-layout.end * grid // 1)
    if pickup and silent >= meter.bar_cells(grid) - pickup:
        draft.notices.append(
            "the last bar is whole although there is an upbeat: a short silent bar is added"
        )
    key, fifths = _key(parts, known, draft.notices)
    if draft.tick and key and fifths is not None:
        draft.notices += _other_modes(key, voices)
    low, high = roomy_range([note.pitch for note in notes])
    task = Task(
        key=key or estimate_key(voices, fifths),
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
        tempo=_tempo(draft, meter),
        numbers=_numbers(layout.numbers, bars + (pickup > 0), pickup),
        estimated=key is None,
        chords=chord_line(_chord_marks(parts, layout), task, draft.notices),
        notices=tuple(draft.notices),
        lost=draft.lost,
        unread=sum(bool(voice) for part in draft.parts for voice in part.voices) - len(voices),
    )


def _meter(part: Part, known: Known, notices: list[str]) -> Meter | None:
    """Return the metre of a part, None if neither it nor its bars tell."""
    if known.meter:
        return known.meter
    signature = one_meter(part)
    if signature:
        return read_meter(signature.spelled)
    if not part.measures:
        notices.append("the file names no metre: 4/4 is taken")
        return None
    usual = mode(measure.length for measure in part.measures)
    meter = Meter(4, 4)
    if usual.denominator <= 2 and usual < 50:
        whole = usual.denominator == 1
        meter = read_meter(f"{usual}/4" if whole else f"{usual.numerator}/8")
    notices.append(f"the file names no metre: {meter} by its bars' lengths")
    return meter


def _refuse_other_meters(main: Part, parts: Sequence[Part], known: Known) -> None:
    """Refuse parts whose bars are of other lengths than those of the main one; not if told."""
    if known.meter:
        return
    own = one_meter(main)
    for part in parts:
        other = one_meter(part) if part.voices else None
        if own and other and other.bar != own.bar:
            raise RefusedError(
                f"its parts are in {own.spelled} and {other.spelled} at once; expected one metre, "
                "so choose a part (part=, --part)"
            )


def _moved(voice: Sequence[Sound], layout: Layout) -> list[Sound]:
    """Return the notes of a voice that are played, at their places in the layout."""
    times = ((layout.moved(sound.start, sound.end), sound.pitch) for sound in voice)
    return sorted(Sound(*found, pitch) for found, pitch in times if found is not None)


def _is_longer(sound: Sound, layout: Layout) -> bool:
    """Return True if a note is tied over silence that fills up a bar."""
    found = layout.moved(sound.start, sound.end)
    return found is not None and found[1] - found[0] > sound.end - sound.start


def _chord_marks(parts: Sequence[Part], layout: Layout) -> list[ChordMark]:
    """Return the chord symbols of the first part that has some, at their places in the layout."""
    marks = next((part.chords for part in parts if part.chords), [])
    times = [(layout.moved(mark.start, mark.start), mark) for mark in marks]
    return [replace(mark, start=found[0]) for found, mark in times if found]


def _key(parts: Sequence[Part], known: Known, notices: list[str]) -> tuple[Key | None, int | None]:
    """Return the key, None if nothing names it, and the sharps of a signature without a mode."""
    part = next((part for part in parts if part.keys), None)
    if known.key or part is None:
        return known.key, None
    first = part.keys[0]
    for mark in part.keys[1:]:
        if (mark.key, mark.fifths) != (first.key, first.fifths):
            bar = bar_at(part.measures, mark.start)
            place = "" if bar is None else f" at bar {bar}"
            notices.append(f"the key signature changes{place}; the first is taken throughout")
            break
    return first.key, first.fifths


def _length(
    layout: Layout, notes: Sequence[Note], meter: Meter, grid: int, known: Known
) -> tuple[int, int]:
    """Return the cells of the upbeat, and the bars of the whole."""
    pickup, end = layout.pickup * grid, -(-layout.end * grid // 1)
    if pickup.denominator > 1:
        raise RefusedError(f"its upbeat, {layout.pickup} of a quarter, is off the grid of {grid}")
    cells = max(int(end), *(note.start + note.duration for note in notes))
    bars = -(-cells // meter.bar_cells(grid))
    most = min(MAX_BARS, MAX_CELLS // meter.bar_cells(grid))
    if bars > most:
        first = max(1, layout.numbers[0]) if layout.numbers else 1
        raise RefusedError(
            f"it has {bars} bars; expected at most {most} at {grid} cells per quarter note: choose "
            f"some, such as FILE:{first}-{first + most - 1} (bars=)"
        )
    return int(pickup) if known.pickup is None else known.pickup, bars


def _tempo(draft: Draft, meter: Meter) -> float | None:
    """Return beats per minute within what can be listened to; a notice says if they are not."""
    if draft.tempo is None:
        return None
    tempo = draft.tempo / float(beat_quarters(meter))
    if not SLOWEST <= tempo <= FASTEST:
        draft.notices.append(f"the tempo, {tempo:.3g} beats per minute, is not taken")
        return None
    return round(tempo, 3)


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


def estimate_key(voices: Sequence[Sequence[Sound]], fifths: int | None = None) -> Key:
    """Return the major or minor key whose profile the lengths of the pitch classes fit best.

    Krumhansl and Schmuckler's algorithm, as music21 has it.

    Args:
        voices: lines of notes.
        fifths: sharps of the signature, if it is known.
    """
    from music21 import note, stream

    line: Any = stream.Stream()
    for sound in (sound for voice in voices for sound in voice):
        line.append(note.Note(sound.pitch, quarterLength=float(sound.end - sound.start)))
    best = line.analyze("krumhansl")
    for found in (best, *best.alternateInterpretations):
        key = _named(found.tonic.pitchClass, found.mode, fifths)
        if fifths is None or key.fifths == fifths:
            return key
    return Key("C")


def _other_modes(key: Key, voices: Sequence[Sequence[Sound]]) -> Iterator[str]:
    """Yield a notice if the signature of a MIDI file is rather that of another mode.

    It is if the last note lies in the key and its pitch class sounds longer than the tonic.
    """
    sounds = [sound for voice in voices for sound in voice]
    final = max(sounds, key=lambda sound: (sound.end, -sound.pitch)).pitch % 12
    length = [
        sum(each.end - each.start for each in sounds if each.pitch % 12 == place)
        for place in range(12)
    ]
    if final == key.pitch_class or length[final] <= length[key.pitch_class]:
        return
    for word in MODE_FIFTHS:
        other = _named(final, word, key.fifths)
        if other.fifths == key.fifths:
            yield (
                f"MIDI names major and minor only: {key} is taken, but it ends on {other.tonic} "
                f"and may be in {other} (key=, --key)"
            )


def _named(pitch_class: int, mode: str, fifths: int | None) -> Key:
    """Return the key with the given signature, or else with the fewest signs."""
    keys = [Key(letter + sign, mode) for letter in LETTERS for sign in ("", "#", "b")]
    same = [key for key in keys if key.pitch_class == pitch_class]
    return min(same, key=lambda key: (key.fifths != fifths, abs(key.fifths), -key.fifths))
