"""Rules of the shape of a whole line: compass, climax, arch, balance and variety.

Most violations are at the last cell. A line without notes breaks only the rules of variety.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import MAX_CELLS
from rewards.rule import rule
from rewards.rules.melody import KOSTKA_PAYNE

STEP = 2  # semitones of the largest step
MOST_BITS = float(np.log2(12))  # entropy of twelve pitch classes, all equally frequent
COUNTS, BITS = 4, 16  # counts in a word of 64 bits, and the bits of each
# n log2 n, in a table: the values do not depend on the processor's logarithm.
N_LOG_N = np.array([n * np.log2(n) if n else 0.0 for n in range(MAX_CELLS + 1)])


def at_end(score: Score) -> Array:
    """True at the last cell of a voice, once it is written."""
    return score.is_last & score.written


def outside(value: Array, least: float, most: float, top: float) -> Array:
    """Return the violation of [least, most] by values of 0 and more.

    It is 0 inside, and grows linearly to 1 at 0 and at `top`.

    Raises:
        ValueError: the bounds are not in this order.
    """
    if not 0 <= least <= most <= top:
        raise ValueError(f"least={least}, most={most}: expected 0 <= least <= most <= {top:g}")
    below, above = (least - value) / (least or 1.0), (value - most) / (top - most or 1.0)
    return np.clip(np.maximum(below, above), 0, 1)


# -- the highest and the lowest note ---------------------------------------------------------------


def _follow_extremes(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the compass up to each cell, in semitones, and its highest note.

    The other outputs are True where a note widens the compass, the number of times that the
    highest note was struck, the time index of its first stroke, and that note.
    """
    low, high, strokes, at = state
    onset, pitch = here.onset, here.pitch
    rises, falls = onset & (pitch > high), onset & (pitch < low)
    strokes = np.where(rises, np.int16(1), strokes + (onset & (pitch == high)).astype(np.int16))
    at = np.where(rises, here.cell.astype(np.int16), at)
    low, high = np.where(falls, pitch, low), np.where(rises, pitch, high)
    return (low, high, strokes, at), (high - low, rises | falls, strokes, at, high)


def extremes(score: Score) -> tuple[Array, ...]:
    """Return the outputs of `_follow_extremes` at the cells of a score."""
    lowest_yet = np.int16(128)  # above every pitch
    return score.scan(_follow_extremes, (lowest_yet, np.int16(-1), np.int16(0), np.int16(-1)))


@rule(
    source="von Hippel (2000), Redefining pitch proximity: tessitura and mobility; a tenth: Open "
    "Music Theory, composing a cantus firmus",
    says="{note} widens the line, {lowest} to {highest}, beyond {widest} semitones",
)
def tessitura(score: Score, *, widest: int = 16) -> Array:
    """The line keeps to a comfortable compass; each note that widens it further is a violation.

    widest: semitones from the lowest to the highest note; 16 is a major tenth.

    >>> from rewards.remarks import explain
    >>> explain(tessitura, "C4 G4 E5 C5")
    >>> explain(tessitura, "C4 G4 F5 C5")
    bar 1, beat 3: F5 widens the line, C4 to F5, beyond 16 semitones
    """
    compass, widens, *_ = extremes(score)
    return (widens & (compass > widest)).astype(np.float32)


@rule(
    source=f"{KOSTKA_PAYNE}: a single focal point; Open Music Theory, composing a cantus firmus",
    says="the highest note, {highest}, sounds more than once",
    verdict=True,
)
def unique_climax(score: Score, *, last: bool = True) -> Array:
    """The highest note sounds only once in the line; the violation is at the last cell.

    last: count the last note of the line too. Counterpoints of Fux come to their final as to a
        climax, and have had it before.

    >>> from rewards.remarks import explain
    >>> explain(unique_climax, "C4 E4 G4 E4")
    >>> explain(unique_climax, "C4 G4 E4 G4")
    bar 1, beat 4.75: the highest note, G4, sounds more than once
    """
    _, _, strokes, _, high = extremes(score)
    others = strokes if last else strokes - (score.pitch == high)
    return (at_end(score) & (others > 1)).astype(np.float32)


