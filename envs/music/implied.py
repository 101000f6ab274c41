"""Implied harmony: the chord that the notes of a bar, or of half a bar, spell by themselves.

Each note counts as long as it sounds, and more where it begins on a strong place, as in the
template matching of Pardo and Birmingham (2002), Algorithms for chordal analysis. The chords are
the triads of the key, and the seventh of the dominant at half its weight.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.music.codec import FIRST_PITCH, REST
from envs.music.key import SCALES, Key
from envs.music.tape import Array, freeze

if TYPE_CHECKING:
    from envs.music.score import Score
    from envs.music.task import Task

NUMERALS = ("I", "V", "IV", "ii", "vi", "iii", "vii")  # of equal chords the first is taken
DEGREES = (0, 4, 3, 1, 5, 2, 6)  # scale step of each root
DOMINANT_SEVENTH = ((7, 11, 2), 5)  # semitones above the tonic: the triad, its seventh
LEADING_TRIAD = (11, 2, 5)
TONIC_CHORD, DOMINANT_CHORD = 0, 1  # numbers of chords
STRONG, MIDDLE, WEAK = 4, 3, 2  # weights of a cell by the level of the note's onset: 0, 1, more
PARTS, BITS = 4, 16  # counts in a word of 64 bits, and the bits of each
SILENCE = 12  # in place of a pitch class


@lru_cache(maxsize=256)
def chords_of(key: Key) -> tuple[tuple[frozenset[int], frozenset[int]], ...]:
    """Return the chords of a key as (triad, sevenths), in semitones above the tonic.

    They stand in the order of NUMERALS. Scales without seven notes have the chords of major or
    minor; in minor, dominant and leading-note triad are those of the raised seventh, and the minor
    triad on the fifth and the triad on the seventh degree follow.
    """
    steps = SCALES[key.written_mode]
    triads = [frozenset(steps[(degree + third) % 7] for third in (0, 2, 4)) for degree in DEGREES]
    sevenths: list[frozenset[int]] = [frozenset()] * len(triads)
    if key.written_mode == "minor":
        triads += [triads[DOMINANT_CHORD], triads[-1]]
        triads[DOMINANT_CHORD], triads[6] = frozenset(DOMINANT_SEVENTH[0]), frozenset(LEADING_TRIAD)
        sevenths += [frozenset()] * 2
    sevenths[DOMINANT_CHORD] = frozenset({steps[3]})
    return tuple(zip(triads, sevenths, strict=True))


@lru_cache(maxsize=256)
def dominant_degrees(key: Key) -> Array:
    """True (13,) for the second, fourth, fifth and seventh degree of a key; the last is silence.

    They are semitones above the tonic. The raised seventh of minor counts.
    """
    steps = SCALES[key.written_mode]
    belongs = {steps[1], steps[3], steps[4], steps[6]}
    belongs |= {11} if key.written_mode == "minor" else set()
    return freeze(np.array([degree in belongs for degree in range(SILENCE + 1)]))


@lru_cache(maxsize=256)
def _table(key: Key) -> Array:
    """Words (words, 13) that a cell of each degree, or of silence, adds to the chords' counts."""
    chords = chords_of(key)
    words = np.zeros((-(-len(chords) // PARTS), SILENCE + 1), np.uint64)
    for number, (triad, sevenths) in enumerate(chords):
        for degree in range(SILENCE):
            worth = 2 * (degree in triad) + (degree in sevenths)
            words[number // PARTS, degree] += np.uint64(worth << number % PARTS * BITS)
    return freeze(words)


def splits_in_halves(task: Task) -> bool:
    """True if the bars of a task divide into two halves before all else."""
    return task.meter.factors(task.grid)[:1] == (2,) and not task.meter.groups


def span_cells(task: Task, halves: bool) -> int:
    """Return the cells of a half bar where bars have halves and `halves` is True, else of a bar."""
    return task.bar_cells // 2 if halves and splits_in_halves(task) else task.bar_cells


def _empty(score: Score) -> tuple[Any, ...]:
    """Return the first state of `_follow_chords`: silence, no weight, and no counts."""
    words = len(_table(score.task.key))
    zero = np.zeros((score.batch, 1, 1), np.uint64)
    silent = np.full(zero.shape, SILENCE, np.int16)
    return (silent, zero, zero, *(zero,) * words)


def _follow_chords(state: tuple[Array, ...], here: Score, halves: bool) -> Any:
    """Scan the outputs of `implied`."""
    degree, weight, total, *counts = state
    task, cell = here.task, int(here.cell.item())
    size, place = span_cells(task, halves), task.place_in_bar(cell)
    level = int(here.level.item())
    now = np.uint64((STRONG, MIDDLE, WEAK)[min(level, 2)])
    tokens = here.tokens
    begins = tokens >= FIRST_PITCH
    degree = np.where(begins, here.degree, np.where(tokens == REST, np.int16(SILENCE), degree))
    weight = np.where(begins | (place % size == 0), now, weight)
    if place % size == 0:
        total, counts = np.zeros_like(total), [np.zeros_like(total)] * len(counts)
    total = total + weight * (degree < SILENCE)
    table = _table(task.key)
    counts = [count + words[degree] * weight for count, words in zip(counts, table, strict=True)]
    following = (degree, weight, total, *counts)
    if place % size != size - 1 and cell != task.cells - 1:
        return following, (np.full(degree.shape, -1, np.int16), np.zeros(degree.shape, np.float32))
    shifts = np.arange(PARTS, dtype=np.uint64) * np.uint64(BITS)
    each = np.concatenate(counts, axis=2)[..., None] >> shifts & np.uint64(2**BITS - 1)
    each = each.reshape(len(each), 1, -1)[..., : len(chords_of(task.key))]
    best = each.argmax(axis=2)[..., None]
    share = np.take_along_axis(each, best, axis=2) / np.maximum(2 * total, 1)
    chord = np.where(total > 0, best, -1).astype(np.int16)
    return following, (chord, share.astype(np.float32))


def implied(score: Score, halves: bool = False) -> tuple[Array, Array]:
    """Return the chord that each bar spells, and the share of its sound that belongs to it.

    Both have the shape of a score's facts and stand at the last cell of a bar (or of a half bar),
    where they are known first; elsewhere, and in a silent bar, the chord is -1 and the share 0.

    Args:
        score: any score.
        halves: take half bars, in metres that have them.

    Returns:
        int16 numbers of the chords in `chords_of`, and float32 shares from 0 to 1.
    """
    chord, share = score.scan(_follow_chords, _empty, halves=halves)
    if score.is_whole and not score.finished:
        chord = np.where(score.written, chord, np.int16(-1))
    return chord, share
