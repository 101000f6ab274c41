"""Rules of a melody, from note to note; rests between the notes are ignored."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from envs.music.key import Key
from envs.music.pitch import LETTERS
from envs.music.score import Score
from envs.music.tape import Array
from rewards.rule import rule

OCTAVE = 12  # semitones
TRITONE = 6
MAJOR_TRIAD, MINOR_TRIAD = (0, 4, 7), (0, 3, 7)
LEADING = 11  # semitones above the tonic
FUX = "Fux, Gradus ad Parnassum (1725)"
KOSTKA_PAYNE = "Kostka and Payne, Tonal Harmony, ch. 5, the melodic line"


@rule(
    source="Krumhansl and Kessler (1982), Tracing the dynamic changes in perceived tonal "
    "organization: tones of the scale fit a key best; Kostka and Payne, Tonal Harmony, ch. 1: "
    "minor melodies raise the sixth and seventh degree",
    says="{note} is not in {key}",
)
def in_key(score: Score) -> Array:
    """Notes belong to the scale of the key; in minor the sixth and seventh may be raised.

    'natural minor', 'aeolian' and all other modes keep to their scale.

    >>> from rewards.remarks import explain
    >>> explain(in_key, "C4 E4 G4 B4")
    >>> explain(in_key, "C4 Bb4 G4 C5")
    bar 1, beat 2: Bb4 is not in C major
    >>> explain(in_key, "E4 F#4 G#4 A4", key="A minor")
    >>> explain(in_key, "E4 F#4 G4 A4", key="A natural minor")
    bar 1, beat 2: F#4 is not in A natural minor
    """
    return (~score.in_key).astype(np.float32)


# -- leaps -----------------------------------------------------------------------------------------


@rule(
    source=f"{KOSTKA_PAYNE}: a leap beyond a fourth is left the other way; Open Music Theory, "
    "composing a cantus firmus: by step, from a fourth on. Real melodies turn back as their "
    "compass is narrow, say von Hippel and Huron (2000) on why skips precede reversals",
    says="{note} does not step back after the leap {before}-{previous}",
)
def leap_recovery(score: Score, *, min_leap: int = 5) -> Array:
    """A leap is followed by a step in the opposite direction.

    min_leap: semitones of the smallest leap.

    >>> from rewards.remarks import explain
    >>> explain(leap_recovery, "C4 A4 G4 E4")
    >>> explain(leap_recovery, "C4 A4 B4 C5")
    bar 1, beat 3: B4 does not step back after the leap C4-A4
    """
    leap = score.prev("interval")
    step_back = (np.sign(score.interval) == -np.sign(leap)) & (np.abs(score.interval) <= 2)
    return (score.onset & (np.abs(leap) >= min_leap) & ~step_back).astype(np.float32)


@rule(
    source=f"{KOSTKA_PAYNE}: none beyond the octave",
    says="the leap {previous}-{note} is larger than {largest} semitones",
)
def leap_size(score: Score, *, largest: int = OCTAVE, octave: bool = False) -> Array:
    """No leap is too large.

    The violation is 1/12 for each semitone beyond `largest`, at most 1.

    largest: semitones of the largest leap allowed.
    octave: allow the octave too where `largest` is smaller.

    >>> from rewards.remarks import explain
    >>> explain(leap_size, "C4 C5 B4 C5")
    >>> explain(leap_size, "C4 E5 D5 C5")
    bar 1, beat 2: the leap C4-E5 is larger than 12 semitones
    """
    size = np.abs(score.interval)
    beyond = np.where(octave & (size == OCTAVE), 0, np.clip(size - largest, 0, OCTAVE))
    return (beyond / OCTAVE).astype(np.float32)


# Indexed by semitones; the last entry stands for all intervals larger than an octave.
DISSONANT = np.isin(np.arange(OCTAVE + 2), (TRITONE, 10, 11, OCTAVE + 1))


@rule(
    source=f"{KOSTKA_PAYNE}: no augmented intervals, no sevenths, none beyond the octave",
    says="the leap {previous}-{note} is dissonant or wider than an octave: {interval}",
)
def dissonant_leap(score: Score) -> Array:
    """No leap is a tritone or a seventh, or larger than an octave.

    Intervals are counted in semitones (6, 10, 11, above 12): a diminished fourth is a major third.

    >>> from rewards.remarks import explain
    >>> explain(dissonant_leap, "C4 G4 F4 B3")
    bar 1, beat 4: the leap F4-B3 is dissonant or wider than an octave: tritone
    >>> explain(dissonant_leap, "C4 G4 E4 C5")
    """
    size = np.minimum(np.abs(score.interval), OCTAVE + 1)
    return DISSONANT[size].astype(np.float32)


def _outlines_triad(first: int, second: int) -> bool:
    """True if two moves in the same direction span at most an octave and lie in a triad.

    The moves are in semitones; the triad is major or minor.
    """
    touched = {0, first % OCTAVE, (first + second) % OCTAVE}
    return first + second <= OCTAVE and any(
        touched <= {(root + step) % OCTAVE for step in triad}
        for triad in (MAJOR_TRIAD, MINOR_TRIAD)
        for root in range(OCTAVE)
    )


# [move, next move] in semitones, for both directions, as a major triad upside down is minor; the
# last row and column stand for all moves larger than an octave.
MOVES = range(OCTAVE + 2)
TRIADS = np.array([[_outlines_triad(a, b) for b in MOVES] for a in MOVES])


@rule(
    source=f"{KOSTKA_PAYNE}: leaps the same way outline a triad",
    says="{before}-{previous}-{note}: two leaps the same way that outline no triad",
)
def two_leaps(score: Score, *, min_leap: int = 3) -> Array:
    """Two successive leaps in the same direction outline a triad.

    The three notes span at most an octave and belong to a major or minor triad, in any position:
    C4-E4-G4, E4-G4-C5 and C4-G4-C5 are allowed, two fourths and diminished triads are not. Leaps
    with a repeated note between them are not successive.

    min_leap: semitones of the smallest leap.

    >>> from rewards.remarks import explain
    >>> explain(two_leaps, "C4 E4 G4 E4")
    >>> explain(two_leaps, "C4 F4 Bb4 A4")
    bar 1, beat 3: C4-F4-Bb4: two leaps the same way that outline no triad
    """
    moves = score.prev("interval"), score.interval
    first, second = (np.minimum(np.abs(move), OCTAVE + 1) for move in moves)
    leaps = (first >= min_leap) & (second >= min_leap) & (np.sign(moves[0]) == np.sign(moves[1]))
    return (leaps & ~TRIADS[first, second]).astype(np.float32)


# -- intervals and degrees that need a continuation ------------------------------------------------


def _follow_runs(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the run of notes in one direction before each cell; repeated notes count once.

    The outputs are the last pitch that differs from the previous one, -1 for none; the pitch at
    which the run began, -1 for none; its number of moves; and True where the note turns back.
    """
    other, start, moves = state
    before, way = here.previous_pitch, np.sign(here.interval)
    moved = way != 0
    turns = moved & (moves > 0) & (way != np.sign(before - other))
    following = (
        np.where(moved, before, other),
        np.where(turns | (moved & (moves == 0)), before, start),
        np.where(turns, np.int16(1), moves + moved.astype(np.int16)),
    )
    return following, (other, start, moves, turns)


