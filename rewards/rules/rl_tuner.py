"""The nine rules of Magenta's RL Tuner (Jaques et al. 2017, arXiv 1611.02796), exactly.

Each returns the reference's value divided by the reference's weight; the weights are in
`packs/rl_tuner.toml`. Quirks are kept, so that results can be compared with the published table:
rests and holds are numbers in the autocorrelation, a fifth below C counts as in key, and so on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.music.codec import FIRST_PITCH, HOLD, REST
from envs.music.score import Score
from envs.music.tape import Array
from rewards.rule import term

SOURCE = "Jaques et al. (2017), RL Tuner"
WINDOW = 8  # tokens of a motif
FINAL = 4  # tokens from the closing tonic to the end
# Codes of the interval from the last note to a token; 0..12 are semitones.
BEYOND_OCTAVE, REST_, HOLD_, REST_AFTER, HOLD_AFTER, IN_KEY_THIRD, IN_KEY_FIFTH = range(13, 20)
# Points of each code, a fifth of the reference's. Semitone, minor third, tritone, minor sixth,
# minor seventh and octave have none.
POINTS = np.zeros(20, np.float32)
POINTS[[2, 4, 5, 7, 9, 11]] = (0.08, 0.09, 0.07, 0.02, 0.05, -0.3)
POINTS[BEYOND_OCTAVE:] = (-1.0, 0.05, 0.075, 0.15, 0.3, 0.15, 0.1)


@term(source=SOURCE, says="{note} is not in {key}", twin="in_key")
def key(score: Score) -> Array:
    """1 where a note is outside the key's scale: in minor also where it is raised.

    >>> from rewards.remarks import paid
    >>> paid(key, "C4 F#4 G4 C4")
    bar 1, beat 2: F#4 +1
    """
    return (~score.in_scale).astype(np.float32)


@term(source=SOURCE)
def tonic(score: Score) -> Array:
    """1 where the piece starts and ends on the tonic.

    These are the tonic at the first cell and at the fourth from the end, then a hold, then holds
    or rests. The tonic counts only in the octave from middle C.

    >>> from rewards.remarks import paid
    >>> paid(tonic, "C4 E4 D4 C4")
    bar 1, beat 1: C4 +1
    bar 1, beat 4: C4 +4
    >>> paid(tonic, "D4 E4 D4 C5")
    bar 1, beat 4: C5 +3
    """
    cell, final = score.cell, score.task.cells - FINAL
    on_tonic = score.onset & (score.pitch == score.task.tonic_pitch)
    framing = ((cell == 0) | (cell == final)) & on_tonic
    silence = (cell > final + 1) & (score.tokens == REST)
    return (framing | silence | ((cell > final) & (score.tokens == HOLD))).astype(np.float32)


def _count_repeats(state: tuple[Array, ...], here: Score) -> Any:
    """Scan True where a token is repeated too often, see `penalize_repeating`."""
    pitch, count, silent, rests, holds = state
    token = here.tokens
    rest, hold = token == REST, token == HOLD
    onset = ~(rest | hold)
    same = onset & (token == pitch)
    quiet = (rests + holds) > 0
    too_many = (rest & (rests >= 2)) | (hold & (holds >= np.where(rests > 0, 7, 5)))
    too_many |= same & (count >= np.where(silent | quiet, 7, 5))
    zero = np.int16(0)
    following = (
        np.where(onset, token, pitch),
        np.where(onset, np.where(same, count + np.int16(1), np.int16(1)), count),
        np.where(onset, quiet | (same & silent), silent),
        np.where(onset, zero, rests + rest),
        np.where(onset, zero, holds + hold),
    )
    return following, (too_many,)


@term(source=SOURCE, says="{note}: the same again, too often")
def penalize_repeating(score: Score) -> Array:
    """1 at a token that is repeated too often.

    That is from the third rest on, and from the sixth equal pitch or hold on, or from the eighth
    if there is a rest or hold among them.

    >>> from rewards.remarks import paid
    >>> paid(penalize_repeating, "C4:2 C4:2 C4:2 C4:2 C4:2 C4:2 C4:2 C4:2 D4:8 F4:8")
    bar 1, beat 4.5: C4 +1
    bar 2, beat 1: D4 +2
    bar 2, beat 3: F4 +2
    """
    init = (np.int16(-1), np.int16(0), np.False_, np.int16(0), np.int16(0))
    return score.scan(_count_repeats, init)[0].astype(np.float32)


def _correlate(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the autocorrelation of the tokens up to each cell at lags 1, 2, 3.

    Let the n tokens have the sum S and the sum of squares Q, the sum P of products at lag k, and
    the sums A and B without the last and without the first k tokens. The coefficient is
    (n^2 P - n S (A + B) + (n - k) S^2) / (n (n Q - S^2)). It has one division of whole numbers,
    so a value of 0.15 is compared exactly with the threshold. It is NaN for constant tokens.
    """
    total, squares, products, lasts, firsts = state[0], state[1], state[2:5], state[5:8], state[8:]
    token = here.tokens.astype(np.float64)
    n = int(here.cell.item()) + 1
    total, squares = total + token, squares + token * token
    variance = n * (n * squares - total * total)
    variance = np.where(variance > 0, variance, np.nan)
    products = tuple(p + token * last for p, last in zip(products, lasts, strict=True))
    lasts = (token, *lasts[:2])
    # firsts[k - 1] is the sum of the first k tokens, or of all tokens if there are fewer.
    firsts = tuple(first + token if n <= k else first for k, first in enumerate(firsts, 1))
    coefficients, recent = [], np.zeros_like(token)
    for k in (1, 2, 3):
        recent = recent + lasts[k - 1]
        ends = 2 * total - recent - firsts[k - 1]
        above = n * (n * products[k - 1] - total * ends) + max(n - k, 0) * (total * total)
        coefficients.append(above / variance)
    return (total, squares, *products, *lasts, *firsts), tuple(coefficients)


