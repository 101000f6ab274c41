"""A bass under a melody with chords: what it may sound, and a simple prior that writes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from envs.music.chords import Chord
from envs.music.codec import FIRST_PITCH, HOLD, REST, UNWRITTEN
from envs.music.score import Score
from envs.music.tape import Array, freeze
from envs.music.task import Task
from pretrained.prior import ILLEGAL
from rewards.rule import Rule
from rewards.rules.rhythm import levels_at
from rewards.rules.voices import KOSTKA

THIRDS = (3, 4)  # semitones
STRONG = 1  # highest metrical level of a strong place
# Chances of a note where the chord stays, by the metrical level; none on weaker places.
BEGINS = (0.85, 0.3, 0.08)
AT_REST = 0.2  # of these, under the last chord
# Chances of a move by its semitones, beside each other; larger and missing ones have FAR.
MOVES = {0: 0.35, 1: 1.0, 2: 1.0, 3: 0.6, 4: 0.6, 5: 0.9, 7: 0.7, 8: 0.15, 9: 0.15, 12: 0.3}
FAR = 0.01
ROOT, OTHER_TONE, PASSING = 1.0, 0.35, 0.5  # chances of a note by what it is
WIDTH = 7.0  # semitones from the middle of the range at which a note is rarer by the half of e


@dataclass(frozen=True)
class Place:
    """The chord of a cell and the notes that the bass may begin there.

    Attributes:
        chord: that sounds there.
        begins: True if the chord begins, so that a note must.
        tones: pitch classes that may begin.
    """

    chord: Chord
    begins: bool
    tones: frozenset[int]


def _inverted(chord: Chord) -> frozenset[int]:
    """Return the pitch classes on which the bass may begin a chord: root or third."""
    if chord.bass >= 0:
        return frozenset({chord.bass})
    thirds = {(chord.root + third) % 12 for third in THIRDS}
    return frozenset({chord.root, *(thirds & chord.pitch_classes)})


@lru_cache(maxsize=64)
def places(task: Task) -> tuple[Place | None, ...]:
    """Return what the bass may do at each cell of a task with chords, None before the first chord.

    A chord begins on its root or third, or on what an inversion such as C/E asks for, and goes over
    a bar line on one of them; the first chord, the chord that a phrase ends on, and the dominant
    before the last one, begin on the root, and the last one stays there.
    """
    changes: list[tuple[int, Chord]] = []
    for start, chord in task.chord_starts:
        if not changes or changes[-1][1] != chord:
            changes.append((start, chord))
    ends = (np.flatnonzero(task.phrase_ends) + 1).tolist()
    found: list[Place | None] = [None] * task.cells
    for number, (start, chord) in enumerate(changes):
        after = changes[number + 1] if number + 1 < len(changes) else (task.cells, None)
        closes = any(start < end <= after[0] or start < end < after[0] for end in ends)
        leads = number + 2 == len(changes) and (chord.root - changes[-1][1].root) % 12 == 7
        root = chord.bass < 0 and (number == 0 or closes or leads)
        opening = frozenset({chord.root}) if root else _inverted(chord)
        inside = opening if number + 1 == len(changes) else chord.pitch_classes
        for cell in range(start, after[0]):
            on_bar_line = cell != start and not task.place_in_bar(cell)
            tones = opening if cell == start else inside
            over = tones & _inverted(chord) if on_bar_line else tones
            found[cell] = Place(chord, cell == start, over)
    return tuple(found)


@lru_cache(maxsize=64)
def _wrong(task: Task) -> tuple[Array, Array]:
    """Return where a note must begin (cells,), and which pitch classes may not (cells, 12)."""
    rows = places(task)
    due = np.array([place is not None and place.begins for place in rows])
    strong = levels_at(task, np.arange(task.cells)) <= STRONG
    foreign = [
        [place is not None and (place.begins or hard) and pc not in place.tones for pc in range(12)]
        for place, hard in zip(rows, strong.tolist(), strict=True)
    ]
    return freeze(due), freeze(np.array(foreign))


def bass_tones(score: Score) -> Array:
    """The last voice begins each chord of the task with its root or third, and never rests.

    What `places` allows is allowed; on strong places a note belongs to its chord.
    """
    task = score.task
    due, foreign = _wrong(task)
    harmonised = score.cell >= (task.chord_starts[0][0] if task.chord_starts else task.cells)
    missing = due[score.cell] & ~score.onset
    wrong = score.onset & foreign[score.cell, score.pitch % 12]
    silent = harmonised & (score.tokens == REST)
    last = score.written & (score.voice == task.voices - 1)
    return (last & (missing | wrong | silent)).astype(np.float32)


BASS_TONES = Rule(
    "bass_tones",
    bass_tones,
    says="the bass does not sound its chord",
    source=f"{KOSTKA}: root position and first inversion",
    cellwise=True,
    violation=True,
    needs="chords",
)


class BassPrior:
    """A prior of the last voice under chords, that learned from no music.

    It begins a note with each chord, and calmly between: roots before thirds, steps, fourths and
    fifths before other leaps, passing notes to the next root. What is given is certain, and other
    voices may sound anything.

    Args:
        task: with chords, and two voices or more.

    Raises:
        ValueError: a task without chords, or of one voice.
    """

    hears_ahead = True

    def __init__(self, task: Task) -> None:
        self.task, self.codec = task, task.codec
        self.require(task)

    def require(self, task: Task) -> None:
        """Raise ValueError unless a task has chords and two voices."""
        if not task.chords or task.voices < 2:
            raise ValueError(
                f"a task of {task.voices} voices with chords {task.chords!r}: a bass needs chords, "
                "and a voice above it"
            )

    def start(self, task: Task, batch: int) -> int:
        """Return the state before the first cell; there is nothing to keep."""
        self.require(task)
        return 0

    def take(self, state: int, rows: Tensor) -> int:
        """Return the state of some pieces."""
        return state

    def step(self, state: int, score: Score) -> tuple[Tensor, int]:
        """Return logits (B, vocab) of the next cell, and the state."""
        if score.finished:
            raise ValueError("expected an unfinished score")
        task = score.task
        time, voice = divmod(score.n_written, task.voices)
        legal = score.grammar()
        given = int(task.page[voice, time])
        if given != UNWRITTEN:
            chances = np.zeros(legal.shape)
            chances[:, given] = 1.0
        elif voice < task.voices - 1:
            chances = legal.astype(float)
        else:
            view = score.newest.beside(voice, back=1) if time else None
            before = np.full(score.batch, -1) if view is None else view.pitch[:, 0, 0]
            chances = np.where(legal, _chances(task, time, before), 0.0)
        chances = np.where(chances.any(axis=1, keepdims=True), chances, legal)
        with np.errstate(divide="ignore"):
            nats = np.log(chances / chances.sum(axis=1, keepdims=True))
        return torch.from_numpy(np.maximum(nats, ILLEGAL).astype(np.float32)), score.n_written

    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return nats (B, V, T) of each token of finished pieces."""
        if not score.finished:
            raise ValueError("expected finished pieces")
        nats, rows = np.zeros(score.tokens.shape, np.float32), np.arange(score.batch)
        page = Score.page(score.task, score.batch)
        while not page.finished:
            time, voice = divmod(page.n_written, page.task.voices)
            tokens = score.tokens[:, voice, time]
            nats[:, voice, time] = self.step(0, page)[0].numpy()[rows, tokens]
            page = page.write(tokens)
        return nats


