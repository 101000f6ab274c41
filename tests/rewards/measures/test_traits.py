"""Traits of a line against plain Python, note by note."""

from itertools import pairwise

import numpy as np
import pytest

from agents.preferring.features import TRAITS
from envs.music.piece import notes_of
from envs.music.task import Task
from rewards.build import build
from rewards.measures import traits
from rewards.rule import REGISTRY
from tests.helpers import random_pieces, step_through

TASKS = [Task(bars=2), Task(bars=3, meter="6/8"), Task(bars=1, pickup=4)]


def slowly(name, notes, task):
    pitches = [note.pitch for note in notes]
    moves = [b - a for a, b in pairwise(pitches)]
    beats = task.cells / task.beat_cells
    if name == "note_rate":
        return len(notes) / beats
    if name == "silent_share":
        return 1 - sum(note.duration for note in notes) / task.cells
    if name == "leap_rate":
        return sum(abs(move) >= 5 for move in moves) / beats
    if name == "repeat_rate":
        return sum(move == 0 for move in moves) / beats
    if not notes:
        return 0.0
    if name == "overall_rise":
        return (pitches[-1] - pitches[0]) / 12
    if name == "compass_width":
        return (max(pitches) - min(pitches)) / 12
    if name == "climax_place":
        return notes[pitches.index(max(pitches))].start / task.cells
    return (max(pitches) - np.mean(pitches)) / 12


OWN = [name for name, rule in REGISTRY.items() if rule.__module__ == traits.__name__]


def test_all_of_them_are_features():
    assert len(OWN) == 8
    assert set(TRAITS) == {*OWN, "bar_echo"}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("task", TASKS, ids=str)
def test_they_sum_to_what_plain_python_finds(name, task):
    score = random_pieces(task, 40, seed=7)
    found = REGISTRY[name](score).sum(axis=(1, 2))
    expected = [slowly(name, notes_of(score, row), task) for row in range(40)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.std(found) > 0 or (name, task) == ("silent_share", TASKS[2])


def test_steps_give_what_whole_pieces_give():
    reward, score = build(dict.fromkeys(OWN, 1.0)), random_pieces(Task(bars=1), 12, seed=1)
    whole, steps = reward.breakdown(score), step_through(reward, score)
    for name in OWN:
        np.testing.assert_allclose(steps[name], whole[name], atol=1e-6)


def test_surprise_is_the_mean_of_minus_log_p(tiny_prior):
    score = random_pieces(Task(bars=1), 6, seed=2)
    reward = build({"surprise": {"weight": 2.0, "checkpoint": tiny_prior}})
    nats = np.maximum(tiny_prior.log_prob(score), -20.0)
    paid = reward(score).sum(axis=(1, 2))
    np.testing.assert_allclose(paid, -2 * nats.mean(axis=(1, 2)), rtol=1e-5)
