"""Bars of a file that are to stay as they are, or to be written anew."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from envs.music.codec import FIRST_PITCH, HOLD, REST, UNWRITTEN
from envs.music.piece import Piece, roomy_range
from envs.music.task import Task
from envs.notation.address import parse_address
from envs.notation.reading.readers import read_piece

TENTH = 16  # semitones


@dataclass(frozen=True)
class Bars:
    """Bars of a piece that stay as they are in all voices, or that are written anew in all.

    A note that is held into a bar that stays is kept from its beginning.

    Attributes:
        piece: the piece.
        numbers: of the bars, as the piece's file prints them, or counted from 1; a pickup is bar 0.
        rewrite: True if these bars are written anew and all others stay.
        source: name of the piece in messages.
    """

    piece: Piece
    numbers: Set[int]
    rewrite: bool = False
    source: str = "the piece"

    @classmethod
    def read(cls, text: str, rewrite: bool = False, **known: Any) -> Bars:
        """Read a file and the numbers of bars, such as "theme.abc:1-2,5" or "book.abc#7:1-4".

        Args:
            text: the file with its bars, all of which are read.
            rewrite: True if these bars are written anew and all others stay.
            known: as `read_piece`, such as part=2, voice=1 or top=True.

        Raises:
            ValueError: no numbers, or a file that cannot be read.
        """
        address = parse_address(text, bars=True)
        piece = read_piece(text.rpartition(":")[0], **known)
        return cls(piece, address.numbers, rewrite, text.rpartition(":")[0])

    def task_with(self, changes: Mapping[str, Any]) -> Task:
        """Return the piece's task with these bars given, and with changed fields.

        Each of several voices is written in its own range, see `own_ranges`, unless the changes
        name another.

        Raises:
            ValueError: bars outside the piece, a metre, pickup, grid or number of voices other
                than the piece's, or kept notes outside the range.
        """
        piece, name = self.piece.task, self.source
        known = {"low", "high", "ranges", "voices"} & set(changes) or self.piece.voices == 1
        ranges = {} if known else own_ranges(self.piece)
        task = task_of_page(self.piece, {**ranges, **changes}, name)
        lines = [*task.bar_lines, task.cells]
        printed = self.piece.numbers or (int(task.pickup == 0),)
        numbers = [*printed, *range(printed[-1] + 1, printed[-1] + len(lines))][: len(lines) - 1]
        there = numbers[: sum(line < piece.cells for line in lines[:-1])]
        wrong = ", ".join(map(str, sorted(self.numbers - set(there))))
        if wrong:
            raise ValueError(f"bar {wrong} of {name}: the piece has bars {there[0]} to {there[-1]}")
        chosen = [(number in self.numbers) != self.rewrite for number in numbers]
        locked = np.repeat(chosen, np.diff(lines))
        locked[piece.cells :] = False  # bars that the file does not have
        if locked.all():
            raise ValueError(f"{name}: every bar stays, nothing is left to write")
        rows = enumerate(self.piece.score.tokens[0])
        given = tuple(tuple(_given(line, piece, task, voice, locked)) for voice, line in rows)
        if not any(UNWRITTEN in page for page in given):
            raise ValueError(
                f"{name}: the notes that are held into the bars that stay leave nothing to write"
            )
        return replace(task, given=given)


def own_ranges(piece: Piece) -> dict[str, Any]:
    """Return fields of a task: each voice of a piece in its range there, a tenth at least."""
    if piece.task.ranges:
        return {}
    lines = [[n.pitch for n in piece.notes if n.voice == v] for v in range(piece.voices)]
    if not all(lines):  # a silent voice may go anywhere
        return {}
    spans = [roomy_range(line, TENTH) for line in lines]
    name = piece.key.pitch_name
    return {
        "low": min(low for low, _ in spans),
        "high": max(high for _, high in spans),
        "ranges": " ".join(f"{name(low)}-{name(high)}" for low, high in spans),
    }


def task_of_page(piece: Piece, changes: Mapping[str, Any], source: str) -> Task:
    """Return a piece's task with changed fields, cells and bar lines as they are.

    Raises:
        ValueError: a metre, pickup, grid or number of voices other than the piece's; the message
            has its name.
    """
    own = piece.task
    if changes.get("voices", own.voices) != own.voices:
        raise ValueError(
            f"{source} has {own.voices} voices, not {changes['voices']}; leave voices out, or "
            "choose a voice of the file (part=, voice=; --part, --voice)"
        )
    if changes.get("grid", own.grid) != own.grid:
        raise ValueError(
            f"{source} has {own.grid} cells per quarter note; its bars cannot be kept on a "
            f"grid of {changes['grid']}, so leave grid out"
        )
    task = own.changed(**changes)
    if task.voices != own.voices:
        raise ValueError(f"{source} has {own.voices} voices; name a range for each of them")
    if (task.meter, task.pickup) != (own.meter, own.pickup):
        raise ValueError(
            f"{source} is in {own.meter} with a pickup of {own.pickup} cells; its bars "
            "cannot be kept in another metre, so leave meter and pickup out"
        )
    return task


def _given(line: np.ndarray, own: Task, task: Task, voice: int, locked: np.ndarray) -> list[int]:
    """Return a token for each cell of a voice, UNWRITTEN where the composer is free.

    Args:
        line: tokens (cells,) of the piece.
        own: its task.
        task: that is composed.
        voice: its index.
        locked: (cells,) bool of that task, the cells that stay.
    """
    page, locked = np.full(task.cells, HOLD, np.int64), locked.copy()
    known = min(task.cells, own.cells)
    page[:known] = line[:known]
    pitches = page + (own.codec.low - FIRST_PITCH)
    low, high = task.spans[voice]
    beyond = locked & (page >= FIRST_PITCH) & ((pitches < low) | (pitches > high))
    if beyond.any():
        pitch = task.key.pitch_name(int(pitches[beyond][0]))
        raise ValueError(
            f"{pitch} is in a bar that is kept and outside the range; expected "
            f"{task.key.pitch_name(low)} to {task.key.pitch_name(high)}"
        )
    page = np.where(page >= FIRST_PITCH, pitches + FIRST_PITCH - task.codec.low, page)
    sounding = -1  # cell at which the sounding note began
    begun = False  # True once a note that is kept has begun
    for cell, token in enumerate(page.tolist()):
        sounding = cell if token >= FIRST_PITCH else -1 if token == REST else sounding
        begins = locked[cell] and not (cell and locked[cell - 1])
        if begins and token == HOLD and sounding >= 0:
            locked[sounding:cell] = True
        elif token == HOLD and sounding < 0 and (begins or not begun):
            page[cell] = REST  # a hold would need a note before it, and that one may be free
        begun |= bool(locked[cell]) and sounding >= 0
    return np.where(locked, page, UNWRITTEN).tolist()
