from pathlib import Path

import numpy as np
import pytest
import torch

from agents.composing.demands import keep
from agents.composing.masks import read_demands
from agents.settings.config import read_toml
from agents.training.reward_lessons import Lessons
from envs.music.noise import noise
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from envs.plugins import resolve
from pretrained.corpora.pieces import real_melodies
from rewards import build
from rewards.checking.check_report import check_reward
from rewards.learned import load, save
from tests.helpers import random_pieces, step_through


def test_smooth_prefers_steps_to_leaps():
    reward = build("examples/my_rewards.py:smooth")
    steps, leaps = score_from_text("C4 D4 E4 F4"), score_from_text("C4 C5 C4 C5")
    assert reward(leaps).sum() == -3.0
    assert reward(leaps).sum() < reward(steps).sum() < 0


def test_arch_wants_the_highest_note_in_the_middle():
    reward = build("examples/my_rewards.py:arch")
    assert reward(score_from_text("C4 E4 G4 C4")).sum() == 1
    assert reward(score_from_text("C5 E4 G4 C4")).sum() == 0


def test_both_are_paid_the_same_step_by_step():
    reward = build({"examples/my_rewards.py:smooth": 0.3, "examples/my_rewards.py:arch": 1.0})
    score = random_pieces(score_from_text("C4 r r r C4").task, 5)
    for name, values in step_through(reward, score).items():
        np.testing.assert_array_equal(values, reward.breakdown(score)[name])


@pytest.mark.parametrize("name", ["smooth", "arch", "time_to_leap", "too_wide"])
def test_they_keep_the_contract(name):
    check_reward(f"examples/my_rewards.py:{name}", panel=False, cost=False)


def test_a_leap_needs_time():
    name = "examples/my_rewards.py:time_to_leap"
    score = score_from_text("C4:4 A4:2 C4:2 r:2 C5:2 D5:4")
    assert build(name)(score)[0, 0].nonzero()[0].tolist() == [4, 6, 10]
    assert build(name)(score)[0, 0, [4, 6, 10]].tolist() == [1, -1, -1]
    assert build({name: {"weight": 1.0, "rest": 2, "leap": 12}})(score).sum() == 1


def test_a_rule_of_ones_own_is_kept_by_must(tiny_prior):
    name = "examples/my_rewards.py:too_wide"
    demands = read_demands([f"{name}=-1,most=4"], build("in_key"))
    found = keep(tiny_prior, Score.page(Task(bars=1), 1), demands, 20)
    assert found.count == 20
    free = keep(tiny_prior, Score.page(Task(bars=1), 1), {}, 20).pieces
    assert (np.abs(free.interval) > 4).any()  # without the demand it is broken
    for piece in found.pieces.tokens[:, 0]:
        pitches = [note.pitch for note in Task().codec.decode(piece)]
        assert len(pitches) < 2 or np.abs(np.diff(pitches)).max() <= 4
    assert read_demands([name], build("in_key"))[name].factor == -1


def test_the_rules_of_a_file_have_their_parameters():
    reward = build(read_toml(Path("examples/reward.toml")).reward_spec)
    score = score_from_text("C4:2 G4:2 C4:2 A4:2 D4:8")
    paid = {name: part.sum() for name, part in reward.breakdown(score).items()}
    assert paid["examples/my_rewards.py:time_to_leap"] == 0.5 * 4  # four leaps of a fifth or more
    assert (
        paid["leap_recovery"] == -2.0 * build({"leap_recovery": {"min_leap": 7}})(score).sum() * -1
    )


def test_music21_hears_a_key_in_a_scale_and_hardly_any_in_all_twelve_notes():
    clear = build("examples/music21_judge.py:clear_key")
    scale = score_from_text("C4 D4 E4 F4 G4 A4 B4 C5")
    chromatic = score_from_text("C4 C#4 D4 D#4 E4 F4 F#4 G4 G#4 A4 A#4 B4")
    assert clear(scale).sum() > 0.8
    assert clear(chromatic).sum() < 0.5
    assert clear(score_from_text("C4:16")).sum() == 0
    check_reward("examples/music21_judge.py:clear_key", Task(bars=1), panel=False, cost=False)


def test_a_listener_can_be_taught_what_somebody_likes():
    kind = resolve("examples/learned.py:Listener")
    listener, score = kind(), noise(Task(), 1, 300, 8.0)
    strange = (~score.in_scale).sum(axis=(1, 2)) / score.onset.sum(axis=(1, 2))
    liked = strange < np.median(strange)
    listener.learn(score[:200], liked[:200], rounds=60)
    assert ((listener(score[200:]) > 0) == liked[200:]).mean() > 0.75
    other = kind()
    other.load_state_dict(listener.state_dict())
    np.testing.assert_array_equal(other(score), listener(score))


def test_a_critic_learns_to_tell_noise_from_melodies(tmp_path):
    kind = resolve("examples/learned.py:Critic")
    reward = build(kind())
    check_reward(reward, panel=False, cost=False)
    lessons = Lessons(reward)
    told = [lessons.update(noise(Task(), seed, 64, 12.0), seed) for seed in range(8)]
    assert told[-1]["Critic/told_apart"] > 0.95
    assert told[-1]["Critic/loss"] < told[0]["Critic/loss"] / 2
    real, fresh = real_melodies(Task(), 100), noise(Task(), 99, 100, 12.0)
    assert np.median(reward(real).sum(axis=(1, 2))) > np.median(reward(fresh).sum(axis=(1, 2))) + 1
    save(reward, tmp_path / "reward.safetensors")
    again = build(kind())
    load(again, tmp_path / "reward.safetensors")
    np.testing.assert_array_equal(again(real), reward(real))


def test_a_listener_is_the_same_in_every_process():
    kind = resolve("examples/learned.py:Listener")
    torch.manual_seed(3)
    first = torch.rand(1)
    torch.manual_seed(3)
    score = noise(Task(), 1)
    np.testing.assert_array_equal(kind()(score), kind()(score))
    assert torch.rand(1) == first  # and it leaves others' random numbers alone
