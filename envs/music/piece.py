"""A piece, composed or read: its score, title, source and written layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real

import numpy as np

from envs.errors import quoted
from envs.music.codec import Note
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.score import Score
from envs.music.task import Task

# Semitones from the lowest to the highest pitch of the task: with these every key can be moved
# into the two octaves and a half that the prior knows.
ROOM = 24


SLOWEST, FASTEST = 10.0, 400.0  # beats per minute


def require_tempo(tempo: float) -> None:
    """Raise an error unless a tempo can be listened to.

    Raises:
        ValueError: fewer than SLOWEST or more than FASTEST beats per minute.
        TypeError: it is no number.
    """
    if isinstance(tempo, bool) or not isinstance(tempo, Real):
        raise TypeError(f"tempo={quoted(tempo)}: expected beats per minute")
    if not SLOWEST <= tempo <= FASTEST:
        raise ValueError(
            f"tempo={quoted(tempo)}: expected {SLOWEST:g} to {FASTEST:g} beats per minute"
        )


def roomy_range(pitches: Sequence[int], room: int = ROOM) -> tuple[int, int]:
    """Return lowest and highest MIDI pitch of a task for notes, at least `room` semitones apart."""
    low, high = min(pitches), max(pitches)
    low = max(0, low - max(0, room - high + low) // 2)
    return low, min(127, max(high, low + room))


def notes_of(score: Score, row: int = 0) -> list[Note]:
    """Return the notes of one piece of a score, voice after voice.

    Raises:
        ValueError: there is no such row.
    """
    page, codec = score.tokens[_row_of(score, row)], score.task.codec
    return [note for voice, line in enumerate(page) for note in codec.decode(line, voice)]


def spans_of(score: Score, row: int, voice: int) -> Iterator[tuple[int, int, int | None]]:
    """Yield start, end and MIDI pitch of each note of a voice, None for the silence between."""
    end = 0
    for note in score.task.codec.decode(score.tokens[_row_of(score, row), voice]):
        if note.start > end:
            yield end, note.start, None
        end = note.start + note.duration
        yield note.start, end, note.pitch
    if end < score.task.cells:
        yield end, score.task.cells, None


def score_of(notes: Iterable[Note], task: Task) -> Score:
    """Return a score of one piece that holds these notes.

    Raises:
        ValueError: a note does not fit in the task's voices, cells or vocabulary, or two overlap.
    """
    voices: list[list[Note]] = [[] for _ in range(task.voices)]
    for note in notes:
        if not 0 <= note.voice < task.voices:
            raise ValueError(f"{note} is for voice {note.voice}; the task has {task.voices}")
        voices[note.voice].append(note)
    return Score(np.stack([task.codec.encode(voice, task.cells) for voice in voices])[None], task)


def _row_of(score: Score, row: int) -> int:
    if not -score.batch <= row < score.batch:
        raise ValueError(f"row {row}: expected 0..{score.batch - 1}, the score's pieces")
    return row % score.batch


@dataclass(frozen=True, eq=False)
class Piece:
    """One piece with its title, its source and how it is written down.

    Attributes:
        score: the piece, a batch of one.
        title: a line of printable characters, may be empty.
        source: the name of the file that it was read from; empty if it was composed.
        tempo: beats per minute, 10 to 400, of the length of `beat_quarters`; None if
            none is named.
        numbers: of the bars as the file prints them, the pickup's included; empty if counted.
        estimated: True if the key was estimated from the notes.
        notices: remarks on how the file was read.
        chords: its chord symbols, as a line that `Task.chords` takes; empty if there are none. The
            task has none of them.
        lost: number of notes of the file that were left out, as they fit no cell of the grid.
        unread: number of voices of the file that were left out, as others were chosen.
    """

    score: Score
    title: str = ""
    source: str = ""
    tempo: float | None = None
    numbers: tuple[int, ...] = ()
    estimated: bool = False
    notices: tuple[str, ...] = ()
    chords: str = ""
    lost: int = 0
    unread: int = 0

    def __post_init__(self) -> None:
        if self.tempo is not None:
            require_tempo(self.tempo)

    @staticmethod
    def of(score: Score, row: int = 0, title: str = "", tempo: float | None = None) -> Piece:
        """Return one piece of a score.

        Raises:
            ValueError: there is no such row.
        """
        row = _row_of(score, row)
        return Piece(score if score.batch == 1 else score[row : row + 1], title, tempo=tempo)

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """The notes, voice after voice, in cells from the beginning of the piece."""
        return tuple(notes_of(self.score))

    @property
    def task(self) -> Task:
        """The task that the piece fills; if read from a file, two octaves wide at least."""
        return self.score.task

    @property
    def key(self) -> Key:
        """The key of the task."""
        return self.task.key

    @property
    def meter(self) -> Meter:
        """The metre of the task."""
        return self.task.meter

    @property
    def grid(self) -> int:
        """Cells per quarter note."""
        return self.task.grid

    @property
    def bars(self) -> int:
        """Number of bars; an incomplete first and last one may share one."""
        return self.task.bars

    @property
    def pickup(self) -> int:
        """Cells before the first bar line."""
        return self.task.pickup

    @property
    def voices(self) -> int:
        """Number of voices."""
        return self.task.voices

    @property
    def facts(self) -> str:
        """Key, metre and size in one line."""
        sizes = [(self.bars, "bar"), (self.voices, "voice"), (len(self.notes), "note")]
        counts = ", ".join(f"{count} {unit}{'s' * (count != 1)}" for count, unit in sizes)
        return f"{self.key}{' (estimated)' * self.estimated}, {self.meter}, {counts}"

    def score_for(self, task: Task) -> Score:
        """Return the notes as a score of another task.

        Raises:
            ValueError: the notes do not fit in that task.
        """
        return score_of(self.notes, task)
