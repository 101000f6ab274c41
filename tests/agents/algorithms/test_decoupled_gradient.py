"""GDPO: each term in its own standard deviations, by hand; c, budget and KL as in the others."""

from dataclasses import replace

import numpy as np
import pytest
from stable_baselines3.common.logger import configure

from agents.algorithms import registry as algorithms
from agents.algorithms.decoupled_gradient import DecoupledBuffer, decoupled_advantages
from agents.algorithms.piece_gradient import group_advantages
from agents.learning.rollout import Steering
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.settings.config import TrainConfig
from pretrained.checkpoint import load
from rewards import build

RNG = np.random.default_rng(0)
LARGE, SMALL = RNG.normal(size=32) * 100, RNG.normal(size=32) * 0.01


def test_a_term_of_small_spread_is_heard_as_well_as_one_of_large_spread():
    found = decoupled_advantages({"a": LARGE, "b": SMALL}, {"a": 1.0, "b": 1.0}, 32)
    by_hand = (LARGE - LARGE.mean()) / LARGE.std() + (SMALL - SMALL.mean()) / SMALL.std()
    assert np.corrcoef(found, by_hand)[0, 1] == pytest.approx(1, abs=1e-5)
    summed = group_advantages(LARGE + SMALL, 32, divide=True)
    assert abs(np.corrcoef(summed, SMALL)[0, 1]) < 0.5 < np.corrcoef(found, SMALL)[0, 1]


def test_pieces_that_a_sum_calls_equal_differ():
    terms = {"a": np.array([0.0, 1.0, 1.0, 2.0]), "b": np.array([3.0, 0.0, 0.0, 0.0])}
    found = decoupled_advantages(terms, {"a": 1.0, "b": 1.0}, 4)
    a, b = ((v - v.mean()) / v.std() for v in terms.values())
    assert found / found.std() == pytest.approx((a + b) / (a + b).std(), abs=1e-5)


def test_weights_count_after_the_division_and_signs_once():
    paid = {"a": -8 * LARGE, "b": 2 * SMALL}
    found = decoupled_advantages(paid, {"a": -8.0, "b": 2.0}, 32)
    by_hand = -8 * (LARGE - LARGE.mean()) / LARGE.std() + 2 * (SMALL - SMALL.mean()) / SMALL.std()
    assert np.corrcoef(found, by_hand)[0, 1] == pytest.approx(1, abs=1e-5)


def test_groups_are_divided_by_their_own_spread():
    wide = np.array([0.0, 10.0, 0.0, 1.0])
    found = decoupled_advantages({"a": wide}, {"a": 1.0}, 2)
    assert found[:2] == pytest.approx(found[2:])


def test_the_sum_has_the_spread_of_the_plain_sum_and_constant_terms_do_nothing():
    same = {"a": LARGE, "b": SMALL, "c": np.ones(32)}
    weights = dict.fromkeys(same, 1.0)
    found = decoupled_advantages(same, weights, 8)
    plain = group_advantages(LARGE + SMALL + 1, 8, divide=False)
    assert found.std() == pytest.approx(plain.std(), rel=1e-4)
    without = decoupled_advantages({"a": LARGE, "b": SMALL}, weights, 8)
    assert found == pytest.approx(without, rel=1e-4)
    assert (decoupled_advantages({"c": np.ones(8)}, {"c": 1.0}, 8) == 0).all()


def buffer_of(prior, **settings):
    reward = ("key=-1", "motif=3", f"prior=1,checkpoint={prior}")
    config = TrainConfig().changed(
        algo="gdpo", n_envs=8, group_size=4, bf16=False, reward=reward, **settings
    )
    env = CompositionVecEnv(make_env(config.env, config.task, config.n_envs))
    model = algorithms.make(config, env, load(prior), build(config.reward_spec))
    model.set_logger(configure(None, []))
    model._setup_learn(10_000)
    model.collect_rollouts(
        model.env, model._init_callback(None), model.rollout_buffer, model.n_steps
    )
    return model.rollout_buffer


@pytest.mark.parametrize("c", [1.0, 4.0])
def test_terms_are_divided_by_c_and_the_kl_is_not(tiny_checkpoint, c):
    buffer = buffer_of(tiny_checkpoint, c=c)
    assert isinstance(buffer, DecoupledBuffer)
    parts = {name: part.sum(axis=(1, 2)) for name, part in buffer.parts.items()}
    own = buffer.by_piece(buffer.log_probs).sum(axis=1)
    likely = parts.pop("prior")
    terms = decoupled_advantages(parts, {"key": -1.0, "motif": 3.0}, 4)
    expected = terms / c + group_advantages(likely - own, 4, divide=False)
    found = buffer.by_piece(buffer.advantages)
    assert found == pytest.approx(np.repeat(expected[:, None], 32, axis=1), abs=2e-3)


def test_without_terms_it_is_rloo(tiny_checkpoint):
    buffer = buffer_of(tiny_checkpoint)
    objective = build({"prior": {"weight": 1.0, "checkpoint": str(tiny_checkpoint)}})
    buffer.steering = Steering(replace(buffer.objective, reward=objective))
    buffer.compute_returns_and_advantage(None, None)
    expected = group_advantages(buffer.piece_returns(), 4, divide=False)
    assert buffer.by_piece(buffer.advantages)[:, 0] == pytest.approx(expected, abs=1e-5)
