"""Rules of register and direction: the climax, the height of the close, and lines that circle."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from rewards.rule import rule
from rewards.rules.contour import STEP, at_end
from rewards.rules.melody import KOSTKA_PAYNE, OCTAVE
from rewards.rules.plan import FEWEST_BARS
from rewards.rules.rhythm import ends_bar, nothing

# -- register --------------------------------------------------------------------------------------


def _follow_summit(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the highest note so far, and the highest from the middle on; -1 for none."""
    high, late = state
    pitch = np.where(here.onset, here.pitch, np.int16(-1))
    high = np.maximum(high, pitch)
    if 2 * int(here.cell.item()) >= here.task.cells:
        late = np.maximum(late, pitch)
    return (high, late), (high, late)


@rule(
    source="Toch, The Shaping Forces in Music (1948): the climax lies late; "
    f"{KOSTKA_PAYNE}: a single focal point",
    says="the second half has not reached the height of {highest} yet",
)
def planned_climax(score: Score, *, full: float = 4.0, until: float = 0.875) -> Array:
    """The line rises to its highest note, again or first, in the second half before the close.

    The violation is at the end of that stretch: the semitones that its highest note lies below the
    highest so far, over `full`, at most 1. Pieces of fewer than four bars have none.

    full: semitones of a whole violation, above 0.
    until: share of the piece at which the close begins, above a half.

    >>> from rewards.remarks import explain
    >>> explain(planned_climax, "C4 E4 G4 E4 D4 F4 E4:8 A4 G4 F4 E4 D4:8 C4:8")
    >>> explain(planned_climax, "C4 E4 A4 E4 D4 F4 E4:8 F4 E4 F4 E4 D4:8 C4:8")
    bar 4, beat 2.75: the second half has not reached the height of A4 yet
    """
    if not full > 0 or not 0.5 < until <= 1:
        raise ValueError(f"full={full}, until={until}: expected above 0, and a share above 0.5")
    task = score.task
    if task.bars < FEWEST_BARS:
        return nothing(score)
    high, late = score.scan(_follow_summit, (np.int16(-1), np.int16(-1)))
    judged = score.written & (score.cell == int(until * task.cells) - 1) & (high >= 0)
    return np.where(judged, np.clip((high - late) / full, 0, 1), 0).astype(np.float32)