def autocorrelation(score: Score) -> tuple[Array, ...]:
    """Return the autocorrelations (float64) of the tokens so far at lags 1, 2, 3; NaN if undefined.

    Each has the shape of a fact.
    """
    return score.scan(_correlate, (np.float64(0),) * 11)


@term(source=SOURCE)
def penalize_autocorrelation(score: Score, *, threshold: float = 0.15) -> Array:
    """The sum of the absolute autocorrelations at lags 1, 2, 3 that exceed `threshold`.

    >>> from rewards.remarks import paid
    >>> paid(penalize_autocorrelation, "C4:2 G4:2 D4:2 A4:2 F4:8")
    bar 1, beat 1: C4 +0.5
    bar 1, beat 1.5: G4 +1.79
    bar 1, beat 2: D4 +3.63
    bar 1, beat 2.5: A4 +3.94
    bar 1, beat 3: F4 +14.7
    """
    sizes = (np.abs(coefficient) for coefficient in autocorrelation(score))
    first, second, third = (np.where(size > threshold, size, 0.0) for size in sizes)
    return (first + second + third).astype(np.float32)


def _count_pitches(state: tuple[Array, ...], here: Score, words: int) -> Any:
    """Scan the number of different pitches among the last eight tokens.

    The state has one bit for each pitch, in words of 64.
    """
    token = here.tokens.astype(np.int64) - FIRST_PITCH
    count = np.int8(0)
    following: list[Array] = []
    for word in range(words):
        window = state[word * (WINDOW - 1) : (word + 1) * (WINDOW - 1)]
        here_too = (token >= 64 * word) & (token < 64 * (word + 1))
        bit = here_too.astype(np.uint64) << (token % 64).astype(np.uint64)
        seen = bit
        for earlier in window:
            seen = seen | earlier
        count = count + np.bitwise_count(seen)
        following += [bit, *window[:-1]]
    return tuple(following), (count.astype(np.int8),)