@rule(
    source="Toch, The Shaping Forces in Music (1948): a long way up, a short way down",
    says="the highest note, {highest}, is at {climax:.0%} of the piece: expected {earliest:.0%} "
    "or more, not last",
    verdict=True,
)
def late_climax(score: Score, *, earliest: float = 0.4) -> Array:
    """The highest note comes neither early in the line nor as its last note.

    The violation, at the last cell, is 1 if the highest note is the last of several notes. Else it
    falls linearly from 1 for a highest note at the beginning to 0 at `earliest`.

    earliest: share of the piece that passes before the highest note.

    >>> from rewards.remarks import explain
    >>> explain(late_climax, "C4 E4 D4 F4 A4 G4 E4 C4")
    >>> explain(late_climax, "C4 A4 G4 F4 E4 D4 B3 C4")
    bar 2, beat 4.75: the highest note, A4, is at 12% of the piece: expected 40% or more, not last
    """
    if not 0 <= earliest <= 1:
        raise ValueError(f"earliest={earliest}: expected a share of the piece, 0..1")
    compass, _, strokes, at, _ = extremes(score)
    several = (compass > 0) | (strokes > 1)
    last = np.where(score.onset, score.cell, score.previous_onset)
    early = np.clip((earliest - at / score.task.cells) / (earliest or 1.0), 0, 1)
    value = np.where(at == last, 1.0, early)
    return np.where(at_end(score) & several, value, 0).astype(np.float32)


# -- means and shares ------------------------------------------------------------------------------


