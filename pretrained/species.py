"""A prior of species counterpoint that learned from no music: it knows the rhythm, and steps.

A note begins where the species has one; from note to note steps are likelier than leaps, larger
leaps less likely than smaller ones. Ties, halves, quarters and eighths of the fifth species have
the chances of a table. What no rule of the species allows has none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from envs.music.codec import FIRST_PITCH, HOLD, REST, UNWRITTEN, Codec
from envs.music.key import RAISED
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from envs.music.voices.species import due, require_species
from pretrained.prior import ILLEGAL

Floats = npt.NDArray[np.float64]
# Chances of a move by its semitones, beside each other; those that are missing have RARE.
MOVES = {0: 0.02, 1: 1.0, 2: 1.0, 3: 0.45, 4: 0.4, 5: 0.2, 7: 0.12, 8: 0.04, 12: 0.04}
RARE = 1e-4
OCTAVE, FOURTH, STEP = 12, 5, 2  # semitones
LATE = {2: 0.7, 3: 0.6, 4: 0.9, 5: 0.8}  # chance that a voice of a species enters after a rest
TIED = 0.92  # over the bar line, in the fourth species
PREPARED = 8.0  # times likelier is the tonic where the suspension of the close begins
WHOLE = 0.2  # in the last bar but one, in the second species


@dataclass(frozen=True)
class LinesRead:
    """The last notes that the prior has read, arrays (B, V).

    Attributes:
        cell: number of cells read, in writing order.
        pitch: the last pitch that began, -1 before the first note.
        move: semitones by which it came, 0 for the first note.
        onset: time index at which it began, -1 before the first note.
        top: the highest pitch so far.
    """

    cell: int
    pitch: npt.NDArray[np.int64]
    move: npt.NDArray[np.int64]
    onset: npt.NDArray[np.int64]
    top: npt.NDArray[np.int64]

    def read(self, score: Score) -> LinesRead:
        """Return what is known once all that is written has been read."""
        voices, codec = score.task.voices, score.task.codec
        pitch, move, onset, top = (
            each.copy() for each in (self.pitch, self.move, self.onset, self.top)
        )
        for number, tokens in enumerate(score.written_since(self.cell).T, self.cell):
            time, voice = divmod(number, voices)
            new = tokens.astype(np.int64) - FIRST_PITCH + codec.low
            begins, first = tokens >= FIRST_PITCH, pitch[:, voice] < 0
            leap = np.where(first, 0, new - pitch[:, voice])
            move[:, voice] = np.where(begins, leap, move[:, voice])
            pitch[:, voice] = np.where(begins, new, pitch[:, voice])
            onset[:, voice] = np.where(begins, time, onset[:, voice])
            top[:, voice] = np.maximum(top[:, voice], pitch[:, voice])
        return LinesRead(score.n_written, pitch, move, onset, top)


class SpeciesPrior:
    """A prior of the free voices of a species of counterpoint; see the module.

    Args:
        species: 1 to 5.

    Raises:
        ValueError: another species.
    """

    any_grid = True

    def __init__(self, species: int) -> None:
        require_species(species)
        self.species = species
        self.codec = Codec()

    def require(self, task: Task) -> None:
        """Raise ValueError unless each beat of a task has the cells that the species needs."""
        if self.species == 5 and task.beat_cells % 2:
            raise ValueError(
                f"grid={task.grid}: the fifth species writes halves of a beat; expected an even "
                "number of cells in a beat"
            )

    def start(self, task: Task, batch: int) -> LinesRead:
        """Return the state before the first cell."""
        self.require(task)
        none = np.full((batch, task.voices), -1)
        return LinesRead(0, none, np.zeros_like(none), none, none)

    def take(self, state: LinesRead, rows: Tensor) -> LinesRead:
        """Return the state of some pieces (N,)."""
        chosen = rows.numpy()
        names = ("pitch", "move", "onset", "top")
        return replace(state, **{name: getattr(state, name)[chosen] for name in names})

    def step(self, state: LinesRead, score: Score) -> tuple[Tensor, LinesRead]:
        """Return logits (B, vocab) of the next cell of a score, and the state that has read it."""
        if score.n_written < state.cell or score.finished:
            raise ValueError("expected an unfinished score with all cells that were read")
        state = state.read(score)
        time, voice = divmod(score.n_written, score.task.voices)
        page = _Page(score.task, self.species, voice)
        chances = page.chances(time, *(a[:, voice] for a in _arrays(state)))
        legal = score.grammar()
        chances = np.where(legal, chances, 0.0)
        lost = ~chances.any(axis=1)
        chances[lost] = legal[lost]
        with np.errstate(divide="ignore"):
            nats = np.log(chances / chances.sum(axis=1, keepdims=True))
        return torch.from_numpy(np.maximum(nats, ILLEGAL).astype(np.float32)), state

    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return nats (B, V, T) of each token of finished pieces."""
        if not score.finished:
            raise ValueError("expected finished pieces")
        nats = np.zeros(score.tokens.shape, np.float32)
        rows, state = np.arange(score.batch), self.start(score.task, score.batch)
        page = Score(np.full_like(score.tokens, UNWRITTEN), score.task, 0)
        while not page.finished:
            time, voice = divmod(page.n_written, page.task.voices)
            tokens = score.tokens[:, voice, time]
            logits, state = self.step(state, page)
            nats[:, voice, time] = logits.numpy()[rows, tokens]
            page = page.write(tokens)
        return nats


def _arrays(state: LinesRead) -> tuple[npt.NDArray[np.int64], ...]:
    return state.pitch, state.move, state.onset, state.top


