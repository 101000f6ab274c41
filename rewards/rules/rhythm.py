"""Rules of rhythm: the places of notes in the metre, their lengths and their density.

A silent line breaks `rest_share`, `rhythmic_variety` and `note_density`, and no other rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.music.meter import OFF_BEAT
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.rule import rule
from rewards.rules.contour import at_end, outside

WORD = 64  # bits of a word
# A rhythm is coded as a sum of powers of 3. Codes are unique in bars of up to 40 cells; in longer
# bars two rhythms have the same code about once in 2^64.
BASE = 3


def beyond(value: Array, most: float) -> Array:
    """Return the violation of `most` by shares of 0..1: 0 up to it, linearly to 1 at a share of 1.

    Raises:
        ValueError: `most` outside 0..1, or 1.
    """
    if not 0 <= most < 1:
        raise ValueError(f"most={most}: expected a share of at least 0 and less than 1")
    return np.clip((value - most) / (1 - most), 0, 1)


def levels_at(task: Task, cells: Array) -> Array:
    """Return the metrical levels of time indices, see `Score.level`."""
    return np.array(task.meter.levels(task.grid))[(cells - task.pickup) % task.bar_cells]


def ends_bar(score: Score) -> Array:
    """True at the last cell of each bar and of the piece, once it is written; not in a pickup."""
    last = (score.cell_in_bar == score.task.bar_cells - 1) | score.is_last
    return last & (score.bar >= 0) & score.written


def nothing(score: Score) -> Array:
    """Return no violation at any cell of a score."""
    return np.zeros(score.tokens.shape, np.float32)


def _follow_sound(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the outputs of `sounding`."""
    before, heard = state
    cell = here.cell.astype(np.int16)
    now = np.where(here.onset, cell, np.where(here.rest, np.int16(-1), before))
    heard = np.where(now >= 0, cell, heard)
    return (now, heard), (now, before, heard)


def sounding(score: Score) -> tuple[Array, ...]:
    """Return three int16 time indices for each cell, -1 for none; 0 where nothing is written.

    They are the onset of the note that sounds in the cell, the onset of the note that sounded in
    the cell before, and the last cell with sound so far.
    """
    return score.scan(_follow_sound, (np.int16(-1), np.int16(-1)))


# -- the metre -------------------------------------------------------------------------------------


@rule(
    source="Lerdahl and Jackendoff, A Generative Theory of Tonal Music (1983), metrical "
    "preference rule 3: strong beats coincide with the beginnings of notes",
    says="no note begins on the first beat of this bar",
)
def downbeat(score: Score, *, late_entry: bool = True) -> Array:
    """A note begins on the first beat of each bar; the violation is at that beat.

    A pickup has no first beat.

    late_entry: True if bars before the first note have no violation, as when a pickup is written
        as a bar that begins with rests.

    >>> from rewards.remarks import explain
    >>> explain(downbeat, "r:12 G4 C5:8 B4:4 A4:4 G4:16")
    >>> explain(downbeat, "C4 E4 G4:12 F4 E4 D4 C4:16")
    bar 2, beat 1: no note begins on the first beat of this bar
    """
    missing = (score.cell_in_bar == 0) & ~score.onset & score.written
    if late_entry:
        missing = missing & (score.previous_onset >= 0)
    return missing.astype(np.float32)


@rule(
    source="Fux, Gradus ad Parnassum (1725): ties over the bar line wait for the fourth species",
    says="{note} is tied over the bar line",
)
def ties_over_bar(score: Score, *, from_level: int = 0) -> Array:
    """No note is tied over a bar line; the violation is at the first cell after the line.

    from_level: metrical level of the note's onset from which its tie counts: 0 for all notes, 1
        for those that do not begin on a bar line.

    >>> from rewards.remarks import explain
    >>> explain(ties_over_bar, "C4 E4 G4 E4 D4:16")
    >>> explain(ties_over_bar, "C4 E4 G4:12 D4:12")
    bar 2, beat 1: G4 is tied over the bar line
    """
    now, before, _ = sounding(score)
    levels = levels_at(score.task, before)
    tied = (score.cell_in_bar == 0) & (before >= 0) & (now == before) & score.written
    return (tied & (levels >= from_level)).astype(np.float32)


def _follow_crossings(state: tuple[Array, ...], here: Score, weakest: int, rests: bool) -> Any:
    """Scan by how many levels a note's onset is weaker than the strongest place it is held over.

    The outputs are this number at each cell and at the cell before; 0 at onsets and in silence.
    """
    begun, strongest = state
    none, level = np.int16(-1), np.minimum(here.level, np.int16(weakest))
    reaches = (begun >= 0) & ~here.onset & (rests | ~here.rest)
    before = np.where(reaches, begun - strongest, np.int16(0))
    strongest = np.where(here.onset, level, np.where(reaches, np.minimum(strongest, level), none))
    begun = np.where(here.onset, level, np.where(reaches, begun, none))
    return (begun, strongest), (begun - strongest, before)


