"""Rules of harmony: the line over the task's chords, and the cadences of its phrases.

The rules of chord tones have no violations where a task has no chords.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.rule import rule
from rewards.rules.rhythm import levels_at, sounding

TONIC, DOMINANT = 0, 7  # semitones above the tonic
PISTON = "Piston, Harmony (1941), nonharmonic tones"


@rule(
    source=PISTON,
    says="{note} falls on a strong place and is foreign to its chord",
    needs="chords",
)
def chord_tones(score: Score, *, strong: int = 1) -> Array:
    """A note that begins on a strong place belongs to the task's chord at that place.

    strong: highest metrical level of a strong place: 0 for the bar line only, 1 also for half bars
        or the beats of a triple bar.

    >>> from envs.notation.text_line import parse_notes, score_of
    >>> from envs.music.task import Task
    >>> from rewards.remarks import explain
    >>> task = Task(bars=1, chords="IV")
    >>> explain(chord_tones, score_of(parse_notes("F4 G4 A4 Bb4"), task))
    >>> explain(chord_tones, score_of(parse_notes("F4 A4 G4 F4"), task))
    bar 1, beat 3: G4 falls on a strong place and is foreign to its chord
    """
    return (~score.in_chord & (score.level <= strong)).astype(np.float32)


@rule(
    source=PISTON,
    says="{previous}-{note}: a note foreign to its chord does not move on by step",
    needs="chords",
)
def non_chord_resolution(score: Score, *, largest: int = 2) -> Array:
    """A note foreign to its chord moves on by step; the violation is at the note after it.

    It may be repeated before it moves, or anticipate the next chord. If it is the last note of the
    line, the violation is at the last cell.

    largest: semitones of the largest step.

    >>> from envs.notation.text_line import parse_notes, score_of
    >>> from envs.music.task import Task
    >>> from rewards.remarks import explain
    >>> task = Task(bars=1, chords="I")
    >>> explain(non_chord_resolution, score_of(parse_notes("C4 D4 E4 G4"), task))
    >>> explain(non_chord_resolution, score_of(parse_notes("C4 D4 G4 E4"), task))
    bar 1, beat 3: D4-G4: a note foreign to its chord does not move on by step
    """
    foreign = (score.previous_onset >= 0) & ~score.prev("in_chord")
    left = foreign & (np.abs(score.interval) > largest)
    unresolved = np.where(score.onset, ~score.in_chord, foreign)
    return (left | (score.is_last & unresolved)).astype(np.float32)


def _close(score: Score, degrees: Sequence[int], final: Sequence[int], strong: int) -> Array:
    """Return the violation of `cadence` for a phrase that would end at each cell."""
    task = score.task
    starts = np.array([phrase.first_bar * task.bar_cells for phrase in task.phrase_plan])
    number = np.searchsorted(starts, score.cell, side="right") - 1
    begun = np.where(score.onset, score.cell, score.previous_onset)
    on_final, on_other = (np.isin(score.degree, tuple(each)) for each in (final, degrees))
    closes = np.where(number == len(starts) - 1, on_final, on_other)
    value = ((levels_at(task, begun) > strong).astype(np.float32) + ~closes) / 2
    return np.where(sounding(score)[2] >= starts[number], value, 0)


@functools.lru_cache(maxsize=256)
def _strong_to_come(task: Task, strong: int) -> Array:
    """True (cells,) where a strong place comes later in the phrase."""
    strong_places = np.flatnonzero(levels_at(task, np.arange(task.cells)) <= strong)
    to_come, start = np.zeros(task.cells, bool), 0
    for end in (np.flatnonzero(task.phrase_ends) + 1).tolist():
        last = strong_places[strong_places < end].max(initial=start)
        to_come[start:last] = True
        start = end
    return to_come


def cadence_lost(
    score: Score,
    *,
    degrees: Sequence[int] = (TONIC, DOMINANT),
    final: Sequence[int] = (TONIC,),
    strong: int = 1,
) -> Array:
    """True where a violation of `cadence` at the phrase's end can no longer be avoided.

    No strong place is left to begin a note on. Given cells, and a range without the degrees, are
    ignored: they can make it unavoidable earlier.
    """
    hopeless = ~_strong_to_come(score.task, strong)[score.cell]
    lost: Array = hopeless & score.written & (_close(score, degrees, final, strong) > 0)
    return lost


@rule(
    source="Caplin, Classical Form (1998): the period, half cadence first and authentic last",
    says="the phrase ends on {note}: no degree of {key} to close on, or no strong place",
    lost=cadence_lost,
    verdict=True,
)
def cadence(
    score: Score,
    *,
    degrees: Sequence[int] = (TONIC, DOMINANT),
    final: Sequence[int] = (TONIC,),
    strong: int = 1,
) -> Array:
    """Each phrase ends with a note on a strong place, the last phrase on the tonic.

    The note is the last one that begins in the phrase, even if a rest follows; if none begins, the
    note that is held into it. The violation, at the phrase's last cell, is half for a wrong degree
    and half for a weak place. A silent phrase has none.

    degrees: semitones above the tonic on which a phrase may end: tonic and dominant.
    final: semitones above the tonic on which the last phrase may end.
    strong: highest metrical level of a strong place: 0 for the bar line only, 1 also for half bars
        or the beats of a triple bar.

    >>> from envs.notation.text_line import parse_notes, score_of
    >>> from envs.music.task import Task
    >>> from rewards.remarks import explain
    >>> task = Task(bars=2, phrases="AA")
    >>> explain(cadence, score_of(parse_notes("C4 D4 G4:8 E4 D4 C4:8"), task))
    >>> explain(cadence, score_of(parse_notes("C4 D4 F4:8 E4 D4 C4:8"), task))
    bar 1, beat 4.75: the phrase ends on F4: no degree of C major to close on, or no strong place
    """
    for name, wanted in (("degrees", degrees), ("final", final)):
        if not all(degree in range(12) for degree in wanted):
            raise ValueError(f"{name}={wanted!r}: expected semitones above the tonic, 0..11 each")
    judged = score.phrase_end & score.written
    return np.where(judged, _close(score, degrees, final, strong), 0).astype(np.float32)