def _chances(task: Task, time: int, before: Array) -> Array:
    """Return the chances (B, vocab) of the bass's tokens at a time index, in no certain sum.

    Args:
        task: with chords.
        time: the index.
        before: (B,) MIDI pitch of the bass before, -1 for none.
    """
    found = np.zeros((len(before), task.codec.vocab))
    place, level = places(task)[time], int(levels_at(task, np.array(time)))
    if place is None:
        found[:, REST] = 1.0
        return found
    on_beat = task.place_in_bar(time) % task.beat_cells == 0
    begins = 1.0 if place.begins else BEGINS[min(level, 2)] * on_beat
    begins *= 1.0 if place.begins or time < _last_change(task) else AT_REST
    found[:, HOLD] = np.where(before >= 0, 1 - begins, 0)
    pitches = np.arange(task.codec.low, task.codec.high + 1)
    table = np.full(256, FAR)
    table[list(MOVES)] = list(MOVES.values())
    move = np.abs(pitches - before[:, None])
    chance = np.where(before[:, None] >= 0, table[move], 1.0) * _worth(task, time, place, pitches)
    low, high = task.spans[-1]
    chance = chance * np.exp(-(((pitches - (low + high) / 2) / WIDTH) ** 2) / 2)
    total = chance.sum(axis=1, keepdims=True)
    found[:, FIRST_PITCH:] = begins * chance / np.maximum(total, 1e-300)
    return found


def _last_change(task: Task) -> int:
    """Return the cell at which the last chord of a task begins."""
    return max(time for time, place in enumerate(places(task)) if place and place.begins)


def _worth(task: Task, time: int, place: Place, pitches: Array) -> Array:
    """Return the chance of each pitch by what it is in its chord, and in the way to the next."""
    rows = places(task)
    tones = np.isin(pitches % 12, list(place.tones))
    worth = np.where(tones, np.where(pitches % 12 == place.chord.root, ROOT, OTHER_TONE), 0.0)
    onward = time + task.beat_cells
    following = rows[onward] if onward < task.cells else None
    if place.begins or following is None or not following.begins:
        return worth
    root = following.chord.root if following.chord.bass < 0 else following.chord.bass
    near = (pitches - root + 2) % 12 <= 4  # a step from the next bass note
    scale = np.isin(pitches % 12, list(task.key.admitted))
    return np.where(near & scale & (pitches % 12 != root), np.maximum(worth, PASSING), worth)
