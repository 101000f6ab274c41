"""Masked and recurrent: MaskablePPO on the prior's policy."""

import numpy as np
import pytest
import torch

from agents.algorithms import registry as algorithms
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.settings.config import TrainConfig
from rewards import build
from rewards.rules.rl_tuner import key, penalize_repeating


def learned(prior, algo, mask=None, steps=3 * 256, **settings):
    config = TrainConfig().changed(
        algo=algo, n_envs=8, batch_size=128, bf16=False, reward=("rl_tuner=1",), **settings
    )
    env = CompositionVecEnv(make_env(config.env, config.task, config.n_envs), mask)
    model = algorithms.make(config, env, prior, build(config.reward_spec))
    model.learn(steps)
    return model


def test_with_the_grammars_mask_alone_it_is_ppo(tiny_prior):
    ppo, masked = (learned(tiny_prior, algo) for algo in ("ppo", "maskable_ppo"))
    theirs = masked.policy.state_dict()
    for name, weight in ppo.policy.state_dict().items():
        assert torch.equal(weight, theirs[name]), name


def test_rules_of_the_mask_are_never_broken(tiny_prior):
    free = learned(tiny_prior, "maskable_ppo").rollout_buffer.score()
    assert (key(free) > 0).mean() > 0.05
    model = learned(tiny_prior, "maskable_ppo", build({"key": -1.0, "penalize_repeating": -1.0}))
    score = model.rollout_buffer.score()
    assert not (key(score) > 0).any()
    assert not (penalize_repeating(score) > 0).any()


def test_what_is_learned_from_is_the_masked_policy(tiny_prior):
    model = learned(tiny_prior, "maskable_ppo", build({"key": -1.0}), steps=256)
    buffer = model.rollout_buffer
    (data,) = list(buffer.get())
    model.policy.load_state_dict(model.policy.state_dict())
    fresh = learned(
        tiny_prior, "maskable_ppo", build({"key": -1.0}), steps=256, learning_rate=1e-12
    )
    (data,) = list(fresh.rollout_buffer.get())
    with torch.no_grad():
        _, log_prob, _ = fresh.policy.evaluate_actions(
            data.observations, data.actions.flatten(), action_masks=data.action_masks
        )
    assert torch.allclose(log_prob, data.old_log_prob, atol=1e-4)


def test_predict_takes_masks(tiny_prior):
    model = learned(tiny_prior, "maskable_ppo", steps=256)
    observation = model.env.reset()
    only = np.zeros_like(observation["action_mask"])
    only[:, 14] = 1
    actions, _ = model.predict(observation, action_masks=only)
    assert (actions == 14).all()
    one = {name: value[0] for name, value in observation.items()}
    action, _ = model.predict(one, action_masks=only[0])
    assert action == 14


def test_an_algorithm_that_cannot_act_with_masks_says_so():
    config = TrainConfig(algo="ppo", mask=("key",))
    with pytest.raises(ValueError, match=r"ppo cannot act with the masks asked for \(key\)"):
        algorithms.check_settings(config)