def _follow_depth(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the lowest note so far, and the mean height of the notes above each."""
    low, notes, total = state
    pitch, onset = here.pitch, here.onset
    low = np.where(onset, np.minimum(low, pitch), low)
    notes, total = notes + onset, total + np.where(onset, pitch, np.int16(0))
    return (low, notes, total), (low, total / np.maximum(notes, 1) - pitch)


@rule(
    source="Huron (1996), The melodic arch in Western folksongs; von Hippel (2000), Redefining "
    "pitch proximity: tessitura and mobility",
    says="the line sinks to its lowest note, {note}, to close far below its register",
    verdict=True,
)
def earned_register(score: Score, *, free: float = 5.0) -> Array:
    """The last note, if it is the lowest, does not lie far below the mean of the line.

    The violation, at the last cell, is 0 up to `free` semitones below the mean of all notes and
    grows linearly to 1 at an octave.

    free: semitones, 0 to less than 12.

    >>> from rewards.remarks import explain
    >>> explain(earned_register, "G4 B4 D5 B4 C5 A4 F#4 G4", key="G major")
    >>> explain(earned_register, "G4 B4 D5 B4 C5 A4 F#4 G3", key="G major")
    bar 2, beat 4.75: the line sinks to its lowest note, G3, to close far below its register
    """
    if not 0 <= free < OCTAVE:
        raise ValueError(f"free={free}: expected semitones, 0 to less than {OCTAVE}")
    low, depth = score.scan(_follow_depth, (np.int16(128), np.int32(0), np.int32(0)))
    value = np.clip((depth - free) / (OCTAVE - free), 0, 1)
    lowest = (score.pitch == low) & (score.pitch >= 0)
    return np.where(at_end(score) & lowest, value, 0).astype(np.float32)


# -- without a plan --------------------------------------------------------------------------------


def _follow_circles(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the compass and the number of notes of each bar and the bar before; at its last cell."""
    low, high, notes, *before = state
    if int(here.cell_in_bar.item()) == 0:
        before = [low, high, notes]
        low, high = np.full(low.shape, 128, np.int16), np.full(low.shape, -1, np.int16)
        notes = np.zeros(low.shape, np.int16)
    onset, pitch = here.onset, here.pitch
    low = np.where(onset, np.minimum(low, pitch), low)
    high = np.where(onset, np.maximum(high, pitch), high)
    notes = notes + onset.astype(np.int16)
    compass = np.maximum(high, before[1]) - np.minimum(low, before[0])
    return (low, high, notes, *before), (compass, notes + before[2])


@rule(
    source=f"{KOSTKA_PAYNE}: a simple contour with a direction",
    says="two bars in a row circle within {widest} semitones",
)
def circling(score: Score, *, widest: int = 7, fewest: int = 10) -> Array:
    """Two lively bars in a row span more than a fifth; the violation is at the end of the second.

    widest: semitones of the largest compass that counts as circling.
    fewest: notes in the two bars, below which they are calm and have no violation.

    >>> from rewards.remarks import explain
    >>> explain(circling, "C4 E4:2 D4:2 E4:2 F4:2 D4 C4 E4:2 F4:2 G4:2 F4:2 A4")
    >>> explain(circling, "C4 E4:2 D4:2 E4:2 F4:2 D4 C4 E4:2 F4:2 G4:2 F4:2 D4")
    bar 2, beat 4.75: two bars in a row circle within 7 semitones
    """
    none, below = np.int16(0), np.int16(-1)
    top = np.int16(128)
    init = (top, below, none, top, below, none)
    compass, notes = score.scan(_follow_circles, init)
    judged = ends_bar(score) & (score.bar >= 1)
    return (judged & (notes >= max(fewest, 1)) & (compass <= widest)).astype(np.float32)


def _follow_turns(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the cells from the last weak turn of the line to the one at each note; 0 for no turn.

    A turn is at the note before the one that shows it: steps to it and from it, in opposite
    directions, between notes that follow each other evenly, at most half a beat apart, the middle
    one off the beat.
    """
    gap, move, weak, last = state
    task, onset = here.task, here.onset
    now = here.cell.astype(np.int16) - here.previous_onset
    steps = (np.abs(move) <= STEP) & (np.abs(here.interval) <= STEP)
    even = (now == gap) & (2 * now <= task.beat_cells)
    turn = onset & steps & even & weak & (np.sign(move) * np.sign(here.interval) < 0)
    cell = here.cell.astype(np.int16)
    since = np.where(turn & (last >= 0), cell - last, np.int16(0))
    last = np.where(turn, cell, last)
    gap = np.where(onset, now, gap)
    move = np.where(onset, here.interval, move)
    off_beat = int(here.cell_in_bar.item()) % task.beat_cells != 0
    weak = np.where(onset, off_beat, weak)
    return (gap, move, weak, last), (since,)


@rule(
    source="Narmour (1990), The Analysis and Cognition of Basic Melodic Structures: a small step "
    "implies another one in its direction",
    says="{before}-{previous}-{note}: the running line turns back again off the beat",
)
def aimless_turns(score: Score) -> Array:
    """A stepwise run of short notes does not turn back off the beat twice within a bar.

    Three notes that follow each other evenly, half a beat apart or less, go one step and back; the
    middle one is off the beat. The violation is at the third, if a bar or less has passed since
    the last such turn.

    >>> from rewards.remarks import explain
    >>> explain(aimless_turns, "C4:2 D4:2 E4:2 F4:2 G4:2 F4:2 E4:2 D4:2")
    >>> explain(aimless_turns, "C4:2 D4:2 C4:2 D4:2 E4:2 F4:2 E4:2 D4:2")
    bar 1, beat 4: E4-F4-E4: the running line turns back again off the beat
    """
    none = np.int16(0)
    (since,) = score.scan(_follow_turns, (none, none, np.False_, np.int16(-1)))
    return ((since > 0) & (since <= score.task.bar_cells)).astype(np.float32)
