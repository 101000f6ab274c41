"""Tasks: what they refuse, and the facts they hold."""

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
