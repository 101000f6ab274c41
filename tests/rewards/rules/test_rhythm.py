"""Rules of rhythm: textbook examples, and brute force over the notes of random pieces."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from rewards import build
from rewards.remarks import remarks
from rewards.rules.rhythm import (
    beyond,
    downbeat,
    note_density,
    rest_share,
    rhythmic_coherence,
    rhythmic_variety,
    syncopation,
    ties_over_bar,
)
from tests.rewards.rules.examples import AB, CD, EF, EXAMPLES
from tests.rewards.rules.lines import check, check_steps, check_unfinished, marks, noise, piece

RULES = (
    "downbeat",
    "ties_over_bar",
    "syncopation",
    "rhythmic_variety",
    "rhythmic_coherence",
    "note_density",
    "rest_share",
)
TASKS = {
    "4/4": Task(bars=4),
    "3/4, pickup": Task(meter="3/4", bars=5, pickup=4),
    "6/8, two voices": Task(meter="6/8", bars=3, voices=2),
    "7/8, pickup": Task(meter="7/8", bars=4, pickup=3),
    "triplets": Task(meter="2/4", bars=4, grid=6, pickup=5),
    "one cell": Task(meter="1/4", bars=1, grid=1),
    "long": Task(meter="4/4", bars=3, grid=24),
}


def bar_of(cell, task):
    return (cell - task.pickup) // task.bar_cells


# -- the metre -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "asked", "cells"),
    EXAMPLES["downbeat"],
)
def test_downbeat_marks_bars_whose_first_beat_begins_no_note(line, asked, cells):
    assert list(marks(downbeat(piece(line, **asked)))) == cells


def test_a_late_entry_may_be_counted_too():
    assert list(marks(downbeat(piece("r:16 C4:16"), late_entry=False))) == [0]
    assert list(marks(downbeat(piece("r:32"), late_entry=False))) == [0, 16]
    assert list(marks(downbeat(piece("r:4 C4:28", pickup=4), late_entry=False))) == [20]
    begun = Score(piece("r:32").tokens, Task(), written=10)
    assert list(marks(downbeat(begun, late_entry=False))) == [0]


@pytest.mark.parametrize(
    ("line", "asked", "cells"),
    EXAMPLES["ties_over_bar"],
)
def test_ties_over_bar_marks_the_cell_behind_the_bar_line(line, asked, cells):
    assert list(marks(ties_over_bar(piece(line, **asked)))) == cells


def test_ties_of_notes_that_began_on_a_bar_line_may_be_let_off():
    assert not ties_over_bar(piece("C4:32"), from_level=1).any()
    assert list(marks(ties_over_bar(piece("C4:8 D4:24"), from_level=1))) == [16]
    assert not ties_over_bar(piece("C4:8 D4:24"), from_level=2).any()
    assert list(marks(ties_over_bar(piece("C4:4 D4:28"), from_level=2))) == [16]
    late = piece("G4:4 C5:28", pickup=4)
    assert not ties_over_bar(late, from_level=1).any()


@pytest.mark.parametrize(
    ("line", "asked", "expected"),
    EXAMPLES["syncopation"],
)
def test_syncopation_marks_stronger_places_that_a_note_is_held_over(line, asked, expected):
    assert marks(syncopation(piece(line, **asked))) == expected


def test_a_rest_at_the_stronger_place_counts_on_demand():
    line = "C4:12 D4:4 r:8 E4:8"  # beat 4, then silence on the bar line
    assert not syncopation(piece(line)).any()
    assert marks(syncopation(piece(line), rests=True)) == {16: 2 / 3}
    short = piece("C4:10 D4:1 r:21")  # over beat 4 and the bar line, once each
    assert marks(syncopation(short, rests=True)) == {12: 1 / 3, 16: 2 / 3}
    assert not syncopation(piece("r:32"), rests=True).any()


def test_the_levels_of_a_whole_violation_are_a_parameter():
    line = piece("C4:15 D4:9 E4:8")
    assert marks(syncopation(line, full=8)) == {16: 0.5}
    assert marks(syncopation(piece("C4:10 D4:14 E4:8"), full=1)) == {12: 1.0}
    with pytest.raises(ValueError, match="full=0"):
        syncopation(line, full=0)


def slow_downbeat(notes, task, late_entry=True):
    starts = {note.start for note in notes}
    first = min(starts, default=task.cells) if late_entry else -1
    lines = range(task.pickup, task.cells, task.bar_cells)
    return {cell: 1.0 for cell in lines if cell > first and cell not in starts}


def slow_ties(notes, task, from_level=0):
    out = {}
    for note in notes:
        for cell in range(note.start + 1, note.start + note.duration):
            if (cell - task.pickup) % task.bar_cells == 0:
                level = task.meter.levels(task.grid)[(note.start - task.pickup) % task.bar_cells]
                out |= {cell: 1.0} if level >= from_level else {}
    return out


def slow_syncopation(notes, task, full=3, rests=False):
    levels = task.meter.levels(task.grid)
    deepest = max(level for level in levels if level < 99)
    out = {}
    for number, note in enumerate(notes):
        end = note.start + note.duration
        if rests:
            end = notes[number + 1].start if number + 1 < len(notes) else task.cells
        place = [
            min(levels[(cell - task.pickup) % task.bar_cells], deepest + 1)
            for cell in range(note.start, end)
        ]
        paid = 0.0
        for after in range(1, len(place)):
            due = min(1.0, max(0, place[0] - min(place[: after + 1])) / full)
            if due > paid:
                out[note.start + after] = due - paid
            paid = max(paid, due)
    return out


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_rules_of_metre_agree_with_brute_force(task):
    score, held = noise(task, 40), noise(task, 40, weights=(1, 20, 1, 1, 1))
    some = [check(downbeat, slow_downbeat, score, late_entry=late) for late in (True, False)]
    some += [check(ties_over_bar, slow_ties, held, from_level=level) for level in (0, 1, 2)]
    for full, rests in ((3, False), (1, True), (5, True)):
        some.append(check(syncopation, slow_syncopation, score, full=full, rests=rests))
    assert all(some) or task.cells == 1


# -- lengths and patterns --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "asked", "expected"),
    EXAMPLES["rhythmic_variety"],
)
def test_rhythmic_variety_counts_note_lengths_at_the_end(line, asked, expected):
    assert marks(rhythmic_variety(piece(line, bars=1), **asked)) == expected


@pytest.mark.parametrize(
    ("line", "asked", "expected"),
    EXAMPLES["rhythmic_coherence"],
)
def test_rhythmic_coherence_is_judged_by_bars_that_stand_alone(line, asked, expected):
    score = piece(line, **({"bars": 4} | asked))
    wanted = {score.task.cells - 1: pytest.approx(expected)} if expected else {}
    assert marks(rhythmic_coherence(score)) == wanted


def test_how_many_bars_may_stand_alone():
    two = piece(AB + CD)
    assert marks(rhythmic_coherence(two, fewest=2)) == {31: 1.0}
    assert not rhythmic_coherence(piece(AB, bars=1), fewest=1).any()
    four = piece(AB + AB + CD + EF, bars=4)
    assert marks(rhythmic_coherence(four, most=0)) == {63: 0.5}
    for most in (-0.1, 1.0):
        with pytest.raises(ValueError, match="share"):
            rhythmic_coherence(four, most=most)


def slow_variety(notes, task, least=2, most=5):
    count = len({note.duration for note in notes})
    return {task.cells - 1: min(1.0, max(0, (least - count) / least, (count - most) / most))}


def slow_coherence(notes, task, most=0.5, fewest=4):
    bars = {}
    for note in notes:
        bar = bar_of(note.start, task)
        bar = task.bars - 1 if bar < 0 else bar
        bars.setdefault(bar, set()).add((note.start - task.pickup) % task.bar_cells)
    if len(bars) < max(2, fewest):
        return {}
    count = Counter(frozenset(places) for places in bars.values())
    share = sum(n == 1 for n in count.values()) / len(bars)
    return {task.cells - 1: max(0.0, (share - most) / (1 - most))}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_rules_of_patterns_agree_with_brute_force(task):
    pieces = [noise(task, 40, weights=(1, holds, 1, 1, 1)) for holds in (4, 20, 80)]
    various = [check(rhythmic_variety, slow_variety, score) for score in pieces]
    various += [check(rhythmic_variety, slow_variety, s, least=3, most=4) for s in pieces]
    coherent = [
        check(rhythmic_coherence, slow_coherence, score, fewest=fewest, most=most)
        for score in pieces
        for fewest, most in ((2, 0.0), (4, 0.5))
    ]
    assert all(various)
    assert any(coherent) or task.cells == 1


# -- density ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "asked", "expected"),
    EXAMPLES["note_density"],
)
def test_note_density_marks_the_ends_of_bars(line, asked, expected):
    assert marks(note_density(piece(line, **asked))) == expected


def test_bounds_of_note_density_are_parameters():
    score = piece("C4 D4 E4 F4 G4:16")
    assert marks(note_density(score, least=0.5, most=0.8)) == {15: 0.25, 31: 0.5}
    assert not note_density(score, least=0, most=1).any()
    last = piece("G4:4 C4:16 D4 E4 F4", pickup=4)  # three beats are left of the last bar
    assert marks(note_density(last, most=0.5)) == {31: 1.0}
    assert not note_density(last, most=1).any()
    for wrong in ({"least": 2, "most": 1}, {"least": -1}, {"least": 0, "most": 0}):
        with pytest.raises(ValueError, match="least"):
            note_density(score, **wrong)


@pytest.mark.parametrize(
    ("line", "asked", "expected"),
    EXAMPLES["rest_share"],
)
def test_rest_share_is_judged_at_the_end(line, asked, expected):
    assert marks(rest_share(piece(line, bars=1), **asked)) == expected


def slow_density(notes, task, least=0.25, most=4.0):
    out = {}
    starts = [*range(task.pickup, task.cells, task.bar_cells), task.cells]
    for begin, end in pairwise(starts):
        count = sum(begin <= note.start < end for note in notes)
        density = count / ((end - begin) / task.beat_cells)
        low = (least - density) / least if density < least else 0
        out[end - 1] = min(1.0, max(low, (density - most) / most))
    return out


def slow_rests(notes, task, most=0.25):
    silent = task.cells - sum(note.duration for note in notes)
    return {task.cells - 1: max(0, silent / task.cells - most) / (1 - most)}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_rules_of_density_agree_with_brute_force(task):
    score, silent = noise(task, 40), noise(task, 40, weights=(3, 6, 1, 1, 1))
    assert check(note_density, slow_density, score)
    assert check(note_density, slow_density, score, least=1.0, most=1.5)
    assert check(rest_share, slow_rests, score)
    assert check(rest_share, slow_rests, silent, most=0.6)


# -- all of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_steps_pay_what_the_whole_pays(task):
    check_steps(RULES, noise(task, 8, seed=3))


@pytest.mark.parametrize("name", RULES)
def test_nothing_is_said_of_cells_that_are_not_written(name):
    check_unfinished(name, noise(Task(bars=4, pickup=4), 20, seed=5), 37)
    check_unfinished(name, noise(Task(bars=2, voices=2), 20, seed=5), 17)


def test_messages_are_sentences_with_the_notes_and_bounds():
    score = piece("C4:14 D4:18")
    assert [str(remark) for remark in remarks(syncopation, score)] == [
        "bar 2, beat 1: D4 begins at a weaker place than this and is held over it"
    ]
    strict = build({"rest_share": {"weight": 1.0, "most": 0.1}}).terms["rest_share"].fn
    assert remarks(strict, piece("C4:16 r:16"))[0].text == "more than 10% of the line is silence"


def test_shares_beyond_a_bound_grow_evenly():
    value = beyond(np.array([0.0, 0.5, 0.75, 1.0]), 0.5)
    np.testing.assert_array_equal(value, [0, 0, 0.5, 1])