@rule(
    source="Longuet-Higgins and Lee (1984), The rhythmic interpretation of monophonic music",
    says="{note} begins at a weaker place than this and is held over it",
)
def syncopation(score: Score, *, full: int = 3, rests: bool = False) -> Array:
    """No note that begins at a weak place is held over a stronger one.

    The violations are at the stronger places. Those of a note sum to 1 / `full` for each metrical
    level between its onset and the strongest of them, at most 1. Levels are the bar line, half
    bars (or the beats of a triple bar), beats, half beats and so on.

    full: levels of a whole violation; 3 is from a half beat to the bar line of 4/4.
    rests: True if a rest at the stronger place counts like a hold, as in Longuet-Higgins and Lee.

    >>> from rewards.remarks import explain
    >>> explain(syncopation, "C4:8 E4:4 G4:4 F4:12 E4:4")
    >>> explain(syncopation, "C4:4 E4:8 G4:4")
    bar 1, beat 3: E4 begins at a weaker place than this and is held over it
    >>> from envs.notation.text_line import score_from_text
    >>> float(syncopation(score_from_text("C4:14 E4:10 C4:8"))[0, 0, 16])
    1.0
    """
    if full < 1:
        raise ValueError(f"full={full}: expected 1 or more levels")
    levels = score.task.meter.levels(score.task.grid)
    weakest = 1 + max(level for level in levels if level < OFF_BEAT)
    now, before = score.scan(
        _follow_crossings, (np.int16(-1), np.int16(-1)), weakest=weakest, rests=bool(rests)
    )
    most = np.int16(full)
    return ((np.minimum(now, most) - np.minimum(before, most)) / full).astype(np.float32)


# -- lengths and patterns --------------------------------------------------------------------------


