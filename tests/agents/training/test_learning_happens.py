"""PriorPolicy learning in stock algorithms, and leaving as a prior."""

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO

from agents.learning.policy import PriorPolicy
from agents.learning.rollout import EpisodeBuffer
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from tests.agents.helpers import (
    learner,
    make_policy,
    observe,
    vec_env,
    weights,
    whole,
    writing_order,
)
from tests.helpers import random_pieces

# -- learning --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "buffer"),
    [(PPO, None), (PPO, EpisodeBuffer), (A2C, None), (A2C, EpisodeBuffer)],
    ids=["PPO", "PPO with whole pieces", "A2C", "A2C with whole pieces"],
)
def test_learns_in_stock_algorithms(tiny_prior, algorithm, buffer):
    model = learner(algorithm, tiny_prior, buffer)
    before = weights(model)
    model.learn(2 * 4 * 16)
    after = weights(model)
    assert model.num_timesteps == 2 * 4 * 16
    for name, weight in after.items():
        assert torch.isfinite(weight).all()
        if name.startswith(("net.lstm", "net.head")):
            assert (weight != before[name]).all(), name
    assert (after["value.weight"] != 0).all()
    pitches = np.unique(model.rollout_buffer.actions)
    moved = (after["net.token.weight"] != before["net.token.weight"]).any(dim=1)
    assert moved[pitches].any()
    assert moved[-1]  # "nothing yet" begins every piece


def test_learns_with_two_voices(tiny_prior):
    for buffer in (None, EpisodeBuffer):
        model = learner(PPO, tiny_prior, buffer, task={"voices": 2})
        before = weights(model)
        model.learn(2 * 4 * 32)
        assert (weights(model)["net.lstm.weight_hh_l0"] != before["net.lstm.weight_hh_l0"]).all()


