"""Training as a library, in a thread and silent; and a process that is stopped early."""

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.runs.directory import Run
from agents.settings import TrainConfig
from agents.settings.arguments import parse_arguments
from agents.settings.config import to_toml
from agents.training import Listener, job, train
from envs.music.task import Task
from tests.agents.helpers import UPDATE, tiny, trained
from tests.tools.kill_runs import COMPARED, same


def test_it_trains_in_a_thread_prints_nothing_and_returns_the_run(
    tiny_checkpoint, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("sys.argv", ["notebook", "--no-such-flag"])
    config = TrainConfig(
        task=Task(bars=1), n_timesteps=UPDATE, prior=str(tiny_checkpoint), runs=tmp_path,
        reward=("tonic=1",), n_envs=8, eval_pieces=20, samples=1, judge=False, device="cpu",
    )  # fmt: skip
    runs, handler = [], signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: runs.append(train(config)))
    thread.start()
    thread.join()
    assert capsys.readouterr() == ("", "")
    assert signal.getsignal(signal.SIGINT) is handler
    (run,) = runs
    assert run.config.task == Task(bars=1)
    assert run.reported >= UPDATE
    assert run.policy_file.is_file()


def test_threads_and_random_generators_are_put_back(tiny_checkpoint, tmp_path):
    threads = torch.get_num_threads()
    python, arrays, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
    train(tiny(tiny_checkpoint, tmp_path, n_timesteps=1, samples=0, threads=threads + 1))
    assert torch.get_num_threads() == threads
    assert random.getstate() == python
    assert np.array_equal(np.random.get_state()[1], arrays[1])
    assert torch.equal(torch.get_rng_state(), tensors)
    with pytest.raises(ValueError, match="never overwritten"):
        train(tiny(tiny_checkpoint, tmp_path, threads=threads + 1))
    assert torch.get_num_threads() == threads


def globals_of_the_process():
    numpy = np.random.get_state(legacy=False)
    return (
        torch.get_num_threads(), random.getstate(), torch.get_rng_state().tolist(),
        numpy["state"]["key"].tolist(), numpy["state"]["pos"], list(warnings.filters),
        list(logging.root.handlers), logging.root.level,
    )  # fmt: skip


