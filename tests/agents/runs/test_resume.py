"""Runs that were stopped: resuming, damaged states, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from agents import train as train_verb
from agents.algorithms import registry as algorithms
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.runs.directory import Run
from agents.settings.arguments import parse_arguments
from agents.settings.config import to_toml
from agents.training import job as training
from envs.durable_files import write_atomic
from pretrained import checkpoint
from rewards.build import build
from tests.agents.helpers import UPDATE, strict, tiny, trained

# -- resuming --------------------------------------------------------------------------------------


def test_resuming_goes_on_where_the_run_ended(tiny_checkpoint, tmp_path):
    straight = trained(tiny(tiny_checkpoint, tmp_path, name="a", n_timesteps=4 * UPDATE, samples=0))
    short = tiny(tiny_checkpoint, tmp_path, name="b", n_timesteps=2 * UPDATE, samples=0)
    run = trained(short)
    before = run.read_metrics()
    policy = run.policy_file.read_bytes()
    with run.metrics_file.open("a") as file:  # a row whose update was never saved
        file.write(run.metrics_file.read_text().splitlines()[-1].replace("512,", "768,", 1) + "\n")
    config, resume = parse_arguments(["--resume", str(run.path), "-n", str(4 * UPDATE)])
    trained(config, resume)
    metrics = run.read_metrics()
    assert metrics["steps"] == [UPDATE, 2 * UPDATE, 3 * UPDATE, 4 * UPDATE]
    assert metrics.keys() == before.keys()
    for name, values in before.items():
        assert metrics[name][:2] == values
    assert metrics["return"][0] == straight.read_metrics()["return"][0]
    assert abs(metrics["kl"][2]) > 1e-4  # not begun anew
    assert run.policy_file.read_bytes() != policy
    assert strict(run.path / "report.json")["steps"] == 4 * UPDATE
    with pytest.raises(ValueError, match=r"has done its 1,024 steps; give a larger -n"):
        training.train(config, resume)


def test_what_is_saved_is_restored_optimiser_included(tiny_checkpoint, tmp_path):
    config = tiny(tiny_checkpoint, tmp_path)
    reward, prior = build(config.reward_spec), checkpoint.load(tiny_checkpoint)
    run = Run.create(config)

    def make():
        return algorithms.make(
            config, CompositionVecEnv(make_env(config.env, config.task, 8)), prior, reward
        )

    first, second = make(), make()
    first.learn(2 * UPDATE)
    run.save(first)
    run.restore(second)
    assert second.num_timesteps == 2 * UPDATE
    for name, weight in first.policy.state_dict().items():
        assert torch.equal(second.policy.state_dict()[name], weight)
    states = [model.policy.optimizer.state_dict()["state"] for model in (first, second)]
    assert states[0].keys() == states[1].keys() != set()
    for number, state in states[0].items():
        for name, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(states[1][number][name]))


def test_resuming_with_another_reward_is_refused(run):
    for flag, word in (("--reward", "tonic=3"), ("--algo", "a2c"), ("--task", "bars=1")):
        config, resume = parse_arguments(["--resume", str(run.path), "-n", "9999", flag, word])
        with pytest.raises(ValueError, match=rf"another {flag[2:]}.*--prior"):
            training.train(config, resume)
    assert len(run.read_metrics()["steps"]) == 3


@pytest.mark.parametrize("damage", ["missing", "truncated", "nonsense"])
def test_a_state_that_cannot_be_resumed_is_named(tiny_checkpoint, tmp_path, damage):
    config = tiny(tiny_checkpoint, tmp_path, n_timesteps=1, samples=0, eval_pieces=1)
    run = trained(config)
    state = run.path / "state.zip"
    whole = state.read_bytes()
    if damage == "missing":
        state.unlink()
    else:
        state.write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"nonsense")
    with pytest.raises(ValueError, match=r"state\.zip"):
        training.train(replace(config, n_timesteps=999), run.path)
    assert len(run.read_metrics()["steps"]) == 1


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    (tmp_path / "report.txt").write_text("whole")

    def full(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_atomic(tmp_path / "report.txt", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["report.txt"]
    assert (tmp_path / "report.txt").read_text() == "whole"


# -- Ctrl-C ----------------------------------------------------------------------------------------


def started(config, path):
    """The command, once its second row of metrics is there."""
    (path / "mine.toml").write_text(to_toml(config))
    command = [sys.executable, "-m", "agents.train", "--config", str(path / "mine.toml")]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[3], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    metrics = config.runs / config.name / "metrics.csv"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and metrics.read_text().count("\n") >= 3):
        assert process.poll() is None, process.communicate()
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail("no two rows of metrics in a minute")
        time.sleep(0.02)
    return process


def test_ctrl_c_saves_and_says_how_to_go_on(tiny_checkpoint, tmp_path):
    config = tiny(tiny_checkpoint, tmp_path / "runs", n_timesteps=500 * UPDATE, samples=0)
    process = started(config, tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    run = Run(config.runs / "tiny")
    assert process.returncode == 130, err
    assert err == ""
    assert "stopped at" in out
    assert f"go on with: python -m agents.train --resume {run.path}" in out
    steps = checkpoint.notes(run.policy_file)["steps"]
    assert f"stopped at {steps:,} of {config.n_timesteps:,} steps, all saved" in out
    assert steps % UPDATE == 0  # of an unfinished update nothing was learned
    assert not (run.path / "report.json").exists()

    words = ["--resume", str(run.path), "-n", str(steps + 2 * UPDATE)]
    trained(*parse_arguments(words))
    rows = run.read_metrics()["steps"]
    assert rows == [UPDATE * (n + 1) for n in range(len(rows))]
    assert rows[-1] == steps + 2 * UPDATE
    assert (run.path / "report.json").exists()


def test_a_second_ctrl_c_stops_at_once_and_saves_too(tiny_checkpoint, tmp_path, monkeypatch):
    append = Run.append_metrics

    def interrupted(self, row):
        append(self, row)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Run, "append_metrics", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    assert train_verb.show(tiny(tiny_checkpoint, tmp_path)) == 130
    assert signal.getsignal(signal.SIGINT) is handler
    assert {"policy.safetensors", "state.zip"} <= {p.name for p in (tmp_path / "tiny").iterdir()}


def test_ctrl_c_works_as_before_after_an_error(tiny_checkpoint, tmp_path, monkeypatch):
    def full(self, row):
        raise OSError("no space left")

    monkeypatch.setattr(Run, "append_metrics", full)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(OSError, match="no space left"):
        train_verb.show(tiny(tiny_checkpoint, tmp_path))
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_in_the_last_update_still_finishes(tiny_checkpoint, tmp_path, monkeypatch):
    config = tiny(tiny_checkpoint, tmp_path, n_timesteps=1, samples=0)
    append = Run.append_metrics

    def interrupted(self, row):
        append(self, row)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Run, "append_metrics", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    assert train_verb.show(config) == 0
    assert (tmp_path / "tiny" / "report.json").exists()
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("victim", ["policy", "state"])
def test_a_full_disk_leaves_the_last_good_save(tiny_checkpoint, tmp_path, monkeypatch, victim):
    run = trained(tiny(tiny_checkpoint, tmp_path, samples=0))
    names = ("policy.safetensors", "state.zip")
    before = {name: (run.path / name).read_bytes() for name in names}
    files = {p.name for p in run.path.iterdir()}

    def full(file):
        if Path(file.name).name.startswith(victim):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("envs.durable_files.sync", full)
    with pytest.raises(OSError, match="No space left"):
        trained(replace(run.config, n_timesteps=6 * 256), run.path)
    monkeypatch.undo()
    assert {name: (run.path / name).read_bytes() for name in names} == before
    assert {p.name for p in run.path.iterdir()} == files
    trained(replace(run.config, n_timesteps=6 * 256), run.path)
