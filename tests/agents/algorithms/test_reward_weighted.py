"""Weights in closed form, what is drawn again, and that the policy moves to the target."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.algorithms import registry as algorithms
from agents.algorithms.reward_weighted import drawn_again, tempering
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.settings.config import TrainConfig
from rewards.build import build
from tests.agents.helpers import every_piece, optimum, tiny, trained

SMALL = ("bars=1", "meter=1/4", "low=C4", "high=E4")


def test_shares_are_those_of_the_weights_where_enough_are_effective():
    returns = np.log(np.array([1.0, 2.0, 3.0, 4.0])) - 70
    temper, shares = tempering(returns, elite=0.5)
    assert temper == 1
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4])


def test_weights_are_tempered_until_a_share_of_the_pieces_is_effective():
    returns = np.random.default_rng(0).normal(0, 40, 1000)
    temper, shares = tempering(returns, elite=0.1)
    assert 0 < temper < 1
    assert 1 / (shares**2).sum() == pytest.approx(100, rel=1e-3)
    np.testing.assert_allclose(np.diff(np.log(shares)), temper * np.diff(returns), atol=1e-6)
    assert tempering(np.zeros(5))[0] == 1


def test_pieces_are_drawn_again_as_often_as_their_share():
    shares = np.array([0.5, 0.0, 0.3, 0.2])
    rows = drawn_again(shares, 1000, np.random.default_rng(1))
    counts = np.bincount(rows, minlength=4)
    assert np.abs(counts - 1000 * shares).max() <= 1
    assert counts[1] == 0


def model_of(prior, weight, **settings):
    config = TrainConfig().changed(
        algo="rwr", reward=(f"in_key={weight}", "prior=1"), task=SMALL, n_envs=2000, batch_size=400,
        rollouts=2, **settings,
    )  # fmt: skip
    env = CompositionVecEnv(make_env(config.env, config.task, config.n_envs))
    reward = build({"in_key": weight, "prior": {"weight": 1.0, "checkpoint": prior}})
    return algorithms.make(config, env, prior, reward), env.env.task


def test_the_policy_becomes_the_prior_times_exp_of_the_reward(tiny_prior):
    # Against every piece there is: the target is known, and so is how far the prior is from it.
    model, task = model_of(tiny_prior, 1.5, n_epochs=4, learning_rate=0.01)
    pieces = every_piece(task)
    target = optimum(tiny_prior, {"in_key": 1.5}, pieces)

    def distance():
        own = model.policy.as_prior().log_prob(pieces).sum(axis=(1, 2), dtype=np.float64)
        return float((target * (np.log(target) - own)).sum())

    before = distance()
    model.learn(16 * 2000 * task.cells)
    assert before > 0.1
    assert distance() < 0.2 * before


def test_nothing_is_fitted_before_all_rollouts_are_drawn(tiny_prior):
    model, task = model_of(tiny_prior, 1.0, n_epochs=1)
    before = [weight.clone() for weight in model.policy.net.parameters()]
    steps = 2000 * task.cells
    model.learn(9 * steps, callback=lambda *_: model.num_timesteps <= steps)  # stopped in the next
    assert len(model.lessons) == 1
    assert all(map(torch.equal, before, model.policy.net.parameters()))
    model.learn(steps)  # to its end: what is left over is learned too
    assert not model.lessons
    assert not all(map(torch.equal, before, model.policy.net.parameters()))


def test_a_run_on_several_tasks(tiny_checkpoint, tmp_path):
    base = tiny(tiny_checkpoint, tmp_path, algo="rwr", samples=0)
    base = replace(
        base, env="composition/Melody-v0", task=("bars=1",), reward=("in_key=1", "prior=1")
    )
    run = trained(base.changed(vary=("meter=2/4|3/4",), rollouts=3, n_epochs=1))
    rows = run.read_metrics()
    assert len(rows["steps"]) >= 1
    assert run.policy_file.is_file()