def _mark_lengths(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the number of different note lengths, 0 before the last cell.

    The state has a bit for each length, in words of 64.
    """
    now, before, _ = sounding(here)
    after = here.cell + 1
    lengths = [np.where((before >= 0) & (here.onset | here.rest), here.cell - before, 0)]
    last = bool(here.is_last.all())
    if last:
        lengths.append(np.where(now >= 0, after - now, 0))
    words = list(state)
    for length in lengths:
        bit = (length > 0).astype(np.uint64) << (length % WORD).astype(np.uint64)
        for number in range(int(after.item()) // WORD + 1):
            words[number] = words[number] | bit * (length // WORD == number)
    none = np.zeros(here.onset.shape, np.int16)
    count = sum((np.bitwise_count(word) for word in words), none) if last else none
    return tuple(words), (count,)


@rule(
    source="four in five two-bar windows of the prior's folk tunes have 2 to 5 note lengths",
    says="the line has fewer than {least} or more than {most} different note lengths",
    verdict=True,
)
def rhythmic_variety(score: Score, *, least: int = 2, most: int = 5) -> Array:
    """Notes have several lengths, and not too many.

    The violation, at the last cell, is the share of `least` that is missing, 1 for silence; or the
    number of lengths beyond `most`, divided by `most`, at most 1.

    least, most: number of different lengths, from a note's onset to its end.

    >>> from rewards.remarks import explain
    >>> explain(rhythmic_variety, "C4 D4:2 E4:2 F4:8")
    >>> explain(rhythmic_variety, "C4 D4 E4 F4")
    bar 1, beat 4.75: the line has fewer than 2 or more than 5 different note lengths
    """
    if least < 1:
        raise ValueError(f"least={least}: expected 1 or more lengths")
    words = score.task.cells // WORD + 1
    (count,) = score.scan(_mark_lengths, (np.uint64(0),) * words)
    value = outside(count, least, most, top=2 * most)
    return np.where(at_end(score), value, 0).astype(np.float32)


def _collect_bars(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the share of bars with a unique rhythm, and the number of bars; 0 before the last cell.

    A pickup and the last bar count as one bar; bars without an onset are ignored.
    """
    rhythm, *bars = state
    task, cell = here.task, int(here.cell.item())
    weight = np.uint64(pow(BASE, task.place_in_bar(cell), 2**64))
    rhythm = rhythm + here.onset * weight
    last = cell == task.cells - 1
    if not last and cell + 1 in task.bar_lines:
        bars, rhythm = [*bars, rhythm], np.zeros_like(rhythm)
    if not last:
        nothing = np.zeros(rhythm.shape, np.int16)
        return (rhythm, *bars), (nothing.astype(np.float32), nothing)
    if task.pickup and bars:
        rhythm, bars = rhythm + bars[0], bars[1:]
    every = np.concatenate([*bars, rhythm], axis=2)
    same = (every[..., :, None] == every[..., None, :]).sum(axis=3)
    counted = (every != 0).sum(axis=2, keepdims=True)
    alone = ((every != 0) & (same == 1)).sum(axis=2, keepdims=True)
    share = (alone / np.maximum(counted, 1)).astype(np.float32)
    return (rhythm, *bars), (share, counted.astype(np.int16))


@rule(
    source="Schoenberg, Fundamentals of Musical Composition (1967), ch. III: the motive",
    says="too many bars have a rhythm that no other bar has",
    verdict=True,
)
def rhythmic_coherence(score: Score, *, most: float = 0.5, fewest: int = 4) -> Array:
    """Rhythms return: few bars have a rhythm that no other bar has.

    The violation, at the last cell, is 0 while the share of these bars is `most` or less, and
    grows linearly to 1 if all bars are different. The rhythm of a bar is the set of its onsets;
    bars without an onset are ignored, and a pickup completes the last bar.

    most: share of the bars that may have a unique rhythm.
    fewest: a piece with fewer bars with onsets has no violation.

    >>> from rewards.remarks import explain
    >>> explain(rhythmic_coherence, "C4:8 D4 E4 F4 G4 F4:8 D4 C4:12", meter="3/4")
    >>> explain(rhythmic_coherence, "C4:8 D4 E4 F4 G4 F4 D4:8 C4:12", meter="3/4")
    bar 4, beat 3.75: too many bars have a rhythm that no other bar has
    """
    share, bars = score.scan(_collect_bars, (np.uint64(0),))
    judged = score.is_last & (bars >= max(2, fewest))
    return np.where(judged, beyond(share, most), 0).astype(np.float32)


# -- density ---------------------------------------------------------------------------------------


def _count_in_bar(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the number of notes that began since the bar line."""
    count = np.where(here.cell_in_bar == 0, np.int16(0), state[0]) + here.onset.astype(np.int16)
    return (count,), (count,)


@rule(
    source="97 in 100 bars of the prior's folk tunes have a note in four beats to four in one",
    says="this bar has fewer than {least:g} or more than {most:g} notes per beat",
)
def note_density(score: Score, *, least: float = 0.25, most: float = 4.0) -> Array:
    """Bars are neither empty nor crowded; the violation is at the last cell of each.

    It is 0 if `least`..`most` notes per beat begin in the bar, and grows linearly to 1 for no
    notes and for twice `most`. A pickup has no violation; the last bar, which it shortens, has
    fewer beats.

    least, most: notes per beat; the beats of 6/8, 9/8 and 12/8 are dotted.

    >>> from rewards.remarks import explain
    >>> explain(note_density, "C4:2 D4:2 E4 F4:8 G4:16")
    >>> explain(note_density, "C4:2 D4:2 E4 F4:8 r:16 G4:16")
    bar 2, beat 4.75: this bar has fewer than 0.25 or more than 4 notes per beat
    """
    if not most > 0:
        raise ValueError(f"least={least}, most={most}: expected most above 0")
    (count,) = score.scan(_count_in_bar, (np.int16(0),))
    density = count * score.task.beat_cells / (score.cell_in_bar + 1)
    value = outside(density, least, most, top=2 * most)
    return np.where(ends_bar(score), value, 0).astype(np.float32)


def _count_silence(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the number of silent cells."""
    count = state[0] + (sounding(here)[0] < 0).astype(np.int16)
    return (count,), (count,)


@rule(
    source="999 in 1000 two-bar windows of the prior's folk tunes rest for a quarter or less",
    says="more than {most:.0%} of the line is silence",
    verdict=True,
)
def rest_share(score: Score, *, most: float = 0.25) -> Array:
    """The line has little silence in all.

    The violation, at the last cell, is 0 while the share of silent cells is `most` or less, and
    grows linearly to 1 for a silent line.

    most: share of the cells, from 0 to less than 1.

    >>> from rewards.remarks import explain
    >>> explain(rest_share, "C4 D4 E4 r")
    >>> explain(rest_share, "C4 r E4 r")
    bar 1, beat 4.75: more than 25% of the line is silence
    """
    (silent,) = score.scan(_count_silence, (np.int16(0),))
    value = beyond(silent / score.task.cells, most)
    return np.where(at_end(score), value, 0).astype(np.float32)
