"""Tokens and notes: the vocabulary of a grid's cells and its grammar.

Token 0 ends the sounding note (a rest), token 1 changes nothing (a hold), token 2 and up start a
pitch, lowest first. The reference vocabulary has 36 pitches from MIDI 48: token t is MIDI t + 46.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from envs import old_names
from envs.music.key import C_MAJOR

REST = 0
HOLD = 1
FIRST_PITCH = 2
UNWRITTEN = -1
MAX_GRID = 24  # cells per quarter note


@dataclass(frozen=True, order=True)
class Note:
    """A note of a piece: `start` and `duration` in cells, `pitch` as MIDI number."""

    start: int
    duration: int
    pitch: int
    voice: int = 0


@dataclass(frozen=True)
class Codec:
    """A vocabulary: MIDI pitches `low` to `high` inclusive, `grid` cells per quarter note."""

    low: int = 48
    high: int = 83
    grid: int = 4

    def __post_init__(self) -> None:
        numbers = (self.low, self.high, self.grid)
        if not all(isinstance(number, (int, np.integer)) for number in numbers):
            raise TypeError(f"{self}: expected whole numbers")
        if not 0 <= self.low <= self.high <= 127:
            raise ValueError(f"pitches {self.low}..{self.high}: expected 0 <= low <= high <= 127")
        if not 1 <= self.grid <= MAX_GRID:
            raise ValueError(f"grid of {self.grid} cells per quarter note: expected 1..{MAX_GRID}")

    @classmethod
    def around(cls, low: int, high: int, grid: int = 4) -> Codec:
        """Return the vocabulary of a range: C3-B5, wider only if the range needs it."""
        return cls(min(low, cls.low), max(high, cls.high), grid)

    @property
    def vocab(self) -> int:
        """Number of tokens."""
        return FIRST_PITCH + self.high - self.low + 1

    @property
    def fingerprint(self) -> str:
        """Name of this meaning of the tokens, such as 'grid16/C3-B5'; checkpoints store it."""
        return f"grid{4 * self.grid}/{self._range}"

    @property
    def _range(self) -> str:
        return f"{C_MAJOR.pitch_name(self.low)}-{C_MAJOR.pitch_name(self.high)}"

    def token(self, pitch: int) -> int:
        """Return the token that starts a MIDI pitch.

        Raises:
            ValueError: the pitch is not in the vocabulary.
        """
        if not self.low <= pitch <= self.high:
            raise ValueError(
                f"pitch {C_MAJOR.pitch_name(pitch)} (MIDI {pitch}) is outside the range "
                f"{self._range} of the vocabulary"
            )
        return pitch - self.low + FIRST_PITCH

    def pitch(self, token: int) -> int:
        """Return the MIDI pitch that a token starts."""
        return token - FIRST_PITCH + self.low

    def shift_for(self, home: int, low: int, high: int) -> int:
        """Return the transposition that gives a piece the key signature of C in this vocabulary.

        The octave is the one in which most of the range fits; of several, the nearest.

        Args:
            home: pitch class of the major key with the piece's signature, see `Key.home`.
            low: lowest MIDI pitch of the piece.
            high: highest MIDI pitch of the piece.

        Returns:
            semitones.
        """

        def misfit(shift: int) -> tuple[int, int, int]:
            beyond = max(0, self.low - low - shift) + max(0, high + shift - self.high)
            return beyond, abs(shift), shift

        return min(range(-home - 132, 133, 12), key=misfit)

    def tokens_of(self, other: Codec, shift: int) -> npt.NDArray[np.int64]:
        """Return the token of this vocabulary for each token of another, transposed by `shift`.

        Returns:
            (other.vocab,). A pitch outside this vocabulary has -1 - t, where t is the token of
            the same pitch class in the nearest octave: it can be read and is never written.

        Raises:
            ValueError: the other vocabulary has another grid.
        """
        if other.grid != self.grid:
            raise ValueError(
                f"the prior knows {self.grid} cells per quarter note, the task has {other.grid}; "
                f"ask for grid={self.grid}, or retrain with: python -m pretrained.train"
            )
        tokens = np.arange(other.vocab)
        place = tokens - FIRST_PITCH + other.low + shift - self.low  # from 0, the lowest pitch
        size = self.vocab - FIRST_PITCH
        nearer = place + 12 * (np.maximum(0, -place + 11) // 12)
        nearer = nearer - 12 * (np.maximum(0, nearer - size + 12) // 12)
        pitches = np.where(nearer == place, place + FIRST_PITCH, -1 - (nearer + FIRST_PITCH))
        return np.where(tokens < FIRST_PITCH, tokens, pitches)

    def encode(self, notes: Iterable[Note], cells: int) -> npt.NDArray[np.int16]:
        """Return the tokens (cells,) of one voice's notes.

        Raises:
            ValueError: notes overlap, do not fit in `cells`, or are outside the vocabulary.
        """
        tokens = np.full(cells, REST, np.int16)
        end = 0
        for note in sorted(notes):
            stop = note.start + note.duration
            if note.duration < 1 or note.start < 0 or stop > cells:
                raise ValueError(f"{note} does not fit in {cells} cells")
            if note.start < end:
                raise ValueError(f"{note} starts before the previous note ends at cell {end}")
            if 0 < end < note.start:
                tokens[end + 1 : note.start] = HOLD  # a silence is one rest and holds
            tokens[note.start] = self.token(note.pitch)
            tokens[note.start + 1 : stop] = HOLD
            end = stop
        if end:
            tokens[end + 1 :] = HOLD
        return tokens

    def decode(self, tokens: Sequence[int] | npt.NDArray[np.integer], voice: int = 0) -> list[Note]:
        """Return the notes of one voice's tokens (cells,), in order of time.

        A hold before the first note is silence.
        """
        notes: list[Note] = []
        start, pitch = -1, 0
        values = np.asarray(tokens)
        changes = np.flatnonzero((values != HOLD) & (values != UNWRITTEN))
        for cell in [*changes.tolist(), len(values)]:
            if start >= 0:
                notes.append(Note(start, cell - start, pitch, voice))
            token = REST if cell == len(values) else int(values[cell])
            start, pitch = (cell, self.pitch(token)) if token >= FIRST_PITCH else (-1, 0)
        return notes

    def legal(
        self, started: npt.NDArray[np.bool_], low: int | None = None, high: int | None = None
    ) -> npt.NDArray[np.bool_]:
        """Return the mask of the tokens that the grammar and a range allow.

        Args:
            started: (...) bool: a note began in an earlier cell of the same voice.
            low: lowest MIDI pitch allowed, the vocabulary's if None.
            high: highest MIDI pitch allowed, the vocabulary's if None.

        Returns:
            (..., vocab): pitches in range, rests, and holds where a note has started.
        """
        tokens = np.arange(self.vocab)
        pitches = tokens - FIRST_PITCH + self.low
        in_range = (pitches >= (self.low if low is None else low)) & (
            pitches <= (self.high if high is None else high)
        )
        allowed = np.broadcast_to(in_range | (tokens < FIRST_PITCH), (*started.shape, self.vocab))
        allowed = allowed.copy()
        allowed[..., HOLD] = started
        return allowed

    def allowed(self, score: Any) -> npt.NDArray[np.bool_]:
        """Return `score.allowed()`, of which this is the old name."""
        old_names.notice("Codec.allowed(score)", "score.allowed()")
        return np.asarray(score.allowed())
