"""EpisodeBuffer: pays what the environment pays, and hands out whole pieces in order."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from agents.learning.rollout import EpisodeBuffer
from envs.composition import CompositionVectorEnv
from envs.errors import RewardError
from rewards.build import build
from rewards.objective import Objective

VOICES = pytest.mark.parametrize("voices", [1, 2])


def make_buffer(env, episodes=1, reward=None, entropy=0.0, **arguments):
    if reward is not None:
        arguments["objective"] = Objective(reward, entropy=entropy)
    spaces_of = env.single_observation_space, env.single_action_space
    size = episodes * env.task.steps
    return EpisodeBuffer(size, *spaces_of, device="cpu", n_envs=env.num_envs, **arguments)


def fill(buffer, env, seed=0, number=None):
    """Write random pieces; returns what was seen, done and paid, (buffer_size, n_envs, ...).

    Values and log-probabilities are random, or `number(step, env)` and its negative.
    """
    rng = np.random.default_rng(seed)
    seen = {"tokens": [], "masks": [], "actions": [], "paid": [], "values": [], "starts": []}
    obs, _ = env.reset()
    starts = np.ones(env.num_envs, bool)
    for step in range(buffer.buffer_size):
        mask = obs["action_mask"]
        actions = (rng.random(mask.shape) * mask).argmax(axis=1)
        values = rng.normal(size=env.num_envs).astype(np.float32)
        if number is not None:
            values = np.array([number(step, e) for e in range(env.num_envs)], np.float32)
        after, paid, terminated, _, _ = env.step(actions)
        buffer.add(
            obs, actions[:, None], paid, starts, torch.from_numpy(values)[:, None],
            torch.from_numpy(-values),
        )  # fmt: skip
        for name, value in zip(
            seen, (obs["tokens"], mask, actions, paid, values, starts), strict=True
        ):
            seen[name].append(value)
        obs, starts = after, terminated
    assert buffer.full
    assert starts.all()
    return {name: np.stack(value) for name, value in seen.items()}


def finish(buffer, dones=True):
    """The last value must not matter: the pieces have ended."""
    n = buffer.n_envs
    buffer.compute_returns_and_advantage(torch.full((n, 1), 1e6), np.full(n, dones))


# -- rewards ---------------------------------------------------------------------------------------


@VOICES
@pytest.mark.parametrize("episodes", [1, 3])
def test_pays_what_the_environment_pays(tiny_checkpoint, voices, episodes):
    spec = {
        "rl_tuner": 0.5,
        "prior": {"weight": 0.3, "checkpoint": str(tiny_checkpoint)},
        "leap_recovery": 2.0,
    }
    env = CompositionVectorEnv(5, reward=spec, bars=2, meter="3/4", voices=voices)
    buffer = make_buffer(env, episodes, reward=build(spec), task=env.task)
    seen = fill(buffer, env)
    finish(buffer)
    assert seen["paid"].std() > 1
    np.testing.assert_allclose(buffer.rewards, seen["paid"], atol=1e-3)
    per_cell = sum(buffer.parts.values())
    assert per_cell.shape == (5 * episodes, voices, 24)
    np.testing.assert_allclose(per_cell.sum(), seen["paid"].sum(), rtol=1e-4)


def test_a_number_per_piece_is_paid_at_its_end():
    def size(score):
        return score.tokens.sum(axis=(1, 2)).astype(np.float32)

    env = CompositionVectorEnv(3, reward=size, bars=1, voices=2)
    buffer = make_buffer(env, 2, reward=build(size), task=env.task)
    seen = fill(buffer, env)
    finish(buffer)
    ends = np.array([31, 63])
    np.testing.assert_allclose(buffer.rewards, seen["paid"], atol=1e-4)
    assert (np.delete(buffer.rewards, ends, axis=0) == 0).all()
    pieces = seen["actions"].reshape(2, 32, 3).sum(axis=1)
    np.testing.assert_allclose(buffer.rewards[ends], pieces)


def test_without_a_reward_the_environments_rewards_are_kept():
    env = CompositionVectorEnv(4, reward="in_key", bars=1)
    buffer = make_buffer(env, 2)
    seen = fill(buffer, env)
    finish(buffer)
    assert seen["paid"].any()
    assert np.array_equal(buffer.rewards, seen["paid"].astype(np.float32))


@VOICES
def test_the_finished_pieces_are_those_that_were_written(voices):
    env = CompositionVectorEnv(4, reward="tonic", bars=1, voices=voices)
    buffer = make_buffer(env, 2, reward=build("tonic"), task=env.task)
    seen = fill(buffer, env)
    tokens = buffer.score().tokens.reshape(2, 4, voices, 16)
    for episode in range(2):
        for row in range(4):
            for step in range(16 * voices):
                time, voice = divmod(step, voices)
                written = seen["actions"][episode * 16 * voices + step, row]
                assert tokens[episode, row, voice, time] == written


def test_a_failing_reward_names_its_term():
    def swing(score):
        return np.full(score.tokens.shape, np.nan)

    env = CompositionVectorEnv(2, reward="tonic", bars=1)
    buffer = make_buffer(env, reward=build({swing: 1.0}), task=env.task)
    fill(buffer, env)
    with pytest.raises(RewardError, match=r"'swing' returned nan for piece 0, cell 0"):
        finish(buffer)


# -- advantages ------------------------------------------------------------------------------------


@VOICES
@pytest.mark.parametrize(("gamma", "gae_lambda"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (0.99, 0)])
def test_advantages_are_stable_baselines_own(voices, gamma, gae_lambda):
    env = CompositionVectorEnv(3, reward="in_key", bars=1, voices=voices)
    buffer = make_buffer(
        env, 2, reward=build("in_key"), task=env.task, gamma=gamma, gae_lambda=gae_lambda
    )
    seen = fill(buffer, env)
    finish(buffer)
    theirs = RolloutBuffer(
        buffer.buffer_size, spaces.Box(0, 1, (1,)), env.single_action_space, "cpu",
        gae_lambda=gae_lambda, gamma=gamma, n_envs=3,
    )  # fmt: skip
    for step in range(buffer.buffer_size):
        values = torch.from_numpy(seen["values"][step])
        theirs.add(
            np.zeros((3, 1)), seen["actions"][step], seen["paid"][step], seen["starts"][step],
            values, -values,
        )  # fmt: skip
    theirs.compute_returns_and_advantage(torch.zeros(3), np.ones(3, bool))
    np.testing.assert_allclose(buffer.advantages, theirs.advantages, atol=1e-4)
    np.testing.assert_allclose(buffer.returns, theirs.returns, atol=1e-4)


def test_with_lambda_one_the_advantage_is_what_is_still_to_come():
    env = CompositionVectorEnv(4, reward="in_key", bars=1)
    buffer = make_buffer(env, 2, reward=build("in_key"), task=env.task, gamma=0.8, gae_lambda=1.0)
    seen = fill(buffer, env)
    finish(buffer)
    for start in (0, 16):  # nothing is carried across a double bar
        paid, values = (seen[name][start : start + 16] for name in ("paid", "values"))
        for step in range(16):
            discount = 0.8 ** np.arange(16 - step)
            to_come = (discount[:, None] * paid[step:]).sum(axis=0)
            at = start + step
            np.testing.assert_allclose(buffer.returns[at], to_come, atol=1e-4)
            np.testing.assert_allclose(buffer.advantages[at], to_come - values[step], atol=1e-4)


def test_with_lambda_zero_the_advantage_is_the_next_difference():
    env = CompositionVectorEnv(4, reward="in_key", bars=1)
    buffer = make_buffer(env, reward=build("in_key"), task=env.task, gamma=0.9, gae_lambda=0.0)
    seen = fill(buffer, env)
    finish(buffer)
    following = np.concatenate([seen["values"][1:], np.zeros((1, 4))])
    expected = seen["paid"] + 0.9 * following - seen["values"]
    np.testing.assert_allclose(buffer.advantages, expected, atol=1e-4)


def test_entropy_is_paid_for_each_step_beside_the_reward():
    env = CompositionVectorEnv(4, reward="in_key", bars=1)
    buffer = make_buffer(env, 2, reward=build("in_key"), task=env.task, entropy=0.3)
    seen = fill(buffer, env)
    finish(buffer)
    surprise = seen["values"]  # `fill` makes up log-probabilities of minus the value
    np.testing.assert_allclose(buffer.rewards, seen["paid"] + 0.3 * surprise, atol=1e-5)
    assert sum(buffer.parts.values()).sum() == pytest.approx(seen["paid"].sum())  # but not told


@VOICES
@pytest.mark.parametrize(("gamma", "gae_lambda"), [(1.0, 1.0), (0.9, 0.6)])
def test_normalised_values_are_deviations_from_the_mean_return(voices, gamma, gae_lambda):
    """Against Stable-Baselines3 on values in units of the reward."""
    env = CompositionVectorEnv(6, reward="in_key", bars=1, voices=voices)
    settings = {"gamma": gamma, "gae_lambda": gae_lambda}
    buffer = make_buffer(
        env, 2, reward=build("in_key"), task=env.task, normalize_values=True, **settings
    )
    seen = fill(buffer, env)
    finish(buffer)
    steps = 16 * voices
    to_come = np.zeros((2, steps, 6))
    for step in range(steps):
        discount = gamma ** np.arange(steps - step)
        ahead = seen["paid"].reshape(2, steps, 6)[:, step:]
        to_come[:, step] = np.einsum("s,esn->en", discount, ahead)
    others = (to_come.sum(axis=(0, 2), keepdims=True) - to_come) / (12 - 1)
    spread = np.sqrt(to_come.var(axis=(0, 2)).mean())
    baseline = others.reshape(2 * steps, 6)
    theirs = RolloutBuffer(
        2 * steps, spaces.Box(0, 1, (1,)), env.single_action_space, "cpu", n_envs=6, **settings
    )
    for step in range(2 * steps):
        values = torch.from_numpy(baseline[step] + spread * seen["values"][step])
        theirs.add(
            np.zeros((6, 1)), seen["actions"][step], seen["paid"][step], seen["starts"][step],
            values, values,
        )  # fmt: skip
    theirs.compute_returns_and_advantage(torch.zeros(6), np.ones(6, bool))
    np.testing.assert_allclose(buffer.advantages, theirs.advantages, atol=1e-3)
    np.testing.assert_allclose(buffer.returns, (theirs.returns - baseline) / spread, atol=1e-3)
    assert np.array_equal(buffer.values, seen["values"])
    if gae_lambda == 1:
        np.testing.assert_allclose(buffer.returns.reshape(2, steps, 6).mean((0, 2)), 0, atol=1e-5)
        assert buffer.returns.std() == pytest.approx(12 / 11, rel=1e-4)


def test_normalised_values_of_equal_returns_stay_finite():
    env = CompositionVectorEnv(3, reward="in_key", bars=1)
    silence = build({lambda score: np.zeros(score.batch): 1.0})
    buffer = make_buffer(env, reward=silence, task=env.task, normalize_values=True)
    fill(buffer, env)
    finish(buffer)
    assert np.isfinite(buffer.advantages).all()
    assert (buffer.rewards == 0).all()


# -- minibatches -----------------------------------------------------------------------------------


@VOICES
@pytest.mark.parametrize("batch_size", [None, 1, 100, 10_000])
def test_every_piece_comes_once_with_its_cells_in_writing_order(voices, batch_size):
    steps = 16 * voices
    env = CompositionVectorEnv(5, reward="in_key", bars=1, voices=voices)
    buffer = make_buffer(env, 3, reward=build("in_key"), task=env.task, gae_lambda=0.7)
    seen = fill(buffer, env, number=lambda step, row: 10 * step + row)  # names its cell
    finish(buffer)
    pieces_in_a_batch = {None: 15, 1: 1, 100: 100 // steps, 10_000: 15}[batch_size]
    met, sizes = [], []
    for sample in buffer.get(batch_size):
        obs = sample.observations
        count = len(obs["pieces"])
        sizes.append(count)
        assert obs["pieces"].shape == (count, voices, 16)
        assert sample.actions.shape == (count * steps, 1)
        for row in range(count):
            part = slice(row * steps, (row + 1) * steps)
            step, envs = np.divmod(sample.old_values[part].numpy().astype(int), 10)
            env_row, first = envs[0], step[0]
            met.append((first, env_row))
            assert first % steps == 0
            assert (envs == env_row).all()
            assert np.array_equal(step, first + np.arange(steps))
            at = slice(first, first + steps)
            actions = sample.actions[part, 0].numpy()
            assert np.array_equal(actions, seen["actions"][at, env_row])
            assert np.array_equal(obs["pieces"][row].numpy().T.reshape(-1), actions)
            assert np.array_equal(obs["action_mask"][row].numpy(), seen["masks"][at, env_row])
            assert np.array_equal(obs["context"][row].numpy(), env.task.context(0))
            expected = {
                "old_log_prob": -seen["values"],
                "advantages": buffer.advantages,
                "returns": buffer.returns,
            }
            for name, array in expected.items():
                assert np.array_equal(getattr(sample, name)[part].numpy(), array[at, env_row])
    assert sorted(met) == [(e * steps, row) for e in range(3) for row in range(5)]
    assert set(sizes[:-1]) <= {pieces_in_a_batch}
    assert sizes[-1] <= pieces_in_a_batch


def test_minibatches_are_drawn_anew_each_time_as_the_seed_says():
    env = CompositionVectorEnv(12, reward="in_key", bars=1)
    buffer = make_buffer(env, reward=build("in_key"), task=env.task)
    fill(buffer, env, number=lambda step, row: row)
    finish(buffer)

    def order():
        return [int(sample.old_values[0]) for sample in buffer.get(16)]

    np.random.seed(1)
    first, second = order(), order()
    np.random.seed(1)
    assert order() == first
    assert first != second
    assert sorted(first) == sorted(second) == list(range(12))


def test_a_buffer_is_used_again_after_reset():
    env = CompositionVectorEnv(3, reward="in_key", bars=1, voices=2)
    used = make_buffer(env, reward=build("in_key"), task=env.task)
    fill(used, env, seed=1)
    finish(used)
    used.reset()
    assert not used.full
    fresh = make_buffer(env, reward=build("in_key"), task=env.task)
    for buffer in (used, fresh):
        fill(buffer, env, seed=2)
        finish(buffer)
    for name in ("tokens", "actions", "masks", "rewards", "advantages", "returns"):
        assert np.array_equal(getattr(used, name), getattr(fresh, name)), name


# -- what does not fit -----------------------------------------------------------------------------


def test_half_a_piece_is_refused():
    env = CompositionVectorEnv(2, reward="tonic", bars=1, voices=2)
    for size in (16, 33, 48):
        with pytest.raises(ValueError, match=rf"n_steps={size}.*multiple of the 32 cells"):
            EpisodeBuffer(size, env.single_observation_space, env.single_action_space, n_envs=2)


@pytest.mark.parametrize("shift", [1, 5])
def test_pieces_that_start_out_of_step_are_refused(shift):
    env = CompositionVectorEnv(2, reward="tonic", bars=1)
    buffer = make_buffer(env)
    obs, _ = env.reset()

    def add(starts):
        buffer.add(obs, np.zeros(2, int), np.zeros(2), starts, torch.zeros(2), torch.zeros(2))

    with pytest.raises(ValueError, match="cell 0 of 16: pieces must start together"):
        add(np.array([True, False]))
    add(np.ones(2, bool))
    for _ in range(shift - 1):
        add(np.zeros(2, bool))
    with pytest.raises(ValueError, match=f"cell {shift} of 16.*no primers"):
        add(np.array([False, True]))


def test_what_is_missing_is_named():
    env = CompositionVectorEnv(2, reward="tonic", bars=1)
    with pytest.raises(ValueError, match="needs their task"):
        make_buffer(env, reward=build("tonic"))
    buffer = make_buffer(env)
    with pytest.raises(ValueError, match="not full yet"):
        next(buffer.get(16))
    with pytest.raises(ValueError, match="without a task"):
        buffer.score()
    with pytest.raises(ValueError, match="observations of a composition environment"):
        EpisodeBuffer(16, spaces.Box(0, 1, (1,)), env.single_action_space)