def motif_pitches(score: Score, *, pitches: int = 3) -> Array:
    """Return the number (int8) of different pitches in the last eight tokens.

    It is 0 if there are fewer than `pitches`, or fewer than eight tokens.
    """
    words = -(-(score.task.codec.vocab - FIRST_PITCH) // 64)
    init = (np.uint64(0),) * (words * (WINDOW - 1))
    (count,) = score.scan(_count_pitches, init, words=words)
    return np.where((count >= pitches) & (score.cell >= WINDOW - 1), count, np.int8(0))


def _spell_window(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the last eight tokens as one number, with a byte for each."""
    code = (state[0] << np.uint64(8)) | here.tokens.astype(np.uint64)
    return (code,), (code,)


@term(source=SOURCE)
def motif(score: Score, *, pitches: int = 3, extra: float = 0.1) -> Array:
    """1 where the last eight tokens have `pitches` different pitches, `extra` for each further one.

    >>> from rewards.remarks import paid
    >>> paid(motif, "C4:2 D4:2 E4:2 F4:2 C4:8")
    bar 1, beat 2.5: F4 +1.1
    bar 1, beat 3: C4 +4.2
    >>> paid(motif, "C4 E4 C4:8")
    """
    count = motif_pitches(score, pitches=pitches)
    return np.where(count > 0, 1 + extra * (count - np.float32(pitches)), 0).astype(np.float32)


@term(source=SOURCE)
def repeated_motif(score: Score, *, pitches: int = 3, extra: float = 0.25) -> Array:
    """1 where the last eight tokens are a motif that occurred before.

    `motif` defines a motif; `extra` is added for each pitch beyond `pitches`.

    >>> from rewards.remarks import paid
    >>> paid(repeated_motif, "C4:2 D4:2 E4:2 F4:2 C4:2 D4:2 E4:2 F4:2")
    bar 1, beat 4.5: F4 +1.25
    """
    count = motif_pitches(score, pitches=pitches)
    # No token is 255, so a window of fewer than eight tokens never equals a full one.
    again = score.seen_before(_spell_window, (np.uint64(2**64 - 1),), gap=WINDOW)
    value = np.where(again, 1 + extra * (count - np.float32(pitches)), 0)
    return np.where(count > 0, value, 0).astype(np.float32)


def interval_code(score: Score) -> Array:
    """Return the code (int8) of the interval from the last note to each token, see POINTS.

    Rests and holds between the notes and the direction of the move are ignored.
    """
    before = score.previous_pitch
    degree = (before - np.int16(score.task.key.pitch_class)) % np.int16(12)
    on_tonic, on_third, on_fifth = degree == 0, degree == 4, degree == 7
    stable = on_tonic | on_fifth
    size = np.minimum(np.abs(score.pitch - before), np.int16(BEYOND_OCTAVE)).astype(np.int8)
    size = np.where((size == 7) & stable, np.int8(IN_KEY_FIFTH), size)
    size = np.where((size == 4) & (on_tonic | on_third), np.int8(IN_KEY_THIRD), size)
    rest = np.where(stable, np.int8(REST_AFTER), np.int8(REST_))
    hold = np.where(stable, np.int8(HOLD_AFTER), np.int8(HOLD_))
    code = np.where(score.onset, size, np.where(score.tokens == REST, rest, hold))
    return np.where(before >= 0, code, np.int8(0))


@term(source=SOURCE, says="{note} after {previous}: {interval}, an awkward move")
def preferred_intervals(score: Score) -> Array:
    """The points of the interval from the last note, see POINTS.

    >>> from rewards.remarks import paid
    >>> paid(preferred_intervals, "C4 E4 B4 A4 G4 A5 r:8")  # cells with a hold count too
    bar 1, beat 1: C4 +0.9
    bar 1, beat 2: E4 +0.375
    bar 1, beat 3: B4 +0.245
    bar 1, beat 4: A4 +0.305
    bar 2, beat 1: G4 +0.98
    bar 2, beat 2: A5 -0.775
    bar 2, beat 3: silence +0.575
    """
    return POINTS[interval_code(score)]


def _follow_leaps(state: tuple[Array, ...], here: Score, patience: int) -> Any:
    """Scan the outcome of leaps: 1 where one is resolved, -1 where it is doubled, else 0."""
    direction, origin, since = state
    zero, one = np.int16(0), np.int16(1)
    onset, before = here.onset, here.previous_pitch
    size = here.pitch - before
    leap = onset & (before >= 0) & (np.abs(size) >= 7)
    is_open = direction != 0
    way = np.where(size > 0, one, -one)
    opens, again = leap & ~is_open, leap & is_open & (way == direction)
    against = leap & is_open & ~again
    home = np.where(direction > 0, here.pitch <= origin, here.pitch >= origin)
    returns = onset & ~leap & is_open & home
    outcome = (against & (since > patience)) | returns
    closes = against | returns
    direction = np.where(opens, way, np.where(closes, zero, direction))
    origin = np.where(opens, before, origin)
    if here.cell.item() > 0:  # the first token does not count
        since = np.where(leap, zero, since + one)
    return (direction, origin, since), (outcome.astype(np.int8) - again.astype(np.int8),)


@term(source=SOURCE, says="{note}: a further leap the way of one that was never resolved")
def leap_up_back(score: Score, *, patience: int = 6) -> Array:
    """1 where a leap of a fifth or more is resolved, -1 where it is doubled.

    A leap is resolved by a return to its first note or beyond, or by a leap in the opposite
    direction more than `patience` tokens later. It is doubled by a leap in the same direction.

    >>> from rewards.remarks import paid
    >>> paid(leap_up_back, "C4 G4 E4 C4")
    bar 1, beat 4: C4 +1
    >>> paid(leap_up_back, "C4 G4 D5 C4")
    bar 1, beat 3: D5 -1
    """
    init = (np.int16(0), np.int16(-1), np.int16(0))
    return score.scan(_follow_leaps, init, patience=patience)[0].astype(np.float32)


def _follow_extremes(state: tuple[Array, ...], here: Score) -> Any:
    """Scan True where the highest token so far is unique, and where the lowest pitch is."""
    high, high_count, low, low_count = state
    token, one = here.tokens, np.int16(1)
    high_count = np.where(token > high, one, high_count + (token == high))
    high = np.maximum(high, token)
    pitch = np.where(token >= FIRST_PITCH, token, low + one)
    low_count = np.where(pitch < low, one, low_count + (pitch == low))
    low = np.minimum(low, pitch)
    return (high, high_count, low, low_count), (high_count == 1, low_count == 1)


def unique_extremes(score: Score) -> tuple[Array, Array]:
    """True for a unique highest token and for a unique lowest pitch, both at the last cell only."""
    init = (np.int16(-1), np.int16(0), np.int16(1000), np.int16(0))
    high, low = score.scan(_follow_extremes, init)
    return high & score.is_last, low & score.is_last


@term(source=SOURCE)
def high_low_unique(score: Score) -> Array:
    """1 for a unique highest token and 1 for a unique lowest pitch, at the last cell.

    >>> from rewards.remarks import paid
    >>> paid(high_low_unique, "D4 C4 G4 E4")
    bar 1, beat 4: E4 +2
    >>> paid(high_low_unique, "C4 G4 E4 C4")
    bar 1, beat 4: C4 +1
    """
    high, low = unique_extremes(score)
    return high.astype(np.float32) + low
