"""Notes on their way from a file to the grid: times in quarter notes, refusals, fitting grids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby

from envs.errors import RefusedError
from envs.music.codec import MAX_GRID, Note
from envs.music.key import C_MAJOR
from envs.music.meter import Meter
from envs.notation.reading.time_signatures import Signature

# What a piece is laid on if nobody says otherwise, the first that fits: four cells are what the
# prior and the rules that count cells are made for, the others follow from coarse to fine.
GRIDS = (4, 2, 3, 6, 8, 12)


@dataclass(frozen=True, order=True)
class Sound:
    """A note before it is on the grid; times in quarter notes."""

    voice: int
    start: Fraction
    end: Fraction
    pitch: int

    def __str__(self) -> str:
        return (
            f"{C_MAJOR.pitch_name(self.pitch)} at quarter {float(self.start):g} "
            f"of voice {self.voice + 1}"
        )


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


def changed_meter(before: Signature, after: Signature | None, bar: object) -> RefusedError:
    """Return the refusal of a change of metre."""
    return RefusedError(
        f"the metre changes from {before.spelled} to {after.spelled if after else 'none'} at bar "
        f"{bar}; expected one metre, so cut the piece there"
    )


def one_meter(
    named: Sequence[tuple[Signature, Fraction, object]],
) -> tuple[Signature | None, Fraction]:
    """Return the metre of a piece, None if it names none, and the length of its upbeat.

    Args:
        named: the time signatures of one part in order, the quarter at which each stands, and the
            number of its bar.

    Raises:
        RefusedError: the metre changes.
    """
    changes = [each for i, each in enumerate(named) if not i or each[0] != named[i - 1][0]]
    upbeat = Fraction(0)
    # Programs write an upbeat as a bar of a metre of its own; it may end before that bar does.
    if (
        len(changes) > 1
        and changes[1][1] <= changes[0][0].bar
        and changes[1][1] < changes[1][0].bar
    ):
        upbeat = changes[1][1]
        del changes[0]
    if len(changes) > 1:
        raise changed_meter(changes[0][0], changes[1][0], changes[1][2])
    return (changes[0][0] if changes else None), upbeat


# -- the grid --------------------------------------------------------------------------------------


def choose_grid(sounds: Iterable[Sound], meter: Meter, tick: Fraction) -> int:
    """Return the first of GRIDS on which the notes begin, and end unless ends are rounded.

    The metre's unit has to be whole cells as well. If none fits it is the first of those, whose
    refusal tells by how much.
    """
    sounds = list(sounds)
    times = {sound.start for sound in sounds}
    if not tick:
        times |= {sound.end for sound in sounds}
    whole = [grid for grid in GRIDS if 4 * grid % meter.denominator == 0]
    fits = (grid for grid in whole if all(_near(time, grid, tick) for time in times))
    return next(fits, whole[0])


def _near(time: Fraction, grid: int, tick: Fraction) -> bool:
    off = abs(time - Fraction(round(time * grid), grid))
    return off == 0 or off < tick


def rounded(sounds: Iterable[Sound], grid: int, tick: Fraction) -> tuple[list[Sound], bool]:
    """Put the sounds of a file that counts ticks on the grid where they are near it.

    Starts move by less than a tick, ends to the nearest cell, but not into the next note.

    Returns:
        the sounds in order, and whether any end moved by a tick or more.
    """
    result: list[Sound] = []
    moved = False
    for _, group in groupby(sorted(sounds), key=lambda sound: sound.voice):
        voice = [replace(s, start=_nearest(s.start, grid, tick)) for s in group]
        nexts = [*(sound.start for sound in voice[1:]), None]
        for sound, following in zip(voice, nexts, strict=True):
            end = max(Fraction(round(sound.end * grid), grid), sound.start + Fraction(1, grid))
            if following is not None and following > sound.start:
                end = min(end, max(following, Fraction(int(sound.end * grid), grid)))
            moved |= abs(end - sound.end) >= tick
            result.append(replace(sound, end=end))
    return result, moved


def _nearest(time: Fraction, grid: int, tick: Fraction) -> Fraction:
    return Fraction(round(time * grid), grid) if _near(time, grid, tick) else time


def on_grid(sounds: list[Sound], grid: int) -> list[Note]:
    """Return the sounds as notes in cells.

    Raises:
        RefusedError: a note is off the grid, of no length, or sounds with another one.
    """
    notes: list[Note] = []
    for sound in sounds:
        if sound.end <= sound.start:
            raise RefusedError(f"{sound} has no length; expected at least one cell")
        if sound.start < 0:
            raise RefusedError(f"{sound} starts before the piece does; write the file anew")
        for time, what in ((sound.start, "starts"), (sound.end, "ends")):
            if (time * grid).denominator > 1:
                raise RefusedError(_off_grid(sounds, sound, what, time * grid, grid))
        note = Note(
            int(sound.start * grid),
            int((sound.end - sound.start) * grid),
            sound.pitch,
            sound.voice,
        )
        before = notes[-1] if notes else None
        if before and before.voice == note.voice and before.start + before.duration > note.start:
            raise RefusedError(
                f"{sound} starts while {C_MAJOR.pitch_name(before.pitch)} still sounds; expected "
                "one note at a time, so give each voice a part of its own"
            )
        notes.append(note)
    return notes


def _off_grid(sounds: list[Sound], sound: Sound, what: str, place: Fraction, grid: int) -> str:
    off = abs(float(place - round(place)))
    times = {time for each in sounds for time in (each.start, each.end)}
    fits = [g for g in range(1, MAX_GRID + 1) if all((t * g).denominator == 1 for t in times)]
    advice = f"grid {fits[0]} would fit" if fits else "no grid up to 24 fits, so quantise it"
    return (
        f"note {sounds.index(sound) + 1}, {sound}, {what} {off:.2g} of a cell off the grid of "
        f"{grid} cells per quarter; {advice}"
    )
