"""A training lets the terms of its reward learn, once for each rollout, and keeps what they did."""

import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from agents import compose, evaluate
from agents.compose import ComposeConfig
from agents.evaluate import EvaluateConfig
from agents.runs import state
from agents.runs.directory import Run
from agents.runs.state import Saved
from agents.training import job as training
from agents.training.listener import Listener
from pretrained import checkpoint
from tests.agents.helpers import UPDATE, tiny, trained
from tests.rewards.learners import keen, teachable
from tests.tools.kill_runs import COMPARED, KINDS, same

SPEC = "tests.rewards.learners:keen"


@pytest.fixture
def config(tiny_checkpoint, tmp_path):
    keen.paid = 1.0
    keen.seen.clear()
    reward = (f"{SPEC}=1", f"prior=0.5,checkpoint={tiny_checkpoint}")
    return tiny(tiny_checkpoint, tmp_path, reward=reward, n_timesteps=3 * UPDATE)


def test_it_learns_once_for_each_rollout_after_that_was_paid(config):
    run = trained(config)
    metrics = run.read_metrics()
    assert metrics[f"{SPEC}/paid"] == [2.0, 3.0, 4.0]
    for update, (_, generated) in enumerate(keen.seen):
        notes = generated.onset.sum(axis=(1, 2)).mean()
        paid = metrics[f"reward/{SPEC}"][update]
        assert paid == pytest.approx((update + 1.0) * notes, rel=1e-4)


def test_other_verbs_and_a_resumed_run_know_what_was_learned(config, tmp_path):
    run = trained(config)
    keen.paid = 1.0  # a new process knows nothing
    evaluate.evaluate(EvaluateConfig(run.path, n=8, trust=True))
    assert keen.paid == 4.0
    keen.paid = 1.0
    compose.compose(ComposeConfig(run.path, n=1, out=tmp_path / "out", trust=True))
    assert keen.paid == 4.0
    assert run.reward_file.is_file()
    keen.paid = 1.0
    trained(dataclasses.replace(config, n_timesteps=4 * UPDATE), run.path)
    assert Run(run.path).read_metrics()[f"{SPEC}/paid"] == [2.0, 3.0, 4.0, 5.0]


def test_no_policy_is_called_the_best_under_a_reward_that_moves(config):
    run = trained(dataclasses.replace(config, eval_freq=UPDATE, eval_episodes=8))
    assert len(run.read_metrics(run.evaluations_file)["objective"]) >= 1
    assert not run.best_file.exists()


def test_a_normalised_term_on_the_command_line(config):
    run = trained(dataclasses.replace(config, reward=("leap_size=1,normalize=true", "tonic=1")))
    scale = run.read_metrics()["leap_size/scale"]
    assert len(scale) == 3
    assert np.all(np.array(scale) > 0)
    assert Run(run.path).config.terms["leap_size"] == {"weight": 1, "normalize": True}


def test_an_adversary_that_has_won_is_told_of_once_and_the_training_ends(config, monkeypatch):
    from rewards.adaptive import adversary

    monkeypatch.setattr(adversary, "WON", 0.0)
    monkeypatch.setattr(adversary, "PATIENCE", 2)
    noted = []

    class Told(Listener):
        def noted(self, text):
            noted.append(text)

    config = dataclasses.replace(config, reward=("adversary=1", "tonic=1"), n_timesteps=4 * UPDATE)
    run = training.train(config, listener=Told())
    assert run.read_metrics()["adversary/retired"] == [0, 1, 1, 1]
    assert run.read_metrics()["reward/adversary"][2:] == [0, 0]
    assert sum("goes on without it" in text for text in noted) == 1


def test_after_an_adversary_fresh_ones_judge_agent_and_prior(config, monkeypatch, capsys):
    from rewards.adaptive import fresh

    monkeypatch.setattr(fresh, "SEEDS", 1)
    monkeypatch.setattr(fresh, "EPOCHS", 1)
    run = trained(dataclasses.replace(config, reward=("adversary=1", "tonic=1")))
    evaluate.evaluate(EvaluateConfig(run.path, n=40))
    columns = json.loads((run.path / "evaluation.json").read_text())["columns"]
    printed = capsys.readouterr().out
    for name in (fresh.ACCURACY, fresh.AREA):
        assert name in printed
        assert all(0 <= columns[head][name] <= 100 for head in ("prior", "agent"))
    other = trained(dataclasses.replace(config, name="other", reward=("tonic=1",)))
    evaluate.evaluate(EvaluateConfig(other.path, n=40))
    assert "told from" not in capsys.readouterr().out
    evaluate.evaluate(EvaluateConfig(other.path, n=40, told_apart=True))
    assert fresh.AREA in capsys.readouterr().out


