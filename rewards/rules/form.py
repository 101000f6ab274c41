"""Rules of form: repetition, motifs and phrases."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from envs.music.codec import UNWRITTEN
from envs.music.key import Key
from envs.music.phrases import Phrase
from envs.music.score import Score
from envs.music.tape import Array
from rewards.rule import rule, term
from rewards.rules.rhythm import WORD, beyond
from rewards.rules.rl_tuner import autocorrelation

KINDS = ("exact", "transposed", "tonal", "inverted", "rhythm")  # ways in which a motif returns


def _empty_bar(score: Score) -> tuple[Any, ...]:
    """Return the first state of `_follow_echo`: a run of 0 cells and an unwritten bar."""
    return (np.int16(0), *(np.int16(UNWRITTEN),) * score.task.bar_cells)


def _follow_echo(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the length of the run of cells that repeat the cells one bar earlier."""
    run, *bar = state
    run = np.where(here.tokens == bar[-1], run + np.int16(1), np.int16(0))
    return (run, here.tokens, *bar[:-1]), (run,)


@term(source="Caplin, Classical Form (1998): the sentence repeats its basic idea at once")
def bar_echo(score: Score, *, full: int = 8, longest: int = 12) -> Array:
    """A reward for each cell of a run that repeats the cells one bar earlier.

    It grows linearly to 1 at the `full`-th cell of the run. Cells after the `longest`-th earn
    nothing: the reward is for an answer and not for a copy.

    >>> from rewards.remarks import paid
    >>> paid(bar_echo, "C4 D4 E4 G4 C4 D4 E4 F4")  # an eighth, two eighths, and so on
    bar 2, beat 1: C4 +1.25
    bar 2, beat 2: D4 +3.25
    bar 2, beat 3: E4 +4
    bar 2, beat 4: F4 +0.75
    """
    if full < 1 or longest < 1:
        raise ValueError(f"full={full}, longest={longest}: expected at least 1 cell of each")
    (run,) = score.scan(_follow_echo, _empty_bar)
    share = np.minimum(run, np.int16(full)) / np.float32(full)
    return np.where(run <= longest, share, 0).astype(np.float32)


@term(source="the statistic of table 1 in Jaques et al. (2017)")
def whole_autocorrelation(score: Score) -> Array:
    """The sum of the absolute autocorrelations of all tokens at lags 1, 2, 3, at the last cell.

    `penalize_autocorrelation` does so for every prefix of the piece, and only above a threshold.

    >>> from rewards.remarks import paid
    >>> paid(whole_autocorrelation, "C4 D4 E4 F4 C4 D4 E4 F4")
    bar 2, beat 4: F4 +0.941
    """
    sizes = [np.nan_to_num(np.abs(coefficient)) for coefficient in autocorrelation(score)]
    return np.where(score.is_last, sum(sizes), 0).astype(np.float32)


# -- the motif -------------------------------------------------------------------------------------


@functools.cache
def _scale_places(key: Key) -> Array:
    """Return the scale step (from 0) at or below each of 12 semitones above the tonic."""
    return np.searchsorted(np.array(key.steps), np.arange(12), side="right").astype(np.int16) - 1


def _scale_step(pitch: Array, key: Key) -> Array:
    """Return MIDI pitches as numbers of scale steps."""
    above = pitch - np.int16(key.pitch_class)
    return above // 12 * np.int16(len(key.steps)) + _scale_places(key)[above % 12]


def _motif_value(here: Score, kind: str) -> Array:
    """Return the number (int16) that a note has in common with the motif's note on its return."""
    if kind == "exact":
        return here.pitch
    if kind == "rhythm":
        return here.cell.astype(np.int16) - here.previous_onset
    if kind == "tonal":
        key = here.task.key
        return _scale_step(here.pitch, key) - _scale_step(here.previous_pitch, key)
    return here.interval


def _follow_motif(state: tuple[Array, ...], here: Score, kind: str, length: int) -> Any:
    """Scan the number of notes, and True once the first `length` of them have returned.

    Bit j of `runs` is set if the last j + 1 notes agree with the first j + 1 of the motif: the
    shift-and search of Baeza-Yates and Gonnet (1992).
    """
    notes, runs, returned, *motif = state
    onset, value = here.onset, _motif_value(here, kind)
    if notes.min() < length:
        motif = [np.where(onset & (notes == i), value, old) for i, old in enumerate(motif)]
    later = onset & (notes >= length)
    if later.any():
        sign = np.int16(-1 if kind == "inverted" else 1)
        # The first note has no interval or duration before it: it agrees with every note.
        agrees = np.zeros(runs.shape, np.uint64)
        for i, wanted in enumerate(motif):
            same = (value == sign * wanted) | (i == 0 and kind != "exact")
            agrees = agrees | same.astype(np.uint64) << np.uint64(i)
        runs = np.where(later, (runs << np.uint64(1) | np.uint64(1)) & agrees, runs)
        returned = returned | (runs >> np.uint64(length - 1) & np.uint64(1)).astype(bool)
    notes = notes + onset.astype(np.int16)
    return (notes, runs, returned, *motif), (notes, returned)


