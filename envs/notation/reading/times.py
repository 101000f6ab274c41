"""Notes on their way from a file to the grid: times in quarter notes, refusals, fitting grids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from math import lcm

from envs.errors import RefusedError
from envs.music.codec import MAX_GRID, Note
from envs.music.key import C_MAJOR
from envs.music.meter import Meter
from envs.notation.reading.draft import Part, Sound
from envs.notation.reading.selection import bar_at
from envs.notation.reading.time_signatures import Signature

MAX_BYTES = 10_000_000  # of a file, packed and unpacked


@contextmanager
def refusing(kind: str) -> Iterator[None]:
    """Turn whatever a library raises about a file into a refusal of one line.

    Args:
        kind: of the file, such as "MIDI".

    Raises:
        RefusedError: the library failed.
    """
    try:
        yield
    except (RefusedError, MemoryError):
        raise
    except Exception as error:  # music21 raises whatever its code runs into
        words = " ".join(str(error).split())[:120] or type(error).__name__
        raise RefusedError(f"not readable as {kind} ({words}); write the file anew") from None


def read_meter(text: str) -> Meter:
    """Return the metre of a file.

    Raises:
        RefusedError: one that bars of cells cannot have, such as 5/64.
    """
    try:
        return Meter.parse(text)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def changed_meter(before: Signature, after: Signature | None, bar: int | None) -> RefusedError:
    """Return the refusal of a change of metre."""
    place = "" if bar is None else f" at bar {bar}"
    advice = f", such as FILE:1-{bar - 1} (bars=, FILE:BARS)" if bar and bar > 1 else ""
    return RefusedError(
        f"the metre changes from {before.spelled} to {after.spelled if after else 'none'}{place}; "
        f"expected one metre, so read some of its bars{advice}"
    )


def one_meter(part: Part) -> Signature | None:
    """Return the metre of a part, None if it names none.

    Raises:
        RefusedError: the metre changes.
    """
    end = max((each.end for voice in part.voices for each in voice), default=None)
    # A metre behind the last note, as for a tune that follows, is none of this one's.
    marks = [each for each in part.meters if end is None or not 0 < end <= each.start]
    changes = [
        each for i, each in enumerate(marks) if not i or each.signature != marks[i - 1].signature
    ]
    if len(changes) > 1 and changes[0].signature:
        bar = bar_at(part.measures, changes[1].start)
        raise changed_meter(changes[0].signature, changes[1].signature, bar)
    return changes[0].signature if changes else None


def on_grid(
    voices: Sequence[Sequence[Sound]], grid: int, place: Callable[[Fraction], str]
) -> list[Note]:
    """Return the notes of voices in cells.

    Args:
        voices: the lines, each in order.
        grid: cells per quarter note.
        place: words for a time, for errors.

    Raises:
        RefusedError: a note is off the grid, of no length, or sounds with another one.
    """
    notes: list[Note] = []

    def told(voice: int, sound: Sound) -> str:
        of_voice = f" of voice {voice + 1}" if len(voices) > 1 else ""
        return f"{C_MAJOR.pitch_name(sound.pitch)} at {place(sound.start)}{of_voice}"

    for voice, line in enumerate(voices):
        for number, sound in enumerate(line):
            if sound.end <= sound.start:
                raise RefusedError(
                    f"{told(voice, sound)} has no length; expected at least one cell"
                )
            if sound.start < 0:
                raise RefusedError(
                    f"{told(voice, sound)} starts before the piece does; write the file anew"
                )
            for time, what in ((sound.start, "starts"), (sound.end, "ends")):
                if (time * grid).denominator > 1:
                    off = _off_grid(voices, time * grid, grid)
                    raise RefusedError(f"{told(voice, sound)} {what} {off}")
            before = line[number - 1] if number else None
            if before and before.end > sound.start:
                other = C_MAJOR.pitch_name(before.pitch)
                raise RefusedError(
                    f"{told(voice, sound)} starts while {other} still sounds; "
                    "expected one note at a time: choose a part or voice, or the top notes of "
                    "chords (top=True, --top)"
                )
            length = int((sound.end - sound.start) * grid)
            notes.append(Note(int(sound.start * grid), length, sound.pitch, voice))
    return notes


def _off_grid(voices: Sequence[Sequence[Sound]], cells: Fraction, grid: int) -> str:
    off = abs(float(cells - round(cells)))
    times = (time for voice in voices for each in voice for time in (each.start, each.end))
    fits = lcm(*{time.denominator for time in times})
    advice = f"grid {fits} would fit" if fits <= MAX_GRID else f"no grid up to {MAX_GRID} fits"
    return (
        f"{off:.2g} of a cell off the grid of {grid} cells per quarter; {advice}, or move notes "
        "to the nearest cell (quantize=True, --quantize)"
    )
