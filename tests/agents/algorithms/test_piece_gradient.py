"""Whole-piece policy gradients: baselines against closed forms, the gradient by hand."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import configure

from agents.algorithms import registry as algorithms
from agents.algorithms.piece_gradient import PieceBuffer, group_advantages
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.settings.config import TrainConfig
from rewards import build

RETURNS = np.array([1.0, 2.0, 3.0, 10.0, -4.0, 0.5], np.float32)


def test_each_piece_is_compared_with_the_others_of_its_group():
    found = group_advantages(RETURNS, 3, divide=False)
    expected = [1 - 2.5, 2 - 2.0, 3 - 1.5, 10 - (-1.75), -4 - 5.25, 0.5 - 3.0]
    assert found == pytest.approx(expected)


def test_grpo_counts_in_standard_deviations_of_the_group():
    found = group_advantages(RETURNS, 3, divide=True).reshape(2, 3)
    assert found.mean(axis=1) == pytest.approx([0, 0], abs=1e-6)
    assert found.std(axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert group_advantages(np.ones(4), 2, divide=True) == pytest.approx(np.zeros(4))


@pytest.mark.parametrize("size", [0, 1, 4, 7])
def test_a_group_that_does_not_divide_the_pieces_is_refused(size):
    with pytest.raises(ValueError, match=rf"group_size={size}: expected at least 2 and a divisor"):
        group_advantages(RETURNS, size, divide=False)


def model_of(prior, algo="rloo", n_envs=8, **settings):
    config = TrainConfig().changed(
        algo=algo, n_envs=n_envs, group_size=4, bf16=False, reward=("rl_tuner=1",), **settings
    )
    env = CompositionVecEnv(make_env(config.env, config.task, config.n_envs))
    model = algorithms.make(config, env, prior, build(config.reward_spec))
    model.set_logger(configure(None, []))
    return model


def collect(model):
    model._setup_learn(10_000)
    callback = model._init_callback(None)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    return model.rollout_buffer


def test_every_cell_of_a_piece_has_the_advantage_of_its_return(tiny_prior):
    model = model_of(tiny_prior, entropy=0.5, c=2.0)
    buffer = collect(model)
    assert isinstance(buffer, PieceBuffer)
    paid = build({"rl_tuner": 1.0})(buffer.score()).sum(axis=(1, 2)) / 2.0
    own = buffer.by_piece(buffer.log_probs).sum(axis=1)
    expected = group_advantages(paid - 0.5 * own, 4, divide=False)
    found = buffer.by_piece(buffer.advantages)
    assert np.allclose(found, expected[:, None], atol=1e-3)


def test_one_pass_in_one_minibatch_is_the_normalised_score_function_gradient(tiny_prior):
    model = model_of(tiny_prior, n_epochs=1, batch_size=8 * 32, max_grad_norm=1e9)
    buffer = collect(model)
    (data,) = list(buffer.get(8 * 32))
    policy = model.policy
    _, log_prob, _ = policy.evaluate_actions(data.observations, data.actions.flatten())
    advantages = data.advantages / (buffer.advantages.std() + 1e-8)
    policy.optimizer.zero_grad()
    (-(advantages * log_prob).mean()).backward()
    expected = {name: p.grad.clone() for name, p in policy.net.named_parameters()}

    policy.optimizer.step = lambda: None  # leave weights and gradients to look at
    model.train()
    for name, weight in policy.net.named_parameters():
        assert torch.allclose(weight.grad, expected[name], atol=1e-5), name


@pytest.mark.parametrize("algo", ["rloo", "grpo"])
def test_the_return_rises(tiny_prior, algo):
    learning = {"learning_rate": 3e-3, "n_epochs": 2, "batch_size": 256, "entropy": 0.0}
    model = model_of(tiny_prior, algo, n_envs=64, **learning)
    first = collect(model).rewards.sum() / 64
    model.learn(40 * 64 * 32)
    assert model.rollout_buffer.rewards.sum() / 64 > first + 20