def _sum_heights(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the first pitch, the number of notes, and the sum of their semitones above the first."""
    first, notes, total = state
    first = np.where(here.onset & (notes == 0), here.pitch, first)
    notes = notes + here.onset
    total = total + np.where(here.onset, here.pitch - first, np.int16(0))
    return (first, notes, total), (first, notes, total)


@rule(
    source="Huron (1996), The melodic arch in Western folksongs",
    says="the line does not arch: its middle hardly rises above {first} and {note}",
    verdict=True,
)
def contour_arch(score: Score, *, rise: float = 1.0) -> Array:
    """The line is an arch: its middle is higher than its ends.

    The mean pitch of the notes between the first and the last is compared with the higher of these
    two. The violation, at the last cell, falls linearly from 1 if the mean is not higher to 0 if
    it is `rise` higher. A line of fewer than three notes has none.

    rise: semitones, above 0.

    >>> from rewards.remarks import explain
    >>> explain(contour_arch, "C4 F4 E4 D4")
    >>> explain(contour_arch, "E4 C4 D4 E4")
    bar 1, beat 4.75: the line does not arch: its middle hardly rises above E4 and E4
    """
    if not rise > 0:
        raise ValueError(f"rise={rise}: expected semitones above 0")
    first, notes, total = score.scan(_sum_heights, (np.int16(0), np.int32(0), np.int32(0)))
    last = score.pitch - first  # heights above the first note
    middle = (total - last) / np.maximum(notes - 2, 1)
    value = np.clip(1 - (middle - np.maximum(last, 0)) / rise, 0, 1)
    return np.where(at_end(score) & (notes >= 3), value, 0).astype(np.float32)


def _count_moves(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the numbers of steps and of moves; a repeated note is no move."""
    size = np.abs(here.interval)
    counts = (state[0] + ((size > 0) & (size <= STEP)), state[1] + (size > 0))
    return counts, counts


@rule(
    source=f"{KOSTKA_PAYNE}: mostly steps; the bounds have room for Fux's cantus firmi",
    says="{steps} of {moves} moves are steps: expected {least:.0%} to {most:.0%}",
    verdict=True,
)
def step_leap_balance(
    score: Score, *, least: float = 0.35, most: float = 0.9, fewest: int = 8
) -> Array:
    """Most moves are steps and some are leaps.

    The violation, at the last cell, is 0 for a share of steps in `least`..`most` and grows
    linearly to 1 for a line of leaps alone or of steps alone. Fux's cantus firmi have shares of
    0.38 to 0.73.

    least, most: share of the moves that are one or two semitones; repeated notes are no moves.
    fewest: a line with fewer moves has no violation.

    >>> from rewards.remarks import explain
    >>> explain(step_leap_balance, "C4:2 E4:2 F4:2 G4:2 E4:2 A4:2 G4:2 E4:2 F4:2 E4:2 D4:2 C4:2")
    >>> explain(step_leap_balance, "C4:2 E4:2 G4:2 C5:2 A4:2 F4:2 A4:2 C5:2 C4")
    bar 2, beat 4.75: 0 of 8 moves are steps: expected 35% to 90%
    """
    steps, moves = score.scan(_count_moves, (np.int32(0), np.int32(0)))
    value = outside(steps / np.maximum(moves, 1), least, most, top=1.0)
    return np.where(at_end(score) & (moves >= fewest), value, 0).astype(np.float32)


# -- variety ---------------------------------------------------------------------------------------


def _count_degrees(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the entropy in bits of the degrees struck, 0 before the last cell.

    Several counts are packed in each word of the state.
    """
    degree = here.degree.astype(np.int64)
    stroke = here.onset.astype(np.uint64) << (degree % COUNTS * BITS).astype(np.uint64)
    words = tuple(word + stroke * (degree // COUNTS == i) for i, word in enumerate(state))
    if not here.is_last.all():
        return words, (np.zeros(degree.shape),)
    shifts = np.arange(COUNTS, dtype=np.uint64) * np.uint64(BITS)
    counts = np.concatenate(words, axis=2)[..., None] >> shifts & np.uint64(2**BITS - 1)
    notes = counts.sum(axis=(2, 3), dtype=np.int64)[..., None]
    spread = sum(N_LOG_N[counts[:, :, i, j]] for i in range(len(words)) for j in range(COUNTS))
    return words, ((N_LOG_N[notes] - spread[..., None]) / np.maximum(notes, 1),)


@rule(
    source="Youngblood (1958), Style as information: entropy of the degrees in songs",
    says="too few or too many different notes: expected {least:g} to {most:g} bits of entropy",
    verdict=True,
)
def pitch_entropy(score: Score, *, least: float = 1.5, most: float = 3.0) -> Array:
    """The notes use several degrees of the scale, but not all twelve equally.

    The violation, at the last cell, is 0 for a Shannon entropy of the notes' pitch classes in
    `least`..`most` and grows linearly to 1 at 0 bits (one pitch class, or silence) and at log2 12.

    least, most: bits. Seven equally frequent degrees have 2.81, three have 1.58.

    >>> from rewards.remarks import explain
    >>> explain(pitch_entropy, "C4 E4 G4 C4 D4 E4 D4 C4")
    >>> explain(pitch_entropy, "C4 G4 C4 G4")
    bar 1, beat 4.75: too few or too many different notes: expected 1.5 to 3 bits of entropy
    """
    (bits,) = score.scan(_count_degrees, (np.uint64(0),) * (12 // COUNTS))
    value = outside(bits, least, most, top=MOST_BITS)
    return np.where(at_end(score), value, 0).astype(np.float32)


def _mark_pitches(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the number of different pitches, with one bit for each of 128 in two words."""
    bit = here.onset.astype(np.uint64) << (here.pitch % 64).astype(np.uint64)
    words = tuple(word | bit * (here.pitch // 64 == i) for i, word in enumerate(state))
    return words, (np.bitwise_count(words[0]) + np.bitwise_count(words[1]),)


@rule(
    source="19 in 20 two-bar windows of the prior's folk tunes have four pitches or more",
    says="the line has {pitches} different pitches, fewer than {least}",
    verdict=True,
)
def pitch_variety(score: Score, *, least: int = 4) -> Array:
    """The line has several different pitches.

    The violation, at the last cell, is the share of `least` that is missing, 1 for silence.

    least: number of different pitches; octaves count as different.

    >>> from rewards.remarks import explain
    >>> explain(pitch_variety, "C4 D4 E4 F4")
    >>> explain(pitch_variety, "C4 D4 C4 E4")
    bar 1, beat 4.75: the line has 3 different pitches, fewer than 4
    """
    if least < 1:
        raise ValueError(f"least={least}: expected 1 or more pitches")
    (pitches,) = score.scan(_mark_pitches, (np.uint64(0), np.uint64(0)))
    missing = np.clip(1 - pitches / least, 0, 1)
    return np.where(at_end(score), missing, 0).astype(np.float32)
