"""Plain four-part writing without a corpus: a prior that sings the chords of a given voice.

The voices move with the beats, or where a given voice does on a beat, and hold their notes in
between. On each beat they sing the chord there: that of the task, or the one that
`parts.harmoniser` finds for the given voice. Notes near the last one are likelier, the bass prefers
steps to roots and thirds, at closes roots, and of the upper voices one takes what the chord still
lacks. Probabilities are round numbers, nothing is learned; the rules of part-writing choose among
what it draws.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agents.composing.parts.harmoniser import chords_for
from envs.music.chords import Chord
from envs.music.codec import FIRST_PITCH, HOLD, REST, UNWRITTEN, Codec
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.prior import ILLEGAL
from rewards.rules.rhythm import levels_at

NAME = "plain"
# Logits: of each semitone from the last note, upper voices and bass; of tones of the bass, and of a
# step to root or third; of a third, and of another tone, that the chord lacks; of a note that is
# foreign to it; of what is out of time; and of a note that is held on into a beat.
NEAR, NEAR_BASS, ROOT, THIRD, FIFTH, STEP = -0.5, -0.25, 1.5, 1.0, -2.5, 1.5
LACKS_THIRD, LACKS, FOREIGN, UNTIMELY, HELD_ON = 3.0, 1.0, -12.0, -12.0, -1.5
MIDDLE, FIRST = -0.1, -0.4  # for each semitone from the middle of the range; of a first note


class PlainChoir:
    """A prior of chords on beats; its state is empty, as it reads the score alone."""

    path = NAME

    def __init__(self) -> None:
        self.codec = Codec()

    @property
    def hears_ahead(self) -> bool:
        """True: it knows the voice that is given."""
        return True

    def require(self, task: Task) -> None:
        """Raise ValueError unless a voice is given, or chords.

        Raises:
            ValueError: there is neither.
        """
        if not task.chords and not self._given(task):
            raise ValueError(
                f"the {NAME} style sings the chords of a voice; expected one that is given as a "
                "whole, or chords"
            )

    @staticmethod
    def _given(task: Task) -> list[int]:
        """Return the numbers of the voices that are given as a whole."""
        return np.flatnonzero((task.page != UNWRITTEN).all(axis=1)).tolist()

    def start(self, task: Task, batch: int) -> _Plan:
        """Return the chords and beats of a task."""
        self.require(task)
        return _Plan.of(task, self._given(task))

    def step(self, state: _Plan, score: Score) -> tuple[Tensor, _Plan]:
        """Return logits (B, vocab) of the next cell, and the state, which does not change."""
        logits = state.logits(score)
        logits[~score.grammar()] = ILLEGAL
        return torch.from_numpy(logits.astype(np.float32)), state

    def take(self, state: _Plan, rows: Tensor) -> _Plan:
        """Return the state, which is that of all pieces."""
        return state

    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return nats (B, V, T) of each token given the cells written before it."""
        page, state = Score.page(score.task, score.batch), self.start(score.task, score.batch)
        nats, rows = np.zeros(score.tokens.shape, np.float32), np.arange(score.batch)
        while not page.finished:
            time, voice = divmod(page.n_written, score.task.voices)
            tokens = score.tokens[:, voice, time]
            nats[:, voice, time] = self.step(state, page)[0].log_softmax(dim=1)[rows, tokens]
            page = page.write(tokens)
        return nats


