"""Bars of a file that are to stay as they are, or to be written anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agents.composing.request import asked
from envs.errors import quoted
from envs.music.codec import FIRST_PITCH, HOLD, REST, UNWRITTEN
from envs.music.pitch import parse_range
from envs.music.task import Task
from envs.notation.reading.readers import read_piece

TAKEN = ("key", "meter", "bars", "pickup", "chords", "phrases")


def parse_bars(text: str) -> tuple[Path, set[int]]:
    """File and bar numbers of 'theme.abc:1-2,5'.

    Raises:
        ValueError: no file or no numbers.
    """
    name, _, bars = text.rpartition(":")
    if not name or not re.fullmatch(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*", bars):
        raise ValueError(
            f"{quoted(text)}: expected a file and bars of it, such as theme.musicxml:1-2,5"
        )
    numbers: set[int] = set()
    for part in bars.split(","):
        first, _, last = part.partition("-")
        if int(last or first) > 9999 or int(last or first) < int(first):
            raise ValueError(f"{quoted(text)}: bars {part} are none")
        numbers |= set(range(int(first), int(last or first) + 1))
    return Path(name), numbers


def with_locks(text: str, keep: bool, wishes: Mapping[str, Any]) -> Task:
    """The task of a file with some of its bars given; the rest of it is as the wishes say.

    A note that is held into a locked bar is locked from its beginning.

    Args:
        text: file and bars, see `parse_bars`; a pickup is bar 0.
        keep: whether these bars are kept, or written anew with all others kept.
        wishes: as `agents.composing.request.wished` takes them; what they leave out is the file's.

    Raises:
        ValueError: a file that cannot be read or has several voices, bars outside the piece, a
            metre or pickup other than the file's, or locked notes outside the range.
    """
    path, numbers = parse_bars(text)
    piece = read_piece(path)
    if piece.voices > 1:
        raise ValueError(f"{path} has {piece.voices} voices; expected a melody of one")
    changed = {name: wishes[name] for name in TAKEN if asked(wishes[name])}
    if wishes["range"]:
        changed["low"], changed["high"] = parse_range(wishes["range"])
    task = replace(piece.task, **changed)
    if (task.meter, task.pickup) != (piece.task.meter, piece.task.pickup):
        raise ValueError(
            f"{path} is in {piece.meter} with a pickup of {piece.pickup} cells; its bars cannot be "
            "kept in another metre, so leave --meter and --pickup out"
        )
    lines = [*task.bar_lines, task.cells]
    if asked(wishes["grid"]) and wishes["grid"] != task.grid:
        raise ValueError(
            f"{path} has {task.grid} cells per quarter note; its bars cannot be kept on a grid of "
            f"{wishes['grid']}, so leave --grid out"
        )
    named = [number + (not task.pickup) for number in range(len(lines) - 1)]
    there = [name for name, line in zip(named, lines, strict=False) if line < piece.task.cells]
    if numbers - set(there):
        raise ValueError(f"{quoted(text)}: the piece has bars {there[0]} to {there[-1]}")
    chosen = [number in numbers if keep else number not in numbers for number in named]
    locked = np.repeat(chosen, np.diff(lines))
    locked[piece.task.cells :] = False  # bars that the file does not have
    if locked.all():
        raise ValueError(f"{quoted(text)}: every bar stays, nothing is left to write")
    return replace(task, given=(tuple(_given(piece.score, task, locked)),))


def _given(score: Any, task: Task, locked: np.ndarray) -> list[int]:
    """A token for each cell, UNWRITTEN where the composer is free."""
    page = np.full(task.cells, HOLD, np.int64)
    known = min(task.cells, score.task.cells)
    page[:known] = score.tokens[0, 0, :known]
    pitches = page + (score.task.codec.low - FIRST_PITCH)
    beyond = locked & (page >= FIRST_PITCH) & ((pitches < task.low) | (pitches > task.high))
    if beyond.any():
        pitch = task.key.pitch_name(int(pitches[beyond][0]))
        raise ValueError(
            f"{pitch} is in a bar that is kept and outside the range; expected "
            f"{task.key.pitch_name(task.low)} to {task.key.pitch_name(task.high)}"
        )
    page = np.where(page >= FIRST_PITCH, pitches + FIRST_PITCH - task.codec.low, page)
    sounding = -1  # cell at which the sounding note began
    begun = False  # whether a note that is kept began before
    for cell, token in enumerate(page.tolist()):
        sounding = cell if token >= FIRST_PITCH else -1 if token == REST else sounding
        begins = locked[cell] and not (cell and locked[cell - 1])
        if begins and token == HOLD and sounding >= 0:
            locked[sounding:cell] = True
        elif token == HOLD and sounding < 0 and (begins or not begun):
            page[cell] = REST  # a hold would need a note before it, and that one may be free
        begun |= bool(locked[cell]) and sounding >= 0
    return np.where(locked, page, UNWRITTEN).tolist()