@rule(
    source="Schoenberg, Fundamentals of Musical Composition (1967), ch. III: the motive",
    says="the first {length} notes of the line do not come back",
    verdict=True,
)
def motif_return(
    score: Score, *, length: int = 4, kinds: Sequence[str] = ("transposed", "tonal")
) -> Array:
    """The first notes of the line return later, without overlap; the violation is at the last cell.

    A line of fewer than `length` notes has no motif and no violation.

    length: number of notes in the motif, 2 to 64.
    kinds: the kinds of return that count: 'exact', the same pitches; 'transposed', the same
        intervals in semitones; 'tonal', the same intervals in scale steps (a note outside the
        scale counts as the step below it); 'inverted', the same intervals in the opposite
        direction; 'rhythm', the same durations from note to note.

    >>> from rewards.remarks import explain
    >>> explain(motif_return, "C4:2 D4:2 E4:2 C4:2 D4:2 E4:2 F4:2 D4:2")
    >>> explain(motif_return, "C4:2 D4:2 E4:2 C4:2 G4:2 E4:2 F4:2 D4:2")
    bar 1, beat 4.75: the first 4 notes of the line do not come back
    """
    if not 2 <= length <= WORD:
        raise ValueError(f"length={length}: expected 2 to {WORD} notes")
    if isinstance(kinds, str) or not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"kinds={kinds!r}: expected some of {', '.join(KINDS)}")
    none = np.int16(0)
    init = (none, np.uint64(0), np.False_, *(none,) * length)
    scans = [score.scan(_follow_motif, init, kind=kind, length=length) for kind in kinds]
    returned = functools.reduce(np.logical_or, (of_kind for _, of_kind in scans))
    return (score.is_last & (scans[0][0] >= length) & ~returned).astype(np.float32)


# -- phrases ---------------------------------------------------------------------------------------


def _likeness(one: Sequence[Array], other: Sequence[Array], cells: int) -> tuple[Array, Array]:
    """Count the places where a note begins in either of two phrases, and those that are alike.

    Args:
        one: three bits for each cell, in words of 64: a note begins; it rises; it falls.
        other: the other phrase.
        cells: number of cells compared.
    """
    words = len(one) // 3
    notes = alike = np.zeros(one[0].shape, np.int32)
    for word in range(words):
        size = min(max(cells - word * WORD, 0), WORD)
        begin, rise, fall = range(word, 3 * words, words)
        either = (one[begin] | other[begin]) & np.uint64(2**size - 1)
        differ = (one[i] ^ other[i] for i in (begin, rise, fall))
        notes = notes + np.bitwise_count(either)
        alike = alike + np.bitwise_count(either & ~functools.reduce(np.bitwise_or, differ))
    return notes, alike