class _Plan:
    """The chords that a choir sings to a task, and the cells at which its notes begin.

    Attributes:
        task: the page.
        tones: (T, 12) bool, the pitch classes of the chord of each cell.
        roots: (T,) its root, -1 for none.
        thirds: (T,) its third, -1 for none.
        begins: (T,) bool, cells at which a note may begin.
    """

    def __init__(self, task: Task, begins: Array) -> None:
        self.task, self.begins = task, begins
        self.tones = task.chord_tones.copy()
        self.roots = np.full(task.cells, -1)
        for start, chord in task.chord_starts:
            self.roots[start:] = chord.root
        if task.chord_starts and task.chord_starts[0][0]:
            upbeat, chord = task.chord_starts[0][0], _upbeat_chord(task)
            self.roots[:upbeat] = chord.root
            self.tones[:upbeat] = [pc in chord.pitch_classes for pc in range(12)]
        rows = np.arange(task.cells)
        thirds = [(self.roots + size) % 12 for size in (4, 3)]
        has = [self.tones[rows, third] & (self.roots >= 0) for third in thirds]
        self.thirds = np.where(has[0], thirds[0], np.where(has[1], thirds[1], -1))

    @classmethod
    def of(cls, task: Task, given: list[int]) -> _Plan:
        """Return the plan of a task with given voices."""
        cells = np.arange(task.cells)
        begins = levels_at(task, cells) <= levels_at(
            task, np.array([task.pickup + task.beat_cells])
        )
        page = task.page[given] if given else task.page[:0]
        starts = begins & ~(page == HOLD).all(axis=0) if given else begins
        begins = starts | (levels_at(task, cells) <= 0) if given else begins
        if not task.chords:
            low, high = task.spans[given[0]]
            line = replace(task, voices=1, ranges="", low=low, high=high, given=())
            tokens = np.where(
                page[0] >= FIRST_PITCH, page[0] + task.codec.low - line.codec.low, page[0]
            )
            found = chords_for(Score(tokens[None, None], line), "beat")[0]
            task = replace(task, chords=found.symbols)
        return cls(task, begins)

    def logits(self, score: Score) -> Array:
        """Return logits (B, vocab) of the next cell."""
        time, voice = divmod(score.n_written, score.task.voices)
        codec, vocab = score.task.codec, score.task.codec.vocab
        found = np.full((score.batch, vocab), UNTIMELY)
        if not self.begins[time]:
            found[:, HOLD] = 0
            return found
        pitch = codec.low + np.arange(vocab - FIRST_PITCH)
        bass = voice == score.task.voices - 1
        low, high = score.task.spans[voice]
        before = self._before(score, voice)
        from_middle = np.abs(pitch - (low + high) / 2)
        worth = np.where(before[:, None] < 0, FIRST, MIDDLE) * from_middle
        worth = worth + np.where(self.tones[time, pitch % 12], 0, FOREIGN)
        size = np.abs(pitch - before[:, None])
        if bass and self.roots[time] >= 0:
            root, third = pitch % 12 == self.roots[time], pitch % 12 == self.thirds[time]
            closes = self.task.phrase_ends[time : time + self.task.bar_cells].any()
            worth = worth + np.where(root, ROOT * (1 + 2 * closes), np.where(third, THIRD, FIFTH))
            worth = worth + np.where((root | third) & (size > 0) & (size < 3), STEP, 0)
        worth = worth + np.where(before[:, None] >= 0, (NEAR_BASS if bass else NEAR) * size, 0)
        found[:, FIRST_PITCH:] = worth + self._lacking(score, time, voice, pitch)
        stays = np.clip(before - codec.low, 0, len(pitch) - 1) + FIRST_PITCH
        same = found[np.arange(score.batch), stays]
        found[:, HOLD] = np.where(before >= 0, same + HELD_ON, UNTIMELY)
        found[:, REST] = UNTIMELY
        return found

    @staticmethod
    def _before(score: Score, voice: int) -> Array:
        """Return the pitch (B,) that the voice sang in the frame before, -1 for none."""
        if score.n_written < score.task.voices:
            return np.full(score.batch, -1)
        frame = score.newest.beside(voice, back=int(score.n_written % score.task.voices > 0))
        return np.asarray(frame.sounding)[:, 0, 0].astype(int)

    def _lacking(self, score: Score, time: int, voice: int, pitch: Array) -> Array:
        """Return what each pitch (B, pitches) adds to the chord that the voices before it sing."""
        sung = np.zeros((score.batch, 12), bool)
        page = score.task.page
        for other in range(score.task.voices):
            here = np.full(score.batch, -1)
            if other < voice:
                here = np.asarray(score.newest.beside(other).sounding)[:, 0, 0].astype(int)
            elif other > voice and page[other, time] >= FIRST_PITCH:
                here = np.full(score.batch, score.task.codec.pitch(int(page[other, time])))
            rows = np.flatnonzero(here >= 0)
            sung[rows, here[rows] % 12] = True
        lacks = self.tones[time] & ~sung if self.roots[time] >= 0 else np.zeros_like(sung)
        worth = lacks * LACKS
        third = self.thirds[time]
        if third >= 0:
            worth[:, third] = np.where(sung[:, third], -LACKS, LACKS_THIRD)
        behind = page[voice + 1 : -1, time] == UNWRITTEN  # upper voices that can still sing it
        found: Array = worth[:, pitch % 12] / (1 + np.count_nonzero(behind))
        return found


def _upbeat_chord(task: Task) -> Chord:
    """Return the chord of an upbeat, in which no chord is named: the tonic's or the first.

    It is the first of them that has all notes that are given there, or else the first of the piece.
    """
    first = task.chord_starts[0][0]
    chords = [chord for _, chord in task.chord_starts]
    upbeat = task.page[:, :first]
    given = {task.codec.pitch(int(token)) % 12 for token in upbeat[upbeat >= FIRST_PITCH]}
    tonics = [chord for chord in chords if chord.root == task.key.pitch_class]
    fit = (chord for chord in (*tonics, chords[0]) if given <= set(chord.pitch_classes))
    return next(fit, chords[0])