def _runs(score: Score) -> tuple[Array, ...]:
    return score.scan(_follow_runs, (np.int16(-1), np.int16(-1), np.int16(0)))


@rule(
    source=f"{FUX}, first species, in Mann's edition, The Study of Counterpoint: no tritone even "
    "by steps, unless the line goes on the same way",
    says="from {start} to {turn} the line outlines a tritone",
)
def tritone_outline(score: Score) -> Array:
    """The line does not span a tritone between two turning points.

    The first and the last note count as turning points. The violation is at the note after the
    turn, or at the last cell. A tritone in one leap is left to `dissonant_leap`.

    >>> from rewards.remarks import explain
    >>> explain(tritone_outline, "F4 G4 A4 B4 C5 B4 A4 G4")
    >>> explain(tritone_outline, "F4 G4 A4 B4 A4 G4 F4 E4")
    bar 2, beat 1: from F4 to B4 the line outlines a tritone
    """
    _, start, moves, turns = _runs(score)
    at_turn = turns & (moves >= 2) & (np.abs(score.previous_pitch - start) == TRITONE)
    long = moves + (score.interval != 0) >= 2
    at_end = score.is_last & ~turns & long & (np.abs(score.pitch - start) == TRITONE)
    return (at_turn | at_end).astype(np.float32)


@functools.cache
def _moves_of(key: Key, semitones: int, letters: int) -> Array:
    """True (12,) for the pitch classes whose note so many semitones above is so many letters on."""
    names = sorted(LETTERS)
    spelled = [names.index(key.spell(pitch)[0][0]) for pitch in range(60, 72 + semitones)]
    return np.array([(spelled[i + semitones] - spelled[i]) % 7 == letters for i in range(12)])


@rule(
    source=f"{KOSTKA_PAYNE}: no augmented intervals; Aldwell and Schachter, Harmony and Voice "
    "Leading",
    says="{previous}-{note} is an augmented second",
)
def augmented_second(score: Score) -> Array:
    """No move is an augmented second, such as from the sixth degree to the raised seventh in minor.

    It has three semitones and the key spells its notes with neighbouring letters, see `Key.spell`.

    >>> from rewards.remarks import explain
    >>> explain(augmented_second, "E4 F#4 G#4 A4", key="A minor")
    >>> explain(augmented_second, "E4 F4 G#4 A4", key="A minor")
    bar 1, beat 3: F4-G#4 is an augmented second
    """
    lower = np.minimum(score.pitch, score.previous_pitch) % 12
    augmented = _moves_of(score.task.key, 3, letters=1)[lower]
    return ((np.abs(score.interval) == 3) & augmented).astype(np.float32)


