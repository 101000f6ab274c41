"""A piece as a file tells it: its notes on a grid, key, metre, tempo, bars and title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from envs.music.codec import Note
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.score import Score
from envs.music.task import Task

# Semitones from the lowest to the highest pitch of the task: with these every key can be moved
# into the two octaves and a half that the prior knows.
ROOM = 24


def roomy_range(pitches: Sequence[int]) -> tuple[int, int]:
    """Lowest and highest MIDI pitch of a task for some notes, at least ROOM semitones apart."""
    low, high = min(pitches), max(pitches)
    low = max(0, low - max(0, ROOM - high + low) // 2)
    return low, min(127, max(high, low + ROOM))


@dataclass(frozen=True)
class Piece:
    """A piece and what is known of it.

    Attributes:
        notes: in cells from the beginning of the piece, voice by voice.
        grid: cells per quarter note.
        key: as the file names it, or estimated from the notes.
        meter: of the whole piece.
        tempo: beats per minute, dotted beats in compound metres; None if the file names none.
        pickup: cells before the first bar line.
        bars: length of the piece in bars; the incomplete first and last one may share one.
        title: a line of printable characters, may be empty.
        numbers: of the bars as the file prints them, the pickup's included.
        estimated: whether the key is not the file's.
        notices: what a reader should know of how the file was read.
    """

    notes: tuple[Note, ...]
    grid: int
    key: Key
    meter: Meter
    tempo: float | None = None
    pickup: int = 0
    bars: int = 1
    title: str = ""
    numbers: tuple[int, ...] = ()
    estimated: bool = False
    notices: tuple[str, ...] = ()

    @property
    def voices(self) -> int:
        """Number of voices."""
        return max(note.voice for note in self.notes) + 1

    @cached_property
    def task(self) -> Task:
        """The task that the piece fills, its range a little wider than the notes need."""
        low, high = roomy_range([note.pitch for note in self.notes])
        return Task(
            key=self.key,
            meter=self.meter,
            bars=self.bars,
            low=low,
            high=high,
            grid=self.grid,
            voices=self.voices,
            pickup=self.pickup,
        )

    def score(self, task: Task | None = None) -> Score:
        """The piece as a score of one piece.

        Args:
            task: known better than by the file.

        Raises:
            ValueError: the notes do not fit in that task.
        """
        task = task or self.task
        if self.voices > task.voices:
            raise ValueError(f"the piece has {self.voices} voices; the task has {task.voices}")
        voices = [[n for n in self.notes if n.voice == voice] for voice in range(task.voices)]
        page = np.stack([task.codec.encode(voice, task.cells) for voice in voices])
        return Score(page[None], task)
