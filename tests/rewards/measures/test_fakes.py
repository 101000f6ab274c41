"""Fakes: legal pieces without music, and shuffled tunes with the histograms of real ones."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from envs.music.codec import FIRST_PITCH
from envs.music.score import Score
from envs.music.task import Task
from rewards.adaptive.windows import real_parts
from rewards.measures import fakes as module
from rewards.measures.fakes import fakes, shuffled
from rewards.measures.likeness import histograms

TASK = Task(bars=8)
NAMES = ["silence", "one note", "trill", "scale", "shuffled tunes", "copied tunes"]


def replayed(score):
    """The pieces written cell by cell, which refuses what the grammar does not allow."""
    page = Score.page(score.task, score.batch)
    for cell in score.tokens[:, 0].T:
        assert page.allowed()[np.arange(score.batch), cell].all()
        page = page.write(cell)
    return page


def test_every_fake_is_a_legal_piece_and_repeats_by_its_seed():
    made, again = fakes(TASK, 5, 1), fakes(TASK, 5, 1)
    assert list(made) == NAMES
    for name, score in made.items():
        assert replayed(score).finished
        assert np.array_equal(score.tokens, again[name].tokens)
    assert not np.array_equal(made["scale"].tokens, fakes(TASK, 5, 2)["scale"].tokens)


def test_simple_fakes_are_what_they_are_called():
    made = fakes(Task(key="D minor", bars=2), 8)
    assert not made["silence"].onset.any()
    for name, steps in (("one note", {0}), ("trill", {1, 2}), ("scale", {1, 2})):
        score = made[name]
        moved = score.onset & (score.previous_onset >= 0)
        assert set(np.abs(score.interval[moved]).tolist()) <= steps, name
        assert np.isin(score.pitch[score.onset] % 12, sorted(score.task.key.pitch_classes)).all()
    lines = [line[line >= FIRST_PITCH] for line in made["trill"].tokens[:, 0]]
    assert all(len(set(line.tolist())) == 2 for line in lines)


def test_shuffled_tunes_have_the_histograms_of_the_tunes_and_another_order():
    made = fakes(TASK, 64)
    real, spurious = (histograms(made[name]) for name in ("copied tunes", "shuffled tunes"))
    for name, values in real.items():
        assert np.allclose(values, spurious[name]), name
    same = (made["copied tunes"].tokens == made["shuffled tunes"].tokens).all(axis=(1, 2))
    assert same.mean() < 0.1


def steps_of(line):
    notes = line[line >= FIRST_PITCH].tolist()
    return Counter(pairwise(notes))


def test_a_shuffled_line_takes_every_step_as_often_as_the_line():
    rng = np.random.default_rng(0)
    for line in real_parts(TASK, "", ("train",)).tokens[:40, 0]:
        new = shuffled(line, rng)
        assert steps_of(new) == steps_of(line)
        notes, others = (each[each >= FIRST_PITCH] for each in (line, new))
        assert notes[[0, -1]].tolist() == others[[0, -1]].tolist()


def test_every_order_of_a_line_is_drawn_equally_often():
    # a b a c a d: after the last note's rule the trails are the orders of b and c, each twice
    line = np.array([14, 16, 14, 18, 14, 16, 14, 18, 14, 20], np.int16)
    rng = np.random.default_rng(1)
    drawn = Counter(tuple(shuffled(line, rng).tolist()) for _ in range(6000))
    assert len(drawn) == 6  # of two b and two c
    assert all(abs(count / 6000 - 1 / 6) < 0.02 for count in drawn.values())


def test_copied_tunes_are_training_tunes_each_once():
    known = {row.tobytes() for row in real_parts(TASK, "", ("train",)).tokens[:, 0]}
    rows = [row.tobytes() for row in fakes(TASK, 50)["copied tunes"].tokens[:, 0]]
    assert set(rows) <= known
    assert len(set(rows)) == 50


def test_a_rare_task_has_simple_fakes_only(monkeypatch):
    def none(*_):
        raise ValueError("too few")

    monkeypatch.setattr(module, "real_parts", none)
    assert list(fakes(TASK, 2)) == NAMES[:4]


@pytest.mark.parametrize(
    ("task", "n"), [(Task(voices=2), 1), (Task(given=((14, *[-1] * 31),)), 1), (Task(), 0)]
)
def test_tasks_without_fakes(task, n):
    with pytest.raises(ValueError, match="expected at least one, of one voice"):
        fakes(task, n)
