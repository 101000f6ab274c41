import json

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import envs
from envs.composition import CompositionEnv, CompositionVectorEnv
from rewards.build import build, read_pack
from tests.helpers import random_pieces, step_through

IDS = ["composition/RLTuner-v0", "composition/Melody-v0", "composition/Chorale-v0"]
RULES = {"reward": "rl_tuner"}  # no network to load


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("mode", [None, "ansi", "rgb_array"])
@pytest.mark.filterwarnings("ignore:.*unconventional shape")
def test_both_checkers_pass(name, mode):
    env = gymnasium.make(name, render_mode=mode, **RULES)
    check_env(env.unwrapped)
    sb3_check_env(gymnasium.make(name, **RULES))


@pytest.mark.parametrize("name", IDS)
def test_specs_are_json_and_made_again(name):
    own = {} if "Chorale" in name else {"low": "C4", "high": "G5"}
    env = gymnasium.make(name, meter="3/4", bars=2, **own, **RULES)
    spec = EnvSpec.from_json(env.spec.to_json())
    assert json.loads(env.spec.to_json())["kwargs"]["meter"] == "3/4"
    assert gymnasium.make(spec).unwrapped.task == env.unwrapped.task


def test_made_natively_in_batches():
    env = gymnasium.make_vec("envs:composition/RLTuner-v0", num_envs=4)
    assert isinstance(env, CompositionVectorEnv)
    assert env.num_envs == 4
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert observation["tokens"].shape == (4, 1, 32)


def test_a_row_of_the_batch_is_the_single_environment():
    arguments = {"meter": "3/4", "bars": 2, "voices": 2, **RULES}
    batch = CompositionVectorEnv(5, **arguments)
    singles = [CompositionEnv(**arguments) for _ in range(5)]
    first, _ = batch.reset(seed=3)
    for row, single in enumerate(singles):
        observation, _ = single.reset(seed=3)
        for name, value in observation.items():
            np.testing.assert_array_equal(value, first[name][row])
    rng = np.random.default_rng(0)
    for step in range(batch.task.steps):
        masks = batch.action_masks()
        actions = rng.integers(0, 38, 5)
        observation, reward, terminated, _, info = batch.step(actions)
        last = step == batch.task.steps - 1
        for row, single in enumerate(singles):
            np.testing.assert_array_equal(single.action_masks(), masks[row])
            theirs, paid, ended, _, parts = single.step(int(actions[row]))
            ours = info["final_obs"][row] if last else {k: v[row] for k, v in observation.items()}
            terms = (info["final_info"] if last else info)["reward_terms"]
            assert (paid, ended) == (reward[row], terminated[row])
            for name, value in theirs.items():
                np.testing.assert_array_equal(value, ours[name])
            for name, value in parts["reward_terms"].items():
                assert value == terms[name][row]


def test_rewards_add_up_to_the_finished_piece():
    env = CompositionVectorEnv(6, bars=3, autoreset_mode="Disabled", **RULES)
    env.reset(seed=0)
    finished = random_pieces(env.task, 6, seed=1)
    paid = np.zeros(6)
    for cell in range(env.task.cells):
        _, reward, _, _, info = env.step(finished.tokens[:, 0, cell])
        parts = {k: v for k, v in info["reward_terms"].items() if not k.startswith("_")}
        np.testing.assert_allclose(reward, sum(parts.values()), atol=1e-4)
        paid += reward
    np.testing.assert_array_equal(env.score.tokens, finished.tokens)
    np.testing.assert_allclose(paid, build("rl_tuner")(finished).sum(axis=(1, 2)), atol=1e-3)


def test_default_reward_of_the_reference_environment_is_the_nine_rules():
    env = gymnasium.make("composition/RLTuner-v0").unwrapped
    assert list(env._batch.reward.terms) == list(read_pack("rl_tuner"))
    assert (env.task.cells, env.action_space.n) == (32, 38)


def test_mask_is_exactly_the_grammar():
    env = CompositionEnv(low="C4", high="C5", bars=1, **RULES)
    observation, _ = env.reset()
    pitches = set(range(14, 27))
    allowed = set(np.flatnonzero(observation["action_mask"]))
    assert allowed == pitches | {0}  # no hold before a first note
    observation, *_ = env.step(0)
    assert set(np.flatnonzero(observation["action_mask"])) == pitches | {0}
    observation, *_ = env.step(14)
    assert set(np.flatnonzero(observation["action_mask"])) == pitches | {0, 1}
    observation, *_ = env.step(0)
    assert set(np.flatnonzero(env.action_masks())) == pitches | {0, 1}


def test_given_cells_allow_only_their_token_and_keep_it():
    given = (-1, 16, -1, 1) + (-1,) * 12
    env = CompositionEnv(bars=1, given=(given,), **RULES)
    observation, _ = env.reset()
    assert observation["tokens"][0, :4].tolist() == [-1, 16, -1, 1]
    env.step(20)
    assert np.flatnonzero(env.action_masks()).tolist() == [16]
    observation, *_ = env.step(30)
    assert observation["tokens"][0, :2].tolist() == [20, 16]
    env.step(14)
    assert np.flatnonzero(env.action_masks()).tolist() == [1]