@pytest.mark.parametrize("task", [{}, {"voices": 2}], ids=["one voice", "two voices"])
def test_both_buffers_give_the_same_gradient(tiny_prior, task):
    """One update by plain gradient descent from the same pieces, read whole and cell by cell."""
    after = []
    for buffer in (None, EpisodeBuffer):
        model = learner(
            PPO, tiny_prior, buffer, task=task, n_epochs=1, batch_size=64 * task.get("voices", 1),
            learning_rate=1.0, max_grad_norm=1e9,
            policy_kwargs={"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {"lr": 1.0}},
        )  # fmt: skip
        before = weights(model)
        model.learn(1)
        after.append(weights(model))
    moved = 0.0
    for name, weight in after[0].items():
        torch.testing.assert_close(after[1][name], weight, atol=2e-4, rtol=2e-4)
        moved = max(moved, float((weight - before[name]).abs().max()))
    assert moved > 0.05


def test_learning_raises_what_is_rewarded(tiny_prior):
    """Rests for a rest: the mean reward of a piece grows."""

    def rests(score):
        return score.rest.astype(np.float32)

    rests.cellwise = True
    model = PPO(
        PriorPolicy, vec_env(16, reward=rests), n_steps=16, batch_size=128, n_epochs=4,
        learning_rate=1e-2, rollout_buffer_class=EpisodeBuffer, seed=0, device="cpu",
        policy_kwargs={"prior": tiny_prior},
    )  # fmt: skip
    model.learn(1)
    start = model.rollout_buffer.rewards.sum() / 16
    model.learn(15 * 256, reset_num_timesteps=False)
    assert model.rollout_buffer.rewards.sum() / 16 > start + 4


def test_value_gradient_says_whether_the_value_trains_the_network(tiny_prior):
    obs = observe(random_pieces(Task(bars=1), 3, seed=19), {"bars": 1})[5]
    for asked in (True, False):
        policy = make_policy(tiny_prior, {"bars": 1}, seed=20, value_gradient=asked)
        values, _, _ = policy.evaluate_actions(obs, torch.zeros(3))
        values.sum().backward()
        grads = [weight.grad for weight in policy.net.lstm.parameters()]
        assert all((grad is not None and bool(grad.any())) == asked for grad in grads)
        assert policy.value.weight.grad.any()


@pytest.mark.parametrize("buffer", [None, EpisodeBuffer], ids=["cells", "whole pieces"])
def test_the_seed_decides_everything(tiny_prior, buffer):
    def trained(seed):
        return weights(learner(PPO, tiny_prior, buffer, seed=seed).learn(128))

    first, again, other = trained(1), trained(1), trained(2)
    for name, weight in first.items():
        assert torch.equal(weight, again[name]), name
    assert not torch.equal(first["net.head.weight"], other["net.head.weight"])


def test_acts_for_one_piece_and_for_many(tiny_prior):
    model = learner(PPO, tiny_prior, EpisodeBuffer)
    obs = model.get_env().reset()
    many, _ = model.predict(obs, deterministic=True)
    one, _ = model.predict({name: value[0] for name, value in obs.items()}, deterministic=True)
    assert many.shape == (4,)
    assert many[0] == one
    single = gymnasium.make("composition/RLTuner-v0", bars=1)
    obs, _ = single.reset()
    action, _ = model.predict(obs)
    assert single.action_space.contains(action.item())


# -- exchange --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [{}, {"voices": 2}], ids=["one voice", "two voices"])
def test_what_is_exported_is_a_prior_with_the_policys_probabilities(tiny_prior, tmp_path, task):
    model = learner(PPO, tiny_prior, EpisodeBuffer, task=task, learning_rate=1e-2).learn(128)
    path = tmp_path / "policy.safetensors"
    model.policy.export(path, {"steps": 128})
    loaded, copied = checkpoint.load(path, Task()), model.policy.as_prior()
    task = {"bars": 1} | task
    pieces = random_pieces(Task(**task), 5, seed=21)
    actions = torch.from_numpy(writing_order(pieces.tokens))
    _, chosen, _ = model.policy.evaluate_actions(whole(pieces, observe(pieces, task)), actions)
    for prior in (loaded, copied):
        assert np.array_equal(writing_order(prior.log_prob(pieces)), chosen.detach().numpy())
    assert not np.allclose(tiny_prior.log_prob(pieces), loaded.log_prob(pieces), atol=1e-3)
    assert checkpoint.notes(path) == {"steps": 128}
    before = weights(model)
    model.learn(64)
    assert not torch.equal(weights(model)["net.head.weight"], before["net.head.weight"])
    assert np.array_equal(loaded.log_prob(pieces), copied.log_prob(pieces))


def test_the_value_head_rides_along(tiny_prior, tmp_path):
    policy = make_policy(tiny_prior, {"bars": 1}, seed=22)
    policy.export(tmp_path / "policy.safetensors")
    _, tensors = checkpoint.read(tmp_path / "policy.safetensors")
    assert torch.equal(tensors["value.weight"], policy.value.weight)
    assert torch.equal(tensors["value.bias"], policy.value.bias)


def test_an_exported_policy_can_be_tuned_again(tiny_prior, tmp_path):
    first = make_policy(tiny_prior, {"bars": 1}, seed=23)
    first.export(tmp_path / "policy.safetensors")
    second = make_policy(tmp_path, {"bars": 1})
    obs = observe(random_pieces(Task(bars=1), 3, seed=24), {"bars": 1})[4]
    actions = torch.tensor([5, 6, 0])
    assert torch.equal(
        first.evaluate_actions(obs, actions)[1], second.evaluate_actions(obs, actions)[1]
    )


def test_stable_baselines_saves_and_loads_model_and_policy(tiny_prior, tmp_path):
    model = learner(PPO, tiny_prior, learning_rate=1e-2).learn(128)
    obs = vec_env().reset()
    expected, _ = model.predict(obs, deterministic=True)
    model.save(tmp_path / "model.zip")
    model.policy.save(tmp_path / "policy.pt")
    loaded = PPO.load(tmp_path / "model.zip", device="cpu")
    policy = PriorPolicy.load(tmp_path / "policy.pt", device="cpu")
    for copied in (loaded.policy, policy):
        for name, weight in copied.state_dict().items():
            assert torch.equal(weight, model.policy.state_dict()[name])
        assert np.array_equal(copied.predict(obs, deterministic=True)[0], expected)
    assert loaded.set_env(vec_env()) is None
    loaded.learn(64)


# -- what does not fit -----------------------------------------------------------------------------


def test_other_observations_are_refused(tiny_prior):
    with pytest.raises(ValueError, match="composition environment"):
        PPO(PriorPolicy, gymnasium.make("CartPole-v1"), policy_kwargs={"prior": tiny_prior})
    space = gymnasium.spaces.Dict({"tokens": gymnasium.spaces.Box(0, 1, (3,))})
    with pytest.raises(ValueError, match="composition environment"):
        PriorPolicy(space, gymnasium.spaces.Discrete(38), lambda _: 1e-3, prior=tiny_prior)


@pytest.mark.parametrize(
    "task", [{"key": "E major"}, {"low": "C2"}, {"key": "Bb minor", "high": "C6"}]
)
def test_a_policy_is_its_prior_in_every_key_and_range(tiny_prior, task):
    task = {"bars": 1} | task
    policy, pieces = make_policy(tiny_prior, task), random_pieces(Task(**task), 20, seed=3)
    likely = tiny_prior.log_prob(pieces)
    writable = (likely > -1e8).all(axis=(1, 2))
    pieces = Score(pieces.tokens[writable], pieces.task)
    assert pieces.batch > 0
    seen = observe(pieces, task)
    actions = torch.from_numpy(writing_order(pieces.tokens))
    _, read, _ = policy.evaluate_actions(whole(pieces, seen), actions)
    steps = [
        torch.log_softmax(policy._act(obs)[0].masked_fill(obs["action_mask"] == 0, -1e9), dim=1)
        for obs in seen
    ]
    acted = torch.stack(steps, dim=1).flatten(0, 1).gather(1, actions[:, None].long())[:, 0]
    expected = writing_order(likely[writable])
    np.testing.assert_allclose(read.detach().numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(acted.detach().numpy(), expected, atol=1e-4)


def test_a_missing_prior_is_named():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.safetensors"):
        make_policy("nowhere.safetensors", {})
