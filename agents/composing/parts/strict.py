"""Rules of strict counterpoint to a given cantus firmus, which judge the free voice alone."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.rule import Rule, of_free_voices
from rewards.rules.dissonance import ABOVE_BASS
from rewards.rules.melody import FUX
from rewards.rules.species import PERFECT

MINOR_SIXTH, OCTAVE = 8, 12  # semitones
# Sizes, in semitones up to the octave, between three notes of a diminished or augmented triad.
ROUGH_TRIADS = ((3, 3, 6), (4, 4, 4))


def _strict(name: str, fn: Callable[[Score], Array], says: str, source: str = FUX) -> Rule:
    judged = Rule(name, fn, says=says, source=source, cellwise=True, violation=True)
    return of_free_voices(judged)


@functools.lru_cache(maxsize=64)
def _firmus(task: Task) -> Array:
    """Return the pitch (cells,) that the given voice sounds, -1 where there is none."""
    pitches = np.full(task.cells, -1)
    for voice in np.flatnonzero(~task.free.any(axis=1)):
        for note in task.codec.decode(task.page[voice]):
            pitches[note.start : note.start + note.duration] = note.pitch
    return pitches


def _apart(score: Score, bars: int) -> Array:
    """Semitones up to the octave between the two voices, some bars before each cell."""
    cell = np.maximum(score.cell - bars * score.task.bar_cells, 0)
    own = score.sounding if bars == 0 else score.earlier(cell).sounding
    return np.abs(own.astype(np.int64) - _firmus(score.task)[cell]) % OCTAVE


def can_suspend(task: Task) -> bool:
    """Return True if the tonic may be prepared and suspended at the close over the given voice.

    It falls to its final by step, and its note before these two is consonant with the tonic.
    """
    pitches = _firmus(task)[:: task.bar_cells]
    if len(pitches) < 3 or not 1 <= pitches[-2] - pitches[-1] <= 2:
        return False
    given_is_low = not task.free[-1].any()
    up = int(task.key.pitch_class - pitches[-3]) % OCTAVE
    return not ABOVE_BASS[up if given_is_low else -up % OCTAVE]


def _no_suspension(score: Score) -> Array:
    task = score.task
    there = score.cell == task.pickup % task.bar_cells + (task.bars - 2) * task.bar_cells
    held = ~score.onset & (score.sounding >= 0) & (score.degree == 0)
    return there & ~held & can_suspend(task)


def _unties(score: Score) -> Array:
    inner = (score.bar >= 1) & (score.bar <= score.task.bars - 2) & (score.cell_in_bar == 0)
    return inner & score.onset


def _three_perfect(score: Score) -> Array:
    perfect = [PERFECT[_apart(score, bars)] for bars in (0, 1, 2)]
    return score.onset & (score.bar >= 2) & perfect[0] & perfect[1] & perfect[2]


def _falls_a_sixth(score: Score) -> Array:
    return score.onset & (score.interval == -MINOR_SIXTH)


def _rough_triad(score: Score) -> Array:
    first, second = score.prev("interval"), score.interval
    sizes = [np.abs(move) % OCTAVE for move in (first, second, first + second)]
    sizes = [np.minimum(size, OCTAVE - size) for size in sizes]
    low, middle, high = np.sort(np.stack(np.broadcast_arrays(*sizes)), axis=0)
    found = np.zeros(high.shape, bool)
    for a, b, c in ROUGH_TRIADS:
        found |= (low == a) & (middle == b) & (high == c)
    return score.onset & found


CADENCE_SUSPENSION = _strict(
    "cadence_suspension",
    _no_suspension,
    "the tonic is not suspended before the leading note (7-6 above, 2-3 below)",
    f"{FUX}, fourth species: the close is the seventh to the sixth, or the second to the third",
)
SYNCOPATION = _strict(
    "syncopation",
    _unties,
    "{note} breaks the syncopation",
    f"{FUX}, fourth species: a ligature at each bar line where it can be",
)
PERFECT_RUN = _strict(
    "perfect_run",
    _three_perfect,
    "the third perfect consonance in a row at {note}",
    f"{FUX}, first species: imperfect consonances are to be more than perfect ones",
)
FALLING_SIXTH = _strict(
    "falling_sixth",
    _falls_a_sixth,
    "the {voice} falls by a minor sixth to {note}",
    f"{FUX}, first species: the minor sixth is used upwards only",
)
ROUGH_TRIAD = _strict(
    "rough_triad",
    _rough_triad,
    "the {voice} outlines a diminished or augmented triad to {note}",
    "Jeppesen, Counterpoint (1931), on melody: outlined dissonances",
)
