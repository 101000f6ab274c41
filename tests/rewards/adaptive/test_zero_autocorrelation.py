"""The term whose multipliers bring mean autocorrelations to zero."""

import numpy as np
import pytest

from agents.training.reward_lessons import Lessons
from envs.music.score import Score
from envs.music.task import Task
from rewards.adaptive.zero_autocorrelation import FAR, ZeroAutocorrelation
from rewards.build import build
from rewards.learned import load, save
from tests.helpers import random_pieces

TASK = Task()
BEGUN = {"first": 2.0, "second": -1.0, "third": 0.5}


def lags(score):
    """The slow twin: the textbook's autocorrelations of the tokens at lags 1, 2, 3, (B, 3)."""
    tokens = score.tokens[:, 0].astype(float)
    centred = tokens - tokens.mean(axis=1, keepdims=True)
    size = (centred**2).sum(axis=1)
    return np.stack([(centred[:, k:] * centred[:, :-k]).sum(axis=1) / size for k in (1, 2, 3)], 1)


def test_it_pays_each_autocorrelation_with_its_sign():
    score = random_pieces(TASK, 30)
    paid = ZeroAutocorrelation(**BEGUN)(score)
    assert paid == pytest.approx(lags(score) @ [2.0, -1.0, 0.5], rel=1e-5, abs=1e-5)
    two = Score(np.concatenate([score.tokens, score.tokens], axis=1), Task(voices=2))
    assert ZeroAutocorrelation(**BEGUN)(two) == pytest.approx(2 * paid, rel=1e-5, abs=1e-5)
    constant = Score(np.full((1, 1, 32), 5), TASK)
    assert ZeroAutocorrelation(**BEGUN)(constant).sum() == 0  # undefined


def test_a_multiplier_moves_against_the_mean_and_no_faster_than_far():
    term, score = ZeroAutocorrelation(**BEGUN, rate=2.0), random_pieces(TASK, 200)
    means = lags(score).mean(axis=0)
    found = term.update(None, score)
    assert list(found.values()) == pytest.approx(means)
    assert term.multipliers == pytest.approx([2, -1, 0.5] - 2 * np.clip(means, -FAR, FAR))
    rising = Score(np.tile(np.arange(2, 34), (4, 1, 1)), TASK)
    before = term.multipliers
    term.update(None, rising)
    assert term.multipliers - before == pytest.approx([-2 * FAR] * 3)


def test_a_population_that_answers_is_brought_to_zero():
    """Pieces drawn by exp of what is paid, as the best policy of an objective would draw them."""
    pool = random_pieces(TASK, 4000)
    term, rng = ZeroAutocorrelation(rate=4.0), np.random.default_rng(0)
    for _ in range(150):
        weights = np.exp(term(pool).astype(np.float64))
        drawn = pool.take(rng.choice(4000, 1000, p=weights / weights.sum()))
        term.update(None, drawn)
    assert abs(lags(pool).mean(axis=0)).max() > 0.02
    assert abs(weights @ lags(pool) / weights.sum()).max() < 0.012


def test_multipliers_are_kept_with_a_run(tmp_path):
    reward, other = build({"zero_autocorrelation": 1.0}), build({"zero_autocorrelation": 1.0})
    lessons, score = Lessons(reward), random_pieces(TASK, 50)
    lessons.prepare(TASK)
    found = lessons.update(score, 1)
    assert set(found) == {f"zero_autocorrelation/{lag}" for lag in ("first", "second", "third")}
    assert save(reward, tmp_path / "reward.safetensors")
    load(other, tmp_path / "reward.safetensors")
    assert np.array_equal(reward(score), other(score))
    assert reward(score).any()


@pytest.mark.parametrize("wrong", [{"first": 101.0}, {"third": np.nan}, {"rate": -1.0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="zero_autocorrelation: .*expected"):
        ZeroAutocorrelation(**wrong)


def test_a_state_of_something_else_is_refused():
    with pytest.raises(ValueError, match="expected 3"):
        ZeroAutocorrelation().load_state_dict({"multipliers": np.zeros(2)})
