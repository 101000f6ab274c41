"""The treatment of dissonance between two voices, as the species of counterpoint teach it.

Against the lowest voice seconds, fourths, tritones and sevenths are dissonant; between upper voices
seconds and sevenths. Intervals are counted in semitones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from envs.music.voices.pairs import OCTAVE, Pair
from rewards.rule import pair_rule
from rewards.rules.voices import BOTH, STEP, violation

ABOVE_BASS = np.isin(np.arange(OCTAVE), (1, 2, 5, 6, 10, 11))
AMONG_UPPER = np.isin(np.arange(OCTAVE), (1, 2, 10, 11))
THIRDS = (-3, -4)  # semitones of the fall in a cambiata
# What a voice owes for its dissonance: to go on by step, to fall by step, to rise by step, or to
# come from the note that decorates a suspension to the step below it.
NOTHING, GOES_ON, FALLS, RISES, COMES_BACK = (np.int8(debt) for debt in range(5))


def rough(pair: Pair, interval: Array) -> Array:
    """True for intervals, in semitones, that are dissonant between the two voices of a pair."""
    size = np.abs(interval) % OCTAVE
    return np.where(pair.with_bass, ABOVE_BASS[size], AMONG_UPPER[size])


def _is_step(move: Array) -> Array:
    return (move != 0) & (np.abs(move) <= STEP)


def _settle(
    state: tuple[Array, ...], pair: Pair, smooth: Array, allowed: dict[str, bool]
) -> tuple[Array, ...]:
    """Return what is owed after a cell, the interval it came by, and where it was not paid.

    The last array is True where a suspension is resolved.

    smooth: True where a suspension may be decorated: on a weak place, with a consonance.
    """
    owed, of_other, entry, level = state
    here, there = pair.score, pair.there
    acts = np.where(of_other, there.onset, here.onset)
    ends = np.where(of_other, there.rest, here.rest)
    move = np.where(of_other, there.interval, here.interval)
    onward = _is_step(move) & (np.sign(move) == np.sign(entry)) & allowed["passing"]
    back = (move == -entry) & allowed["neighbour"]
    drops = (entry < 0) & np.isin(move, THIRDS) & allowed["cambiata"]
    paid = (owed == GOES_ON) & (onward | back | drops)
    paid |= (owed == FALLS) & _is_step(move) & (move < 0)
    paid |= (owed == RISES) & _is_step(move) & (move > 0)
    whole = entry + move
    paid |= (owed == COMES_BACK) & _is_step(whole) & (whole < 0)
    skips = (owed == FALLS) & acts & ~ends & (np.abs(move) > STEP) & smooth
    paid |= skips
    due = (owed != NOTHING) & (acts | ends)
    hangs_on = (owed == GOES_ON) & ~due & (here.level < level)
    broken = (due & (ends | ~paid)) | hangs_on
    resolves = due & ~broken & ~skips & ((owed == FALLS) | (owed == COMES_BACK))
    left = np.where(due | hangs_on, NOTHING, owed)
    left = np.where(due & paid & drops & (owed == GOES_ON), RISES, left)
    return np.where(skips, COMES_BACK, left), np.where(skips, move, entry), broken, resolves


def _follow_dissonance(
    state: tuple[Array, ...], here: Score, other: int, strong: int, **allowed: bool
) -> Any:
    """Scan where a voice breaks the treatment of dissonance with another one.

    The state is what one of the two owes, True where the other one owes it, the interval by which
    a moving note came, and the metrical level at which it did.
    """
    if int(here.voice.item()) <= other:
        return state, (np.zeros(state[0].shape, bool),)
    pair = Pair(here, other)
    moves, there = pair.moves, pair.there
    clash = moves.both & moves.begins & rough(pair, moves.interval)
    weak = here.level > strong
    owed, entry, broken, resolves = _settle(state, pair, weak & moves.both & ~clash, allowed)
    broken = broken | (clash & (resolves | (owed == RISES) | (owed == COMES_BACK)))
    fresh = clash & (owed == NOTHING) & ~resolves
    mine, its = here.onset & ~there.onset, there.onset & ~here.onset
    interval = np.where(mine, here.interval, there.interval)
    by_step = _is_step(interval) & (mine | its) & (moves.before >= 0) & (moves.other_before >= 0)
    prepared = (mine | its) & moves.both_before & ~rough(pair, moves.interval_before)
    moving = allowed["passing"] or allowed["neighbour"] or allowed["cambiata"]
    passes = fresh & weak & by_step & moving
    hangs = fresh & ~weak & prepared & allowed["suspension"]
    broken = broken | (fresh & ~passes & ~hangs)
    owed = np.where(passes, GOES_ON, np.where(hangs, FALLS, owed))
    # A moving note owes itself; a suspension is owed by the voice that is held.
    of_other = np.where(passes, its, np.where(hangs, mine, state[1]))
    entry = np.where(fresh, interval, entry)
    level = np.where(passes, here.level, state[3])
    return (owed, of_other, entry, level), (broken | (here.is_last & (owed != NOTHING)),)


@pair_rule(
    source="Fux, Gradus ad Parnassum (1725), the five species; Jeppesen, Counterpoint (1931)",
    says=f"dissonance without its treatment: {BOTH}",
)
def dissonance(
    pair: Pair,
    *,
    passing: bool = True,
    neighbour: bool = True,
    suspension: bool = True,
    cambiata: bool = True,
    strong: int = 0,
) -> Array:
    """Each dissonance of two voices is a passing note, a neighbour, a suspension or a cambiata.

    On a weak place one voice may come to it by step while the other one is held, and goes on by
    step in its direction (passing), back to its note (neighbour), or, having come down, falls by a
    third and rises by a step (cambiata); it is not held into a stronger place. On a strong place
    one voice may be held from a consonance and falls by step to a consonance (suspension), at once
    or after a skip to one consonance on a weak place. All other dissonances are violations, where
    they begin or where they are left otherwise.

    passing, neighbour, suspension, cambiata: allow it.
    strong: highest metrical level of a strong place: 0 for bar lines only.

    >>> from rewards.remarks import explain
    >>> explain(dissonance, "E5:8 D5:8 C5:16 ; C4:16 C4:16")
    >>> explain(dissonance, "r:8 C5:16 B4:8 C5:16 ; A3:16 D4:16 C4:16")
    >>> explain(dissonance, "E5:8 D5:8 G5:16 ; C4:16 C4:16")
    bar 2, beat 1: dissonance without its treatment: upper voice D5-G5 and lower voice C4-C4
    """
    none = (NOTHING, np.False_, np.int16(0), np.int8(0))
    (broken,) = pair.score.scan(
        _follow_dissonance,
        none,
        other=pair.other,
        strong=strong,
        passing=bool(passing),
        neighbour=bool(neighbour),
        suspension=bool(suspension),
        cambiata=bool(cambiata),
    )
    return violation(broken & pair.moves.judged)