def test_forbidden_actions_are_played_as_the_nearest_allowed():
    env = CompositionEnv(low="C4", high="C5", bars=1, **RULES)
    env.reset()
    observation, *_ = env.step(1)
    assert observation["tokens"][0, 0] == 0
    observation, *_ = env.step(2)
    assert observation["tokens"][0, 1] == 14
    observation, *_ = env.step(37)
    assert observation["tokens"][0, 2] == 26


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_autoreset(mode):
    env = CompositionVectorEnv(2, bars=1, autoreset_mode=mode, **RULES)
    env.reset(seed=0)
    for _ in range(16):
        observation, _, terminated, truncated, info = env.step(np.array([14, 16]))
    assert terminated.all()
    assert not truncated.any()
    if mode is AutoresetMode.SAME_STEP:
        assert (observation["tokens"] == -1).all()
        assert info["final_obs"][1]["tokens"][0].tolist() == [16] * 16
    elif mode is AutoresetMode.NEXT_STEP:
        assert observation["tokens"][0, 0].tolist() == [14] * 16
        observation, reward, terminated, *_ = env.step(np.array([14, 16]))
        assert (observation["tokens"] == -1).all()
        assert not reward.any()
        assert not terminated.any()
    else:
        with pytest.raises(ValueError, match="reset"):
            env.step(np.array([14, 16]))


def test_primer_starts_the_piece():
    env = CompositionEnv(bars=1, **RULES)
    observation, _ = env.reset(options={"primer": [14, 1, 16]})
    assert observation["tokens"][0, :4].tolist() == [14, 1, 16, -1]
    assert observation["context"][0] == 3
    steps = 0
    terminated = False
    while not terminated:
        observation, _, terminated, *_ = env.step(1)
        steps += 1
    assert steps == 13
    each = CompositionVectorEnv(2, bars=1, **RULES)
    observation, _ = each.reset(options={"primer": [[[14, 1]], [[16, 0]]]})
    assert observation["tokens"][:, 0, :2].tolist() == [[14, 1], [16, 0]]


@pytest.mark.parametrize(
    ("primer", "message"),
    [
        ([14] * 16, "shorter than the piece"),
        ([14] * 99, "shorter than the piece"),
        ([38], "outside the range"),
        ([2], "outside the range"),
        ([1], "no hold"),
        ([14, -1, 16], "no gaps"),
        ([[[14], [15]]], "primer has shape"),
        ([], "primer has shape"),
    ],
)
def test_primers_that_cannot_be(primer, message):
    env = CompositionEnv(bars=1, low="C4", **RULES)
    with pytest.raises(ValueError, match=message):
        env.reset(options={"primer": np.array(primer, int)})


def test_unknown_arguments_options_and_modes():
    with pytest.raises(TypeError, match="bars"):
        gymnasium.make("composition/Melody-v0", bar=3)
    with pytest.raises(ValueError, match="prime"):
        CompositionEnv(**RULES).reset(options={"prime": [1]})
    with pytest.raises(ValueError, match="render_mode"):
        CompositionEnv(render_mode="svg", **RULES)
    with pytest.raises(ValueError, match="Did you mean"):
        gymnasium.make("composition/RLTuner-v0", reward="rl_tunr")


@pytest.mark.parametrize("actions", [np.array([1]), np.array([1.5, 2.0]), np.array([99, 0])])
def test_wrong_actions(actions):
    env = CompositionVectorEnv(2, **RULES)
    env.reset()
    with pytest.raises(ValueError, match="expected"):
        env.step(actions)


def test_same_seed_same_episode_bitwise():
    def play(seed):
        env = gymnasium.make("composition/RLTuner-v0")
        env.reset(seed=seed)
        env.action_space.seed(seed)
        return [env.step(env.action_space.sample())[:2] for _ in range(32)]

    for (a, paid), (b, again) in zip(play(7), play(7), strict=True):
        assert paid == again
        np.testing.assert_array_equal(a["tokens"], b["tokens"])


def test_renderings():
    env = CompositionEnv(bars=2, meter="2/4", render_mode="ansi", **RULES)
    env.reset()
    for token in (14, 1, 0, 18, 19, 1, 1, 1, 15):
        env.step(token)
    assert env.render() == "| C4 . - E4  F4 . . . | C#4 _ _ _  _ _ _ _ |"
    env = CompositionEnv(bars=1, low="C4", high="B4", render_mode="rgb_array", **RULES)
    env.reset()
    empty = env.render()
    env.step(14)
    picture = env.render()
    assert picture.dtype == np.uint8
    assert picture.shape == (12 * 8, 16 * 12, 3)
    changed = np.argwhere((picture != empty).any(axis=2))
    assert changed[:, 0].min() >= 11 * 8  # C4 is the lowest row
    assert changed[:, 1].max() < 12  # one cell wide so far


def test_human_mode_prints(capsys):
    env = CompositionEnv(bars=1, render_mode="human", **RULES)
    env.reset()
    env.step(14)
    assert env.render() is None
    assert capsys.readouterr().out.startswith("| C4 _")


def test_docstring_has_the_headings_of_an_environment():
    for heading in (
        *("Description", "Action Space", "Observation Space", "Rewards", "Starting State"),
        *("Episode End", "Arguments", "Version History"),
    ):
        assert f"## {heading}" in CompositionEnv.__doc__
    assert envs.__doc__


def test_voices_are_written_time_major():
    env = CompositionEnv(bars=1, meter="1/4", voices=2, **RULES)
    env.reset()
    for token in (14, 26, 16, 28):
        observation, *_ = env.step(token)
    assert observation["tokens"].tolist() == [[14, 16, -1, -1], [26, 28, -1, -1]]
    reward = build("rl_tuner")
    finished = random_pieces(env.task, 3, seed=0)
    for name, values in step_through(reward, finished).items():
        np.testing.assert_array_equal(values, reward.breakdown(finished)[name])