def test_trainings_of_two_threads_do_not_disturb_each_other_or_the_process(
    tiny_checkpoint, tmp_path
):
    config = tiny(tiny_checkpoint, tmp_path / "alone", n_timesteps=2 * UPDATE, samples=0)
    alone, before = train(config), globals_of_the_process()
    folders = [tmp_path / "one", tmp_path / "two"]
    threads = [
        threading.Thread(target=train, args=(config.changed(runs=folder),)) for folder in folders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert globals_of_the_process() == before
    for folder in folders:
        assert all(same(folder / "tiny" / name, alone.path / name) for name in COMPARED)


FIRST = """
import logging, sys, warnings
from pathlib import Path
from agents.settings.config import read_toml
from agents.training import train
import agents.training.job
before = list(warnings.filters), list(logging.root.handlers), logging.root.level
train(read_toml(Path(sys.argv[1])))
assert (list(warnings.filters), list(logging.root.handlers), logging.root.level) == before
"""


def test_the_first_training_of_a_process_prints_nothing_and_changes_no_filters(
    tiny_checkpoint, tmp_path
):
    (tmp_path / "own.toml").write_text(to_toml(tiny(tiny_checkpoint, tmp_path, judge=True)))
    done = subprocess.run(
        [sys.executable, "-c", FIRST, str(tmp_path / "own.toml")], cwd=Path(__file__).parents[3],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_refused_training_leaves_no_folder(tiny_checkpoint, tmp_path):
    folder = tmp_path / "made" / "runs"
    with pytest.raises(ValueError, match="no checkpoint|ppo cannot act"):
        train(tiny(tiny_checkpoint, folder, mask=("key",)))
    assert list(tmp_path.iterdir()) == []


class Notebook(Listener):
    def __init__(self, most):
        self.heard, self.most = [], most

    def begun(self, run, config):
        self.heard.append(("begun", run.path.name, config.algo))

    def noted(self, text):
        self.heard.append(("noted", text))

    def stepped(self, steps):
        return steps < self.most

    def updated(self, row):
        self.heard.append(("updated", row["steps"]))

    def learned(self):
        self.heard.append("learned")


def test_a_listener_hears_of_it_and_may_stop_it(tiny_checkpoint, tmp_path):
    notebook = Notebook(UPDATE + 16)
    run = train(tiny(tiny_checkpoint, tmp_path, batch_size=31), listener=notebook)
    assert notebook.heard[0][0] == "noted"
    assert "--batch-size 31" in notebook.heard[0][1]
    assert notebook.heard[1:] == [("begun", "tiny", "ppo"), ("updated", UPDATE), "learned"]
    assert run.saved == UPDATE
    assert run.reported == -1
    on = train(run.config, run.path)
    assert on.reported == run.config.n_timesteps


# -- in one line -----------------------------------------------------------------------------------


def test_a_gpu_that_is_not_there_is_refused(tiny_checkpoint, tmp_path):
    with pytest.raises(ValueError, match="cuda:99"):
        train(tiny(tiny_checkpoint, tmp_path, device="cuda:99"))


@pytest.mark.parametrize(
    "error", [MemoryError("no room"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_too_little_memory_names_the_setting(tiny_checkpoint, tmp_path, monkeypatch, error):
    def full(config, listener):
        raise error

    monkeypatch.setattr(job, "prepare", full)
    with pytest.raises(ValueError, match="n_envs=8.*memory"):
        train(tiny(tiny_checkpoint, tmp_path))


def test_other_faults_stay_what_they_are(tiny_checkpoint, tmp_path, monkeypatch):
    def broken(config, listener):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(job, "prepare", broken)
    with pytest.raises(RuntimeError, match="of ours"):
        train(tiny(tiny_checkpoint, tmp_path))


# -- stopped in the first seconds ------------------------------------------------------------------


def process_of(config, folder):
    (folder / "own.toml").write_text(to_toml(config))
    words = ["-m", "agents.train", "--config", str(folder / "own.toml")]
    return subprocess.Popen(
        [sys.executable, *words], cwd=Path(__file__).parents[3], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_run_stopped_as_soon_as_it_is_there_goes_on(tiny_checkpoint, tmp_path, number):
    config = tiny(tiny_checkpoint, tmp_path / "runs", n_timesteps=500 * UPDATE, samples=0)
    process = process_of(config, tmp_path)
    assert "tiny: ppo on composition/RLTuner-v0" in process.stdout.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    path = tmp_path / "runs" / "tiny"
    assert err == ""
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        assert f"--resume {path}" in out
    assert Run(path).saved <= 0  # nothing was learned: it goes on as if it had never been stopped
    resumed, _ = parse_arguments(["--resume", str(path), "-n", str(2 * UPDATE)])
    run = trained(resumed, path)
    alone = trained(resumed.changed(runs=tmp_path / "alone"))
    assert all(same(run.path / name, alone.path / name) for name in COMPARED)


@pytest.mark.parametrize("seed", range(5))
def test_a_run_stopped_in_its_first_seconds_is_understood(tiny_checkpoint, tmp_path, seed):
    """Stopped at a random moment: as it imports, prepares, begins or learns."""
    rng = np.random.default_rng(seed)
    config = tiny(tiny_checkpoint, tmp_path / "runs", n_timesteps=5000 * UPDATE, samples=0)
    process, path = process_of(config, tmp_path), tmp_path / "runs" / "tiny"
    deadline = time.monotonic() + 60
    while seed % 2 and not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # it has begun to prepare
    time.sleep(rng.uniform(0, 2) / (1 + seed % 2))
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode in (143, -signal.SIGTERM)
    if not path.exists():
        assert f"--resume {path}" not in out
        return
    assert f"--resume {path}" in out
    saved = max(0, Run(path).saved)
    resumed, _ = parse_arguments(["--resume", str(path), "-n", str(saved + UPDATE)])
    assert trained(resumed, path).saved == saved + UPDATE


def test_a_process_stopped_before_its_run_began_leaves_nothing(tiny_checkpoint, tmp_path):
    process = process_of(tiny(tiny_checkpoint, tmp_path / "runs"), tmp_path)
    time.sleep(0.3)  # while it imports, or reads its prior
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode in (143, -signal.SIGTERM)
    assert not (tmp_path / "runs" / "tiny" / "policy.safetensors").exists()


@pytest.mark.parametrize("config", [None, {"n_timesteps": 3}])
def test_settings_of_another_type_are_refused(config):
    with pytest.raises(TypeError, match="expected a TrainConfig"):
        train(config)
