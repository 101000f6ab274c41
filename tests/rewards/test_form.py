"""Rules of form against brute force."""

import numpy as np
import pytest

from envs.notation import score_from_text
from envs.score import Score
from envs.task import Task
from rewards import build
from rewards.form import bar_echo, whole_autocorrelation
from rewards.rl_tuner import autocorrelation
from tests.helpers import random_pieces


def slow_echo(tokens, bar, full, longest):
    run, values = 0, []
    for cell, token in enumerate(tokens):
        run = run + 1 if cell >= bar and token == tokens[cell - bar] else 0
        values.append(min(run, full) / full if run <= longest else 0.0)
    return values


@pytest.mark.parametrize("task", [{}, {"meter": "3/4", "bars": 4}, {"voices": 2, "meter": "2/4"}])
@pytest.mark.parametrize(("full", "longest"), [(8, 12), (1, 3)])
def test_bar_echo_counts_cells_that_repeat_those_of_a_bar_before(task, full, longest):
    task = Task(**task)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 2, (20, task.voices, task.cells))  # many repeats
    found = bar_echo(Score(tokens, task), full=full, longest=longest)
    for piece in range(20):
        for voice in range(task.voices):
            expected = slow_echo(tokens[piece, voice], task.bar_cells, full, longest)
            assert found[piece, voice] == pytest.approx(expected)


def test_an_answer_is_paid_and_a_copy_beyond_its_length_is_not():
    bar = "C4:2 D4:2 E4:2 G4:2 A4:4 G4:4"
    copy = bar_echo(score_from_text(f"{bar} {bar}"), longest=12).sum()
    answer = bar_echo(score_from_text(f"{bar} C4:2 D4:2 E4:2 G4:2 A4:4 F4:4"), longest=12)
    assert copy == answer[..., :28].sum() == pytest.approx(sum(range(1, 8)) / 8 + 5)
    assert answer[0, 0, 28:] == pytest.approx([0, 1 / 8, 2 / 8, 3 / 8])  # its holds


def test_whole_autocorrelation_is_the_reference_s_statistic():
    score = random_pieces(Task(), 30)
    paid = whole_autocorrelation(score)
    last = [np.abs(lag[:, 0, -1]) for lag in autocorrelation(score)]
    assert paid[:, 0, -1] == pytest.approx(sum(last), rel=1e-6)
    assert not paid[:, :, :-1].any()
    constant = Score(np.full((1, 1, 32), 5), Task())
    assert whole_autocorrelation(constant).sum() == 0  # undefined, so nothing to pay for


@pytest.mark.parametrize("name", ["bar_echo", "whole_autocorrelation"])
def test_steps_pay_what_the_whole_pays(name):
    reward, pieces = build(name), random_pieces(Task(bars=3), 12)
    score, steps = Task(bars=3).sample(None, 12), []
    for cell in range(48):
        score = score.write(pieces.tokens[:, 0, cell])
        steps.append(reward.newest(score)[name])
    assert np.stack(steps, axis=1) == pytest.approx(reward(pieces)[:, 0], abs=1e-5)
