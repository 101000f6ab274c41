"""Lines for the tests of rules, written by hand or random, and checks by an oracle."""

import numpy as np
import pytest

from envs.music.piece import score_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import parse_notes
from rewards import build
from rewards.rule import REGISTRY
from tests.helpers import step_through


def piece(line, **asked):
    """Return a score of one piece with one line; `asked` are the arguments of its task."""
    task = Task(**asked)
    return score_of(parse_notes(line, task.beat_cells), task)


def marks(value):
    """Return {cell: value} of the values that are not 0 in one piece with one voice."""
    return {int(t): pytest.approx(float(value[0, 0, t])) for t in np.flatnonzero(value[0, 0])}


def noise(task, n, seed=0, tokens=(0, 1, 14, 16, 18), weights=(1, 6, 1, 1, 1)):
    """Return pieces of random tokens, with holds before the first note; the first is silent."""
    share = np.array(weights) / sum(weights)
    drawn = np.random.default_rng(seed).choice(tokens, (n, task.voices, task.cells), p=share)
    drawn[0] = 0
    return Score(drawn, task)


def check(rule, oracle, score, **parameters):
    """Compare a rule with an oracle, which returns {cell: value} of a line; count its values."""
    found, given, task = rule(score, **parameters), 0, score.task
    assert found.dtype == np.float32
    assert found.shape == score.tokens.shape
    for b, v in np.ndindex(found.shape[:2]):
        notes = task.codec.decode(score.tokens[b, v])
        expected = oracle(notes, task, **parameters)
        given += len([value for value in expected.values() if value])
        line = [expected.get(cell, 0.0) for cell in range(task.cells)]
        assert found[b, v] == pytest.approx(line, abs=1e-6), notes
    return given


def check_steps(names, score):
    """Check that steps pay the values of the whole, and a single piece those of the batch."""
    reward = build(dict.fromkeys(names, 1.0))
    steps, alone = step_through(reward, score), reward.breakdown(score[2:3])
    for name, whole in reward.breakdown(score).items():
        np.testing.assert_array_equal(steps[name], whole, err_msg=name)
        np.testing.assert_array_equal(alone[name], whole[2:3], err_msg=name)


def check_unfinished(name, score, written):
    """Check that written cells have the values of the whole, and other cells none."""
    tokens = score.tokens.copy()
    tokens[..., written:] = -1
    begun = REGISTRY[name](Score(tokens, score.task, written * score.task.voices))
    np.testing.assert_array_equal(
        begun[..., :written], REGISTRY[name](score)[..., :written], err_msg=name
    )
    assert not begun[..., written:].any()