@rule(
    source=f"{KOSTKA_PAYNE}: the seventh degree rises, but in a descent from the tonic by step",
    says="the leading note {previous} moves to {note} and not up to the tonic",
)
def leading_note(score: Score) -> Array:
    """The leading note rises to the tonic, or falls by step if it comes from the tonic.

    The leading note is a semitone below the tonic, in the scale or raised. It may be repeated
    before it moves.

    >>> from rewards.remarks import explain
    >>> explain(leading_note, "D4 B3 C4 D4 C5 B4 A4 G4")
    >>> explain(leading_note, "D4 B3 G3 C4")
    bar 1, beat 3: the leading note B3 moves to G3 and not up to the tonic
    """
    before, move = score.previous_pitch, score.interval
    leading = (before - np.int16(score.task.key.pitch_class)) % 12 == LEADING
    descends = (_runs(score)[0] == before + 1) & ((move == -1) | (move == -2))
    return (leading & (move != 0) & (move != 1) & ~descends).astype(np.float32)


@rule(
    source="Jeppesen, Counterpoint (1931): no chromatic steps in the style",
    says="{previous}-{note} is a chromatic step",
)
def chromatic_step(score: Score) -> Array:
    """No move is a chromatic semitone, which is from a degree to the same one raised, or back.

    The key spells its two notes with one letter, see `Key.spell`: in A minor, as in C major, E flat
    and not D sharp, so that the raised fourth degree of minor counts on its way up to the fifth.

    >>> from rewards.remarks import explain
    >>> explain(chromatic_step, "A4 B4 C#5 D5", key="D dorian")
    >>> explain(chromatic_step, "B4 C5 C#5 D5", key="D dorian")
    bar 1, beat 3: C5-C#5 is a chromatic step
    """
    lower = np.minimum(score.pitch, score.previous_pitch) % 12
    same = _moves_of(score.task.key, 1, letters=0)[lower]
    return ((np.abs(score.interval) == 1) & same).astype(np.float32)


@rule(
    source=f"{FUX}: the cantus firmi begin on the final of their mode",
    says="the line begins on {note}, not on the tonic of {key}",
)
def opening_tonic(score: Score) -> Array:
    """The first note is the tonic, in any octave.

    >>> from rewards.remarks import explain
    >>> explain(opening_tonic, "C4 E4 D4 C4")
    >>> explain(opening_tonic, "E4 D4 B3 C4")
    bar 1, beat 1: the line begins on E4, not on the tonic of C major
    """
    first = score.onset & (score.previous_onset < 0)
    return (first & (score.degree > 0)).astype(np.float32)


@rule(
    source=f"{FUX}: the cantus firmi fall to the final by step; Jeppesen, Counterpoint (1931)",
    says="the line comes to its last note, {note}, other than by a step down",
    verdict=True,
)
def step_down_close(score: Score) -> Array:
    """The last note comes by a step down; the violation is at the last cell.

    Lines of fewer than two notes are not judged.

    >>> from rewards.remarks import explain
    >>> explain(step_down_close, "C4 E4 D4 C4")
    >>> explain(step_down_close, "C4 E4 G4 C4")
    bar 1, beat 4.75: the line comes to its last note, C4, other than by a step down
    """
    last, before = (
        np.where(score.onset, getattr(score, name), score.prev(name))
        for name in ("pitch", "previous_pitch")
    )
    falls = (last < before) & (last >= before - 2)
    judged = score.is_last & (score.degree >= 0) & (before >= 0)
    return (judged & ~falls).astype(np.float32)


@rule(
    source=f"{FUX}: each cantus firmus ends on the final of its mode",
    says="the line ends on {note}, not on the tonic of {key}",
    verdict=True,
)
def final_tonic(score: Score) -> Array:
    """The last note is the tonic, in any octave; the violation is at the last cell.

    >>> from rewards.remarks import explain
    >>> explain(final_tonic, "E4 D4 B3 C4")
    >>> explain(final_tonic, "E4 D4 C4 B3")
    bar 1, beat 4.75: the line ends on B3, not on the tonic of C major
    """
    return (score.is_last & (score.degree > 0)).astype(np.float32)


def _count_same(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the number of times that each note's pitch was struck in a row; 0 without an onset."""
    again = here.onset & (here.pitch == here.previous_pitch)
    one = np.int16(1)
    count = np.where(again, state[0] + one, np.where(here.onset, one, state[0]))
    return (count,), (np.where(here.onset, count, np.int16(0)),)


@rule(
    source=f"{FUX}: the cantus firmi repeat no note",
    says="{note} sounds more than {most} times in a row",
)
def repeated_notes(score: Score, *, most: int = 3) -> Array:
    """A note is not struck too often in a row; each further stroke is a violation.

    most: times that a pitch may be struck.

    >>> from rewards.remarks import explain
    >>> explain(repeated_notes, "C4 C4 C4 D4")
    >>> explain(repeated_notes, "C4 C4 C4 C4")
    bar 1, beat 4: C4 sounds more than 3 times in a row
    """
    if most < 1:
        raise ValueError(f"most={most}: expected 1 or more strokes")
    (count,) = score.scan(_count_same, (np.int16(0),))
    return (count > most).astype(np.float32)
