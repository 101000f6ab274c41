"""Chords for a melody: a hidden Markov model whose states are the chords of the key.

The melody is heard at the places where a chord may begin, such as half bars. There a chord costs
what each note that is foreign to it costs: little where it passes on a weak place, much where it
falls on a strong one or leaps, and more the longer it is (Piston, Harmony (1941), nonharmonic
tones). A change costs what the progression of roots costs, see `vocabulary.grades`, and something
on weak places and under held notes; a phrase ends with a cadence. The cheapest row of chords is
found by dynamic programming, and others are drawn with the probability exp(-2 cost).

The costs are round numbers in the order of those sources, nothing is learned. How often the chords
are those of Bach's chorales is measured by `python -m tests.tools.chord_agreement`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from agents.composing.parts.chord_line import RHYTHMS, ChordLine, places_of_bar
from agents.composing.parts.viterbi import cheapest, cost_of, drawn
from agents.composing.parts.vocabulary import Harmony, grades, harmonies_of
from envs.errors import did_you_mean
from envs.music.piece import notes_of
from envs.music.score import Score
from envs.music.tape import Array
from rewards.rules.rhythm import levels_at

AUTO = "auto"  # in place of chords: those that are found
STEP = 2  # semitones of the largest step
DRAWS = 50  # for each row of chords that is asked for
SHARP = 2.0  # factor of the costs in draws: rows as likely as the model has them are too free
# Costs in nats. Of a note that is foreign to its chord: where it passes, neighbours or anticipates
# on a weak place; elsewhere; for the share of the place that it lasts, and that share of a seventh.
PASSING, FOREIGN, LENGTH, SEVENTH = 0.3, 3.0, 3.0, 1.5
# Of a chord on another degree than the tonic, and than tonic, dominant and subdominant; with a
# diminished or augmented fifth; with a seventh; and of an applied dominant.
AWAY, SECONDARY, ALTERED, FOUR_TONES, APPLIED = 0.1, 0.3, 1.2, 0.2, 1.5
# Of a change, where places are weakest, where no note of the melody begins, and for each grade of
# its progression.
CHANGE, WEAK, HELD, GRADE = 0.1, 0.3, 1.0, 0.6
# Of closes: authentic on the tonic, half, authentic on another degree, others on the tonic,
# deceptive, others on a triad; and of what is no close. Caplin, Classical Form (1998).
AUTHENTIC, HALF, TONICISED, ON_TONIC, DECEPTIVE, ELSEWHERE = 0.0, 0.3, 0.6, 0.9, 1.8, 2.25
NO_CLOSE, NO_CHANGE = 4.5, 20.0
OPENING = (0.0, 1.0, 2.0)  # of the first chord: the tonic, the dominant, others


class ChordModel:
    """The hidden Markov model of a melody's chords.

    Args:
        melody: a finished score of one piece in one voice; its phrases are those of the task.
        rhythm: where a chord may begin: 'bar', 'half' (half bars, and beats of a triple bar) or
            'beat'.

    Attributes:
        chords: the states, K of them.
        starts: the cell of each of N places.

    Raises:
        ValueError: another rhythm, several voices or pieces, or no note behind the pickup.
    """

    def __init__(self, melody: Score, rhythm: str = "half") -> None:
        if rhythm not in RHYTHMS:
            raise ValueError(
                f"rhythm={rhythm!r}.{did_you_mean(rhythm, RHYTHMS)} "
                f"Expected one of {', '.join(RHYTHMS)}"
            )
        task = melody.task
        if melody.batch != 1 or task.voices != 1 or not melody.finished:
            raise ValueError(
                f"expected a finished melody of one voice, got {melody.batch} pieces of "
                f"{task.voices} voices"
            )
        self.task, self.notes = task, notes_of(melody)
        inside = places_of_bar(task, RHYTHMS[rhythm])
        self.places_in_bar = len(inside)
        bars = range(task.pickup, task.cells, task.bar_cells)
        starts = (bar + place for bar in bars for place in inside)
        self.starts = tuple(start for start in starts if start < task.cells)
        if not any(note.start + note.duration > task.pickup for note in self.notes):
            raise ValueError("the melody has no note behind its first bar line; expected a melody")
        self.levels = levels_at(task, np.array(self.starts))
        self.chords = harmonies_of(task.key)

    # -- notes -------------------------------------------------------------------------------------

    @cached_property
    def fit(self) -> Array:
        """(N, K): the cost of each chord for the notes that sound at each place."""
        cost = np.zeros((len(self.starts), len(self.chords)))
        ends = (*self.starts[1:], self.task.cells)
        foreign = np.array([[p not in chord.tones for p in range(12)] for chord in self.chords])
        seventh = np.array([[p in chord.tones[3:] for p in range(12)] for chord in self.chords])
        for number, note in enumerate(self.notes):
            stop, passes = note.start + note.duration, self._passes(number)
            for place, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
                share = (min(stop, end) - max(note.start, start)) / (end - start)
                if share > 0:
                    weak = passes and note.start > start
                    worth = (PASSING if weak else FOREIGN) + LENGTH * share
                    tone = note.pitch % 12
                    cost[place] += foreign[:, tone] * worth + seventh[:, tone] * SEVENTH * share
        return cost

    def _passes(self, number: int) -> bool:
        """True for a note between two others that are at most a step away."""
        around = (number - 1, number + 1)
        if around[0] < 0 or around[1] == len(self.notes):
            return False
        pitch = self.notes[number].pitch
        return all(abs(self.notes[other].pitch - pitch) <= STEP for other in around)

    # -- chords ------------------------------------------------------------------------------------

    @cached_property
    def kinds(self) -> Array:
        """(K,): the cost of each chord by itself."""
        return np.array([_kind(chord) for chord in self.chords])

    @cached_property
    def places(self) -> Array:
        """(N, K): the cost of each chord at each place; at the first with that of opening."""
        opening = [OPENING[0 if c.tonic else 1 if c.dominant else 2] for c in self.chords]
        cost = self.fit.copy()
        cost[0] += opening + self.kinds
        return cost

    @cached_property
    def steps(self) -> list[Array]:
        """N - 1 costs (K, K) of each chord behind each."""
        closes, settled, opened = self._phrases
        onsets = {note.start for note in self.notes}
        progression, same = GRADE * grades(self.task.key), np.eye(len(self.chords), dtype=bool)
        found = []
        for place in range(1, len(self.starts)):
            if place in settled:
                found.append(np.where(same, 0, NO_CHANGE))
                continue
            weak = self.levels[place] > 0 and self.levels[place] == self.levels.max()
            change = CHANGE + WEAK * weak + HELD * (self.starts[place] not in onsets)
            step = np.where(same, 0, self.kinds + change + progression * (place not in opened))
            found.append(step + self._closing(closes[place]) if place in closes else step)
        return found

    @cached_property
    def _phrases(self) -> tuple[dict[int, bool], set[int], set[int]]:
        """Places on which phrases close, True for the last one; behind that; and where they begin.

        A phrase closes where its last note begins.
        """
        ends = (np.flatnonzero(self.task.phrase_ends) + 1).tolist()
        closes: dict[int, bool] = {}
        settled: set[int] = set()
        begun, after = np.array([note.start for note in self.notes]), 0
        for end in ends:
            last = begun[begun < end].max(initial=-1)
            close = int(np.searchsorted(self.starts, last, side="right")) - 1
            first, after = after, int(np.searchsorted(self.starts, end))
            if close >= first:
                closes[close] = end == ends[-1]
                settled |= set(range(close + 1, after))
        opened = {int(np.searchsorted(self.starts, end)) for end in ends[:-1]}
        return closes, settled, opened

    def _closing(self, last: bool) -> Array:
        """(K, K): the cost of a phrase that ends on each chord behind each."""
        return np.array([[_close(one, two, last) for two in self.chords] for one in self.chords])

    # -- rows of chords ----------------------------------------------------------------------------

    def lines(self, n: int = 1, seed: int = 1) -> list[ChordLine]:
        """Return the best row of chords and `n` - 1 others that are drawn, cheapest first.

        Args:
            n: number of rows, all different; fewer where the draws give no more.
            seed: of the draws.
        """
        best = cheapest(self.places, self.steps)
        rng, found = np.random.default_rng(seed), {best: cost_of(best, self.places, self.steps)}
        for _ in range(DRAWS * (n - 1)):
            if len(found) == n:
                break
            row = drawn(SHARP * self.places, [SHARP * step for step in self.steps], rng)
            found[row] = cost_of(row, self.places, self.steps)
        rows = sorted(found, key=lambda row: found[row])
        return [
            ChordLine(self.task, tuple(map(self.chords.__getitem__, row)), self.places_in_bar, cost)
            for row, cost in ((row, found[row]) for row in rows)
        ]


def _kind(chord: Harmony) -> float:
    """Return the cost of a chord by itself."""
    cost = FOUR_TONES * (len(chord.tones) == 4)
    if chord.applied:
        return cost + APPLIED
    cost += AWAY * (chord.degree != 0) + SECONDARY * (chord.degree not in (0, 3, 4))
    return cost + ALTERED * (chord.fifth != 7)


def _close(one: Harmony, two: Harmony, last: bool) -> float:
    """Return the cost of a phrase that ends on a chord behind another one."""
    if two.applied or len(two.tones) > 3 or two.fifth != 7 or (last and not two.tonic):
        return NO_CLOSE
    if two.tonic:
        return AUTHENTIC if one.dominant else ON_TONIC
    if one.applied and one.degree == two.degree:
        return TONICISED
    if two.degree == 4:
        return HALF
    return DECEPTIVE if two.degree == 5 and one.dominant else ELSEWHERE


def chords_for(melody: Score, rhythm: str = "half", n: int = 1, seed: int = 1) -> list[ChordLine]:
    """Return chords for a melody: the best row first, then others that are drawn.

    Args:
        melody, rhythm: as `ChordModel` takes them.
        n: number of rows, all different; fewer where the draws give no more.
        seed: of the draws; the best row is the same for all.

    Raises:
        ValueError: as `ChordModel`.
    """
    return ChordModel(melody, rhythm).lines(n, seed)