def _empty_phrase(score: Score) -> tuple[Any, ...]:
    """Return the first state of `_follow_phrases`: no bits set for the cells of a phrase."""
    task = score.task
    cells = max(phrase.bars for phrase in task.phrase_plan) * task.bar_cells
    empty = np.zeros((score.batch, 1, 1), np.uint64)
    return (empty,) * (3 * -(-cells // WORD))


def _follow_phrases(state: tuple[Array, ...], here: Score, part: float) -> Any:
    """Scan how each phrase compares with the first phrase of each letter, at its last cell.

    The outputs are the share of notes in its first `part` that differ from the first phrase of
    the same letter, and the largest share of notes that are alike in the first phrase of another
    letter; 0 without notes.
    """
    task, cell = here.task, int(here.cell.item())
    plan, bar = task.phrase_plan, cell // task.bar_cells
    number = next(i for i, p in enumerate(plan) if bar < p.first_bar + p.bars)
    phrase, place = plan[number], cell - plan[number].first_bar * task.bar_cells
    firsts = _first_of_letters(plan, number)
    size = len(state) // (1 + len(firsts))
    current = list(state[:size]) if place else [np.zeros_like(state[0])] * size
    began = functools.reduce(np.bitwise_or, current[: size // 3]) > 0
    way = np.where(began, here.interval, np.int16(0))
    for bits, fact in enumerate((here.onset, way > 0, way < 0)):
        index = bits * (size // 3) + place // WORD
        current[index] = current[index] | fact.astype(np.uint64) << np.uint64(place % WORD)
    differ = alike = np.zeros(here.onset.shape, np.float32)
    if not task.phrase_ends[cell]:
        return (*current, *state[size:]), (differ, alike)
    for index, first in enumerate(firsts if phrase.letter else (), 1):
        other = state[index * size : (index + 1) * size]
        cells = min(phrase.bars, first.bars) * task.bar_cells
        same_letter = first.letter == phrase.letter
        compared = max(1, int(cells * part)) if same_letter else cells
        notes, same = _likeness(current, other, compared)
        if same_letter:
            differ = ((notes - same) / np.maximum(notes, 1)).astype(np.float32)
        else:
            alike = np.maximum(alike, (same / np.maximum(notes, 1)).astype(np.float32))
    is_new = phrase.letter not in {"", *(first.letter for first in firsts)}
    return (*current, *state[size:], *(current if is_new else ())), (differ, alike)


def _compared(score: Score, part: float = 0.5) -> tuple[Array, ...]:
    if len(score.task.phrase_plan) == 1:
        return (np.zeros(score.tokens.shape, np.float32),) * 2
    return score.scan(_follow_phrases, _empty_phrase, part=part)


def _first_of_letters(plan: Sequence[Phrase], before: int) -> list[Phrase]:
    """Return the first phrase of each letter among the first `before` phrases, in order."""
    firsts: dict[str, Phrase] = {}
    for phrase in plan[:before]:
        if phrase.letter:
            firsts.setdefault(phrase.letter, phrase)
    return list(firsts.values())


@rule(
    source="Lerdahl and Jackendoff, A Generative Theory of Tonal Music (1983), grouping "
    "preference rule 6: parallelism",
    says="the phrase does not begin like the one that it is a variant of",
    needs="phrases",
)
def phrase_parallelism(score: Score, *, part: float = 0.5, most: float = 0.25) -> Array:
    """Phrases with the same letter begin alike.

    Each is compared with the first phrase of its letter, at the places where a note begins in
    either. A place is alike if a note begins in both and moves in the same direction (up, down or
    neither) from the note before it, so that a phrase may return transposed. The violation, at
    the phrase's last cell, is 0 while the share of places that differ is `most` or less, and
    grows linearly to 1.

    part: share of the shorter phrase that is compared.
    most: share of the places that may differ.

    >>> from envs.notation.text_line import parse_notes, score_of
    >>> from envs.music.task import Task
    >>> from rewards.remarks import explain
    >>> task = Task(bars=2, phrases="AA")
    >>> explain(phrase_parallelism, score_of(parse_notes("C4 E4 F4 D4 D4 F4 E4 C4"), task))
    >>> explain(phrase_parallelism, score_of(parse_notes("C4 E4 F4 D4 F4 E4 D4 C4"), task))
    bar 2, beat 4.75: the phrase does not begin like the one that it is a variant of
    """
    if not 0 < part <= 1:
        raise ValueError(f"part={part}: expected a share above 0, at most 1")
    differ, _ = _compared(score, part)
    return beyond(differ, most).astype(np.float32)


@rule(
    source="Schoenberg, Fundamentals of Musical Composition (1967): the contrasting middle section",
    says="the phrase is too much like one that it should contrast with",
    needs="phrases",
)
def phrase_contrast(score: Score, *, most: float = 0.75) -> Array:
    """Phrases with different letters differ.

    Each whole phrase is compared, as in `phrase_parallelism`, with the first phrase of each other
    letter before it. The violation, at its last cell, is 0 while the share of places that are
    alike is `most` or less, and grows linearly to 1 for a copy, transposed or not.

    most: share of the places that may be alike.

    >>> from envs.notation.text_line import parse_notes, score_of
    >>> from envs.music.task import Task
    >>> from rewards.remarks import explain
    >>> task = Task(bars=2, phrases="AB")
    >>> explain(phrase_contrast, score_of(parse_notes("C4 E4 F4 D4 G4:8 E4 C4"), task))
    >>> explain(phrase_contrast, score_of(parse_notes("C4 E4 F4 D4 D4 F4 G4 E4"), task))
    bar 2, beat 4.75: the phrase is too much like one that it should contrast with
    """
    _, alike = _compared(score)
    return beyond(alike, most).astype(np.float32)