@pytest.mark.parametrize("vary", [(), ("bars=1|2", "meter=4/4|7/8")])
def test_a_task_without_real_melodies_is_refused_before_a_run_begins(config, vary):
    task = {"task": ("meter=7/8",)} if not vary else {"vary": vary}
    config = config.changed(reward=("adversary=1",), env="composition/Melody-v0", **task)
    with pytest.raises(ValueError, match="adversary.*none in 7/8"):
        trained(config)


# -- as if it had never stopped --------------------------------------------------------------------


@pytest.fixture(params=["ppo, learned reward", "rloo, adversary"])
def taught(request, config):
    """Settings of a run whose reward learns from the real melodies that it is shown."""
    often = {"save_freq": UPDATE, "eval_freq": UPDATE, "eval_episodes": 8, "eval_pieces": 8}
    return config.changed(**KINDS[request.param], **often, samples=0)


def begin(config, resume=None):
    """Start like a new process, with a reward that has learned nothing."""
    teachable.paid = 1.0
    return trained(config, resume)


def assert_equal_files(path, other):
    differ = [name for name in COMPARED if not same(path / name, other / name)]
    assert not differ


@pytest.mark.parametrize("stop", [1, 2])
def test_a_run_that_was_stopped_in_its_lesson_equals_one_that_was_not(taught, monkeypatch, stop):
    alone = begin(dataclasses.replace(taught, name="alone"))
    append = Run.append_metrics

    def interrupted(self, values, file=None):  # the reward has learned, the policy has not
        append(self, values, file)
        if file is None and len(self.read_metrics()["steps"]) == stop:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "append_metrics", interrupted)
        with pytest.raises(KeyboardInterrupt):
            begin(taught)
    path = taught.runs / taught.name
    assert Saved(path / "state.zip").steps == (stop - 1) * UPDATE
    begin(taught, path)
    assert_equal_files(path, alone.path)


@pytest.mark.parametrize("save", [2, 4], ids=["amid the run", "at its end"])
@pytest.mark.parametrize("replaced", [1, 2])
def test_a_run_killed_between_two_files_of_a_save_goes_on(taught, monkeypatch, save, replaced):
    alone = begin(dataclasses.replace(taught, name="alone"))
    path, replace, done = taught.runs / taught.name, Path.replace, []
    names = ("state.zip", "policy.safetensors", "reward.safetensors")

    class Killed(BaseException):
        """Nothing is done after it."""

    def killed(self, target):
        if len(done) == 3 * (save - 1) + replaced:
            raise Killed
        done.extend([target] if target.name in names else [])
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
        with pytest.raises(Killed):
            begin(taught)
    assert Saved(path / "state.zip").steps == (save - 1) * UPDATE
    assert checkpoint.notes(path)["steps"] == (save - 3 + replaced) * UPDATE
    assert list(path.glob("*.part"))
    begin(taught, path)
    assert_equal_files(path, alone.path)
    assert not list(path.glob("*.part"))


def test_a_state_of_an_earlier_version_takes_the_reward_from_its_file(taught):
    run = begin(taught)
    other = run.path.with_name("earlier")
    shutil.copytree(run.path, other)
    with zipfile.ZipFile(run.state_file) as archive:
        facts, tensors = json.loads(archive.read(state.FACTS)), archive.read(state.TENSORS)
    del facts["learned"]
    with zipfile.ZipFile(other / "state.zip", "w") as archive:
        archive.writestr(state.FACTS, json.dumps(facts))
        archive.writestr(state.TENSORS, tensors)
    longer = dataclasses.replace(taught, n_timesteps=4 * UPDATE)
    for path in (run.path, other):
        begin(longer, path)
    assert_equal_files(other, run.path)
