"""Rules of the plan of a piece: what returns, what is moved in sequence, what is copied."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from envs.music.implied import span_cells
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.rule import rule
from rewards.rules.rhythm import WORD, ends_bar, nothing

SCHOENBERG = "Schoenberg, Fundamentals of Musical Composition (1967)"
UNIT = 2  # bars from one place where the opening may return to the next
FEWEST_BARS = 4  # of a piece that has a plan to be judged
CODE = 6_364_136_223_846_793_005  # odd, so that different figures have different codes


# -- the opening -----------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def return_bars(task: Task) -> tuple[int, ...]:
    """Return the bars at which the opening may return: every second one of each phrase.

    There are none in a piece of fewer than four bars, nor in a plan whose first letter does not
    come back.
    """
    plan = task.phrase_plan
    letters = [phrase.letter for phrase in plan]
    if task.bars < FEWEST_BARS or (task.phrases and letters[0] and letters.count(letters[0]) < 2):
        return ()
    starts = (range(phrase.first_bar, phrase.first_bar + phrase.bars, UNIT) for phrase in plan)
    return tuple(bar for each in starts for bar in each if 0 < bar < task.bars - 1)


@lru_cache(maxsize=256)
def return_deadlines(task: Task) -> dict[int, float]:
    """Return the bars by which the opening must have returned, and their share in the violation.

    They are the first of `return_bars` in the second half of the piece, and the last one.
    """
    bars = return_bars(task)
    if not bars:
        return {}
    first = next((bar for bar in bars if 2 * bar >= task.bars), bars[-1])
    return {bars[-1]: 1.0} if first == bars[-1] else {first: 0.5, bars[-1]: 0.5}


def _empty_heads(score: Score) -> tuple[Any, ...]:
    """Return the first state of `_follow_heads`: two bars without bits, and nothing alike."""
    words = -(-score.task.bar_cells // WORD)
    empty = np.zeros((score.batch, 1, 1), np.uint64)
    return (np.zeros(empty.shape, np.float32), *(empty,) * (6 * words))


def _follow_heads(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the largest likeness so far of the first bar and one at which it may return.

    Places count where a note begins in either bar: whole if one begins in both and moves the same
    way from the note before it in its bar, half if it moves another way.
    """
    best, *words = state
    task, bar, place = here.task, int(here.bar.item()), int(here.cell_in_bar.item())
    size = len(words) // 2
    first, now = words[:size], words[size:]
    if bar < 0 or not (bar == 0 or bar in return_bars(task)):
        return state, (best,)
    if place == 0:
        now = [np.zeros_like(word) for word in now]
    began = np.bitwise_or.reduce(now[: size // 3]) > 0
    way = np.where(began, here.interval, np.int16(0))
    for kind, fact in enumerate((here.onset, way > 0, way < 0)):
        index = kind * (size // 3) + place // WORD
        now[index] = now[index] | fact.astype(np.uint64) << np.uint64(place % WORD)
    if bar == 0:
        first = now
    elif place == task.bar_cells - 1 or here.is_last.all():
        best = np.maximum(best, _likeness(first, now))
    return (best, *first, *now), (best,)


def _likeness(one: list[Array], other: list[Array]) -> Array:
    """Return how much two bars are alike, 0 to 1; each has words of onsets, rises and falls."""
    words = len(one) // 3
    count = np.bitwise_count
    notes = both = alike = np.zeros(one[0].shape, np.float32)
    for word in range(words):
        begin, rise, fall = range(word, 3 * words, words)
        shared = one[begin] & other[begin]
        notes = notes + count(one[begin] | other[begin])
        both = both + count(shared)
        alike = alike + count(shared & ~((one[rise] ^ other[rise]) | (one[fall] ^ other[fall])))
    return ((both + alike) / 2 / np.maximum(notes, 1)).astype(np.float32)


@rule(
    source=f"{SCHOENBERG}, ch. V to VIII: the period and the sentence restate their opening; "
    "repetition binds a form: Huron (2006), Sweet Anticipation, ch. 13",
    says="by this bar the opening has not returned",
)
def opening_return(score: Score, *, least: float = 0.75) -> Array:
    """The first bar returns: at the start of a later two bars, exact, moved, or in its rhythm.

    Bars are compared where a note begins in either: a place counts whole if one begins in both and
    moves in the same direction (up, down or neither), half if in another one. The violation is 0
    if `least` of the places are alike in some bar, and grows linearly to 1 for none. Half of it
    falls at the end of the first such bar in the second half, half at that of the last one, for
    what has returned until then. Pieces of fewer than four bars, and plans whose first letter does
    not come back, have none.

    least: share of the places.

    >>> from rewards.remarks import explain
    >>> explain(opening_return, "C4 E4 G4 E4 D4 F4 E4:8 C4 E4 G4 C5 B4 D4 C4:8")
    >>> explain(opening_return, "C4 E4 G4 E4 D4 F4 E4:8 C5:6 B4:2 C5:8 B4 D4 C4:8")
    bar 3, beat 4.75: by this bar the opening has not returned
    """
    if not 0 < least <= 1:
        raise ValueError(f"least={least}: expected a share above 0, at most 1")
    deadlines = return_deadlines(score.task)
    if not deadlines:
        return nothing(score)
    (best,) = score.scan(_follow_heads, _empty_heads)
    shares = np.zeros(score.task.bars + 1)
    shares[list(deadlines)] = list(deadlines.values())
    value = np.clip((least - best) / least, 0, 1) * shares[score.bar]
    return np.where(ends_bar(score), value, 0).astype(np.float32)


# -- figures ---------------------------------------------------------------------------------------


def _follow_figures(state: tuple[Array, ...], here: Score, size: int) -> Any:
    """Scan True from where on a figure was repeated at once on another pitch.

    A figure is `size` cells with three notes or more; it is coded by where its notes begin and
    which way they go. One that goes a single way, on to its own repetition, is a scale.
    """
    code, notes, ways, start, old_code, old_start, found = state
    place = int(here.cell_in_bar.item()) % size
    if place == 0:
        old_code, old_start = np.where(notes >= 3, code, np.uint64(0)), start
        code, notes, ways = np.zeros_like(code), np.zeros_like(notes), np.zeros_like(ways)
    onset, way = here.onset, np.sign(here.interval)
    # A bit for each way that was gone, from the last note of the figure before on.
    ways = ways | np.where(onset, np.int16(1) << (way + np.int16(1)), np.int16(0))
    way = np.where(notes > 0, way, np.int16(0)) + np.int16(2)
    power = np.uint64(pow(CODE, place + 1, 2**64))
    code = code + onset * power * way.astype(np.uint64)
    start = np.where(onset & (notes == 0), here.pitch, start)
    notes = notes + onset.astype(np.int16)
    if place == size - 1 and int(here.bar.item()) >= 0:
        moved = (code == old_code) & (notes >= 3) & (start != old_start)
        found = found | (moved & (np.bitwise_count(ways) > 1))
    return (code, notes, ways, start, old_code, old_start, found), (found,)


@rule(
    source=f"{SCHOENBERG}, ch. III to V: the motive, its repetition on other degrees, sequences",
    says="no figure so far was repeated at once on another pitch",
)
def sequence(score: Score) -> Array:
    """A figure of a bar, or of half a bar, is repeated at once on another pitch: a sequence.

    It has three notes or more and is repeated in its rhythm and its ways up and down; a scale that
    goes on and on is none. Half of the violation falls at the middle of the piece, half at its end,
    if there was no sequence until then. Pieces of fewer than four bars have none.

    >>> from rewards.remarks import explain
    >>> explain(sequence, "C4 E4 D4:8 D4 F4 E4:8 G4 F4 E4 D4 C4:16")
    >>> explain(sequence, "C4 E4 D4:8 G4 F4 E4:8 G4 F4 E4 D4 C4:16")
    bar 2, beat 4.75: no figure so far was repeated at once on another pitch
    bar 4, beat 4.75: no figure so far was repeated at once on another pitch
    """
    task = score.task
    if task.bars < FEWEST_BARS:
        return nothing(score)
    one = np.int16(1)
    none = (np.uint64(0), np.int16(0), np.int16(0), np.int16(0), np.uint64(0), -one, np.False_)
    sizes = {span_cells(task, halves=True), task.bar_cells}
    found = [score.scan(_follow_figures, none, size=size)[0] for size in sorted(sizes)[::-1]]
    judged = score.is_last | (ends_bar(score) & (score.bar == (task.bars + 1) // 2 - 1))
    missing = judged & score.written & ~np.logical_or.reduce(found)
    return (missing / np.float32(2)).astype(np.float32)


@lru_cache(maxsize=4096)
def is_planned_copy(task: Task, bar: int) -> bool:
    """True if a bar is in a phrase whose letter an earlier phrase of the plan has."""
    plan = task.phrase_plan
    number = next(i for i, phrase in enumerate(plan) if bar < phrase.first_bar + phrase.bars)
    return plan[number].letter in {phrase.letter for phrase in plan[:number]} - {""}


def _follow_copies(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the number of bars so far that copy an earlier one, and the bars in a row; at bar ends.

    The first is 0 where the bar is no copy; the other counts equal bars in a row. Bars in which no
    note begins are no copies.
    """
    code, copies, row, *bars = state
    task, cell = here.task, int(here.cell.item())
    place = task.place_in_bar(cell)
    power = np.uint64(pow(CODE, place + 1, 2**64))
    code = np.where(place == 0, np.uint64(0), code)
    code = code + np.where(here.onset, power * (here.pitch + np.int16(1)).astype(np.uint64), 0)
    none = np.zeros(copies.shape, np.int16)
    if not ends_bar(here).any():
        return (code, copies, row, *bars), (none, none)
    free = not is_planned_copy(task, max(0, int(here.bar.item())))
    copied = free & (code > 0) & np.logical_or.reduce([code == bar for bar in bars] or [code < 0])
    copies = copies + copied.astype(np.int16)
    again = free & (code > 0) & (code == bars[-1]) if bars else np.zeros(code.shape, bool)
    row = np.where(again, row + np.int16(1), np.int16(1))
    return (code, copies, row, *bars, code), (np.where(copied, copies, none), row)


@rule(
    source="Huron (2006), Sweet Anticipation, ch. 13: music repeats a great deal, with changes; "
    "Schoenberg, Fundamentals of Musical Composition (1967): repetition alone gives rise to "
    "monotony",
    says="this bar copies an earlier one once too often",
)
def copied_bars(score: Score, *, most: float = 0.5, row: int = 2) -> Array:
    """At most half of the bars copy an earlier one note by note, and no bar comes three in a row.

    The violation is at the end of each copy too many. Phrases that a plan asks for again are no
    copies.

    most: share of the bars that may be copies.
    row: number of equal bars that may follow each other.

    >>> from rewards.remarks import explain
    >>> explain(copied_bars, "C4 E4 D4:8 D4 F4 E4:8 C4 E4 D4:8 B3 D4 C4:8")
    >>> explain(copied_bars, "C4 E4 D4:8 C4 E4 D4:8 C4 E4 D4:8 B3 D4 C4:8")
    bar 3, beat 4.75: this bar copies an earlier one once too often
    """
    if not 0 <= most <= 1 or row < 1:
        raise ValueError(f"most={most}, row={row}: expected a share of the bars, and 1 bar or more")
    copies, in_row = score.scan(_follow_copies, (np.uint64(0), np.int16(0), np.int16(0)))
    return (score.written & ((copies > most * score.task.bars) | (in_row > row))).astype(np.float32)