class _Page:
    """Chances of the tokens of one voice of a task."""

    def __init__(self, task: Task, species: int, voice: int) -> None:
        self.task, self.species, self.voice = task, species, voice
        self.pitches = np.arange(task.codec.low, task.codec.high + 1)
        key, beats = task.key, task.bar_cells // task.beat_cells
        self.in_scale = np.isin(self.pitches % OCTAVE, list(key.pitch_classes))
        self.half = task.bar_cells // 2 if beats % 2 == 0 else task.beat_cells
        degree = (self.pitches - key.pitch_class) % OCTAVE
        self.final = degree == 0
        self.raised = np.isin(degree, RAISED) & (1 not in key.steps)

    def chances(self, time: int, pitch: Array, move: Array, onset: Array, top: Array) -> Floats:
        """Return the chances (B, vocab) of tokens at a time index, not yet made to sum to 1."""
        must, may = due(self.task, time, self.species)
        found, silent = np.zeros((len(pitch), self.task.codec.vocab)), onset < 0
        if not may:
            found[:, HOLD], found[:, REST] = ~silent, silent
            return found
        found[:, FIRST_PITCH:] = self._moves(time, pitch, move, top)
        if self.species == 5:
            found[:, FIRST_PITCH:] *= self._eighths(time, onset, pitch)
        hold = np.zeros(len(pitch)) if must else self._held(time, onset, move)
        first_bar = time < self.task.bar_cells and self.species > 1
        enters = LATE.get(self.species, 0.0) if time == 0 else RARE
        if first_bar and time > 0 and time < self.half and self.species in (4, 5):
            enters = 1.0 - RARE
        hold = np.where(silent, enters if first_bar else 0.0, hold)
        found *= ((1 - hold) / found.sum(axis=1).clip(min=1e-300))[:, None]
        found[:, HOLD], found[:, REST] = np.where(silent, 0, hold), np.where(silent, hold, 0)
        return found

    def _moves(self, time: int, pitch: Array, move: Array, top: Array) -> Floats:
        """Return the chances (B, pitches) of the next pitch."""
        task = self.task
        semitones = self.pitches - pitch[:, None]
        table = np.full(256, RARE)
        table[list(MOVES)] = list(MOVES.values())
        chance = table[np.abs(semitones)]
        before, leapt = move[:, None], np.abs(move[:, None])
        back = np.sign(semitones) == -np.sign(before)
        step = (np.abs(semitones) <= STEP) & (semitones != 0)
        onward = (np.sign(semitones) == np.sign(before)) & (before != 0)
        chance = np.where((leapt >= FOURTH) & ~(back & step), chance * 0.1, chance)
        chance = np.where((leapt > STEP) & onward & ~step, chance * 0.2, chance)
        chance = np.where(onward & step & (leapt <= STEP), chance * 1.5, chance)
        returns = semitones == -before  # to the note before: a seesaw
        chance = np.where(returns & (before != 0), chance * np.where(step, 0.25, 0.1), chance)
        rising = time < 0.55 * task.cells
        chance = np.where((semitones > 0) == rising, chance * 1.3, chance)
        chance = np.where((semitones >= 0) & (self.pitches == top[:, None]), chance * 0.4, chance)
        chance = np.where(pitch[:, None] < 0, 1.0, chance)
        bars_left = task.bars - 1 - (time - task.pickup) // task.bar_cells
        allowed = self.in_scale | (self.raised & (bars_left <= 1))
        if bars_left == 2 and self._prepares(time):
            chance = np.where(self.final, chance * PREPARED, chance)
        if bars_left == 0:
            chance = np.where(self.final, chance, chance * RARE)
        return np.where(allowed, chance, 0.0)

    def _prepares(self, time: int) -> bool:
        """Return True in the middle of a bar of the fifth species, where a suspension begins."""
        return self.species == 5 and self.task.place_in_bar(time) == self.half

    def _eighths(self, time: int, onset: Floats, pitch: Floats) -> Floats:
        """Return 1 where a pitch (B, pitches) may follow; from an eighth only a step."""
        beat = self.task.beat_cells
        short = (onset >= 0) & (time - onset == beat // 2)
        far = np.abs(self.pitches - pitch[:, None])
        return np.where(short[:, None] & ((far == 0) | (far > STEP)), RARE, 1.0)

    def _held(self, time: int, onset: Array, move: Array) -> Floats:
        """Return the chance (B,) that a note is held where another may begin."""
        if self.species != 5:
            return np.full(len(onset), WHOLE if self.species == 2 else TIED)
        task, age = self.task, time - onset
        place, beat = task.place_in_bar(time), task.beat_cells
        level, half = task.meter.levels(task.grid)[place], self.half
        if place % beat:  # eighths come in pairs on weak beats, and move by step
            pair = (age == beat // 2) & (place % (2 * beat) > beat) & (np.abs(move) <= STEP)
            return np.where(pair, 0.85, 1 - RARE)
        bars_left = task.bars - 1 - (time - task.pickup) // task.bar_cells
        if level == 0:
            return np.where(age == half, 0.97 if bars_left == 1 else 0.75, RARE)
        if bars_left == 2 and self._prepares(time):
            return np.where(age == half, 0.1, RARE)
        if level == 1:  # none of two beats begins on a weak one, none is tied to a longer one
            return np.where(age == half, 0.3, RARE)
        long = np.where(age == beat, 0.35, np.where(age > half, 0.6, 0.3))
        return np.where(age < beat, RARE, long)
