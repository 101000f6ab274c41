"""Tasks: what they refuse, and the facts they hold."""

from dataclasses import replace

import numpy as np
import pytest

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import CONTEXT, Task


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bars": 0}, "bars=0"),
        ({"bars": 65}, "bars=65"),
        ({"voices": 9}, "voices=9"),
        ({"low": "C5", "high": "C4"}, "highest"),
        ({"bars": 64, "grid": 24}, "4096"),
        ({"grid": 25}, "grid=25"),
        ({"given": ((1,) + (-1,) * 31,)}, "hold"),
        ({"given": ((1, 2), (3,))}, "row"),
        ({"given": ((1, 2),)}, "shape"),
        ({"low": "C4", "given": ((2,) + (-1,) * 31,)}, "token 2"),
    ],
)
def test_impossible_tasks(arguments, message):
    with pytest.raises(ValueError, match=message):
        Task(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": 5}, "C major"),
        ({"meter": 4}, "4/4"),
        ({"grid": 4.0}, "grid"),
        ({"bars": "2"}, "bars"),
    ],
)
def test_tasks_of_wrong_types(arguments, message):
    with pytest.raises(TypeError, match=message):
        Task(**arguments)


def test_given_cells_may_be_an_array():
    page = np.full((1, 32), -1)
    page[0, 4] = 14
    assert Task(given=page) == Task(given=tuple(map(tuple, page.tolist())))


def test_the_tonic_lies_in_range():
    assert Task(low="C5").tonic_pitch == 72
    assert Task(high="B3").tonic_pitch == 48
    assert Task(key="A minor").tonic_pitch == 69


def test_degree_is_nothing_before_the_first_note():
    task = Task(key="G major", meter="1/4", bars=1)
    assert Score([[[0, 14, 1, 21]]], task).degree.tolist() == [[[-1, 5, 5, 0]]]


def test_task_facts():
    task = Task(meter="6/8", bars=4, key="D dorian", low="C4", high="G5")
    assert (task.cells, task.bar_cells, task.beat_cells) == (48, 12, 6)
    assert task.codec == Codec()  # a range inside the vocabulary keeps it
    assert Task(low="C2").codec.fingerprint == "grid16/C2-B5"
    assert task.tonic_pitch == 62
    context = dict(zip(CONTEXT, task.context(14).tolist(), strict=True))
    assert context["cell"] == 14
    assert context["cell_in_bar"] == 2
    assert context["bar_cells"] == 12


def test_each_voice_keeps_to_its_own_range():
    task = Task(bars=1, voices=4, ranges="SATB")
    assert task.ranges == "C4-A5 G3-D5 C3-A4 E2-D4"
    assert (task.low, task.high) == (40, 81)
    assert task.spans == ((60, 81), (55, 74), (48, 69), (40, 62))
    assert task == Task(bars=1, voices=4, ranges=task.ranges)
    assert replace(task, bars=2).spans == task.spans
    page = Score.page(task, 1)
    for low, high in task.spans:
        tokens = np.flatnonzero(page.allowed()[0])
        assert tokens.tolist() == [0, *range(task.codec.token(low), task.codec.token(high) + 1)]
        page = page.write([task.codec.token(low)])


def test_a_given_note_is_of_its_voice_s_range():
    task = Task(bars=1, voices=2, ranges="SB")
    c5 = task.codec.token(72)
    free = [-1] * (task.cells - 1)
    assert replace(task, given=[[c5, *free], [-1, *free]]).given
    with pytest.raises(ValueError, match="voice 2"):
        replace(task, given=[[-1, *free], [c5, *free]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ranges": "SATB"}, "voices=1"),
        ({"ranges": "SATB", "voices": 2}, "4 ranges"),
        ({"ranges": "C4-A5 E2", "voices": 2}, "E2"),
        ({"ranges": "A5-C4 E2-D4", "voices": 2}, "begins above"),
        ({"ranges": "SB", "voices": 2, "low": 60}, "contradict"),
        ({"ranges": "X", "voices": 1}, "X"),
    ],
)
def test_impossible_ranges(arguments, message):
    with pytest.raises(ValueError, match=message):
        Task(**arguments)


def test_a_range_for_each_voice_takes_the_place_of_one_for_all():
    choir = Task(low="C4", high="A5").changed(ranges="SATB")
    assert (choir.voices, choir.low, choir.high) == (4, 40, 81)
    duet = choir.changed(voices=2)
    assert (duet.ranges, duet.low, duet.high) == ("", 40, 81)
    assert choir.changed(bars=3).ranges == choir.ranges
    assert choir.changed(low="C3", high="C5").spans == ((48, 72),) * 4
    with pytest.raises(ValueError, match="contradict"):
        Task().changed(ranges="SB", low="C4")
