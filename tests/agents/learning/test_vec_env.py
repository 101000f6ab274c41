"""CompositionVecEnv: the vector environment as Stable-Baselines3 and its contrib see it."""

import gymnasium
import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from agents.learning.vec_env import CompositionVecEnv
from envs.composition import CompositionEnv, CompositionVectorEnv
from envs.music.task import Task

TASK = {"bars": 1, "meter": "3/4", "low": "A3", "high": "E5"}
REWARD = {"rl_tuner": 0.5, "in_key": 2.0}


def make(n=4, **arguments):
    return CompositionVecEnv(CompositionVectorEnv(n, **({"reward": REWARD} | TASK | arguments)))


def legal(env, rng):
    mask = np.stack(env.env_method("action_masks"))
    return (rng.random(mask.shape) * mask).argmax(axis=1)


def same(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert np.array_equal(value, right[name]), name
        assert value.dtype == right[name].dtype


@pytest.mark.parametrize("voices", [1, 2])
def test_rows_equal_single_environments(voices):
    env = make(3, voices=voices)
    singles = [CompositionEnv(reward=REWARD, voices=voices, **TASK) for _ in range(3)]
    observation = env.reset()
    for row, single in enumerate(singles):
        same({name: value[row] for name, value in observation.items()}, single.reset()[0])
    rng = np.random.default_rng(0)
    for step in range(2 * 12 * voices + 5):  # two double bars are passed
        actions = legal(env, rng)
        observation, rewards, dones, infos = env.step(actions)
        for row, single in enumerate(singles):
            seen, reward, terminated, truncated, _ = single.step(actions[row])
            assert rewards[row] == pytest.approx(reward, abs=1e-4)
            assert dones[row] == terminated == ((step + 1) % (12 * voices) == 0)
            assert not truncated
            if terminated:
                same(infos[row]["terminal_observation"], seen)
                seen, _ = single.reset()
            else:
                assert "terminal_observation" not in infos[row]
            same({name: value[row] for name, value in observation.items()}, seen)
            assert env.observation_space.contains(seen)


def test_a_finished_piece_reports_its_return_and_length():
    env = make(5)
    env.reset()
    rng = np.random.default_rng(1)
    for _ in range(2):
        paid = np.zeros(5)
        for step in range(12):
            _, rewards, dones, infos = env.step(legal(env, rng))
            paid += rewards
            assert rewards.dtype == np.float32
            assert ("episode" in infos[0]) == (step == 11)
        assert dones.all()
        for row, info in enumerate(infos):
            assert info["episode"]["r"] == pytest.approx(paid[row], abs=1e-3)
            assert info["episode"]["l"] == 12
            assert info["TimeLimit.truncated"] is False
        assert paid.std() > 0


def test_stable_baselines_monitor_agrees():
    env = VecMonitor(make(3))
    env.reset()
    rng = np.random.default_rng(2)
    for _ in range(12):
        *_, infos = env.step(legal(env, rng))
    inner = make(3)
    inner.reset()
    rng = np.random.default_rng(2)
    for _ in range(12):
        *_, plain = inner.step(legal(inner, rng))
    for theirs, ours in zip(infos, plain, strict=True):
        assert theirs["episode"]["r"] == pytest.approx(ours["episode"]["r"], abs=1e-3)
        assert theirs["episode"]["l"] == ours["episode"]["l"]


def test_is_a_vec_env_with_its_attributes():
    env = make(4)
    assert isinstance(env, VecEnv)
    assert env.num_envs == 4
    assert env.observation_space == CompositionEnv(reward=REWARD, **TASK).observation_space
    assert env.get_attr("task") == [Task(**TASK)] * 4
    assert env.get_attr("task", [1, 3]) == [Task(**TASK)] * 2
    assert env.has_attr("action_masks")
    assert not env.has_attr("nothing_of_this_name")
    assert env.env_is_wrapped(gymnasium.Wrapper) == [False] * 4
    assert env.env_is_wrapped(gymnasium.Wrapper, 0) == [False]
    env.set_attr("render_mode", "ansi")
    assert env.get_attr("render_mode") == ["ansi"] * 4
    env.close()


def test_masks_are_those_of_the_observation_for_the_pieces_asked_for():
    env = make(4)
    observation = env.reset()
    for actions in ([0, 20, 0, 20], [0, 1, 0, 1]):  # two have something to hold
        observation, *_ = env.step(np.array(actions))
    assert not np.array_equal(observation["action_mask"][0], observation["action_mask"][1])
    masks = env.env_method("action_masks")
    assert len(masks) == 4
    assert np.array_equal(np.stack(masks), observation["action_mask"].astype(bool))
    some = env.env_method("action_masks", indices=[3, 0])
    assert np.array_equal(np.stack(some), observation["action_mask"][[3, 0]].astype(bool))
    assert is_masking_supported(env)
    assert np.array_equal(get_action_masks(env), np.stack(masks))


def test_reset_begins_new_pieces_and_counts_from_there():
    env = make(2)
    env.reset()
    rng = np.random.default_rng(4)
    for _ in range(7):
        env.step(legal(env, rng))
    observation = env.reset()
    assert (observation["tokens"] == -1).all()
    paid = np.zeros(2)
    for _ in range(12):
        _, rewards, _, infos = env.step(legal(env, rng))
        paid += rewards
    assert infos[0]["episode"]["l"] == 12
    assert infos[1]["episode"]["r"] == pytest.approx(paid[1], abs=1e-3)


def test_options_and_seed_reach_the_next_reset_only():
    env = make(2)
    env.seed(5)
    env.set_options({"primer": [16, 1, 1]})
    observation = env.reset()
    assert (observation["tokens"][:, 0, :4] == [16, 1, 1, -1]).all()
    rng = np.random.default_rng(5)
    for _ in range(9):
        *_, dones, infos = env.step(legal(env, rng))
    assert dones.all()
    assert infos[0]["episode"]["l"] == 9
    assert (env.reset()["tokens"] == -1).all()


def test_pictures_of_the_pieces():
    env = make(2, render_mode="rgb_array")
    env.reset()
    env.step(np.array([20, 0]))
    pictures = env.get_images()
    assert len(pictures) == 2
    assert pictures[0].dtype == np.uint8
    assert not np.array_equal(pictures[0], pictures[1])
    assert make(2).get_images() == []


def test_another_autoreset_mode_is_refused():
    inner = CompositionVectorEnv(2, reward="tonic", autoreset_mode="NextStep", **TASK)
    with pytest.raises(ValueError, match="SameStep"):
        CompositionVecEnv(inner)


# -- stock agents ----------------------------------------------------------------------------------


def weights(model):
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def learns(model, steps):
    before = weights(model)
    model.learn(steps)
    after = weights(model)
    assert all(bool(value.isfinite().all()) for value in after.values())
    assert any(bool((value != before[name]).any()) for name, value in after.items())
    return model


def test_maskable_ppo_learns_and_stays_inside_the_mask():
    env = make(4)
    model = learns(
        MaskablePPO("MultiInputPolicy", env, n_steps=12, batch_size=24, device="cpu", seed=0), 96
    )
    observation = env.reset()
    for _ in range(12):
        masks = get_action_masks(env)
        actions, _ = model.predict(observation, action_masks=masks)
        assert masks[np.arange(4), actions].all()
        observation, *_ = env.step(actions)


def test_ppo_learns_with_its_own_policy():
    env = make(4)
    model = learns(PPO("MultiInputPolicy", env, n_steps=12, batch_size=24, device="cpu"), 96)
    assert model.ep_info_buffer[0]["l"] == 12


def test_dqn_learns_on_a_single_environment():
    env = gymnasium.make("composition/RLTuner-v0", **TASK)
    model = DQN(
        "MultiInputPolicy", env, buffer_size=100, learning_starts=20, batch_size=8, train_freq=4,
        device="cpu",
    )  # fmt: skip
    learns(model, 60)
