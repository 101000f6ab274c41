"""Runs that are killed, shut out, short of room or of another person's making."""

import contextlib
import errno
import io
import os
import resource
import shutil
import signal
import zipfile
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents import compose, evaluate, explain
from agents import train as train_verb
from agents.runs.directory import Run
from agents.runs.run_lock import BusyError, only_one
from agents.runs.state import Saved
from agents.settings.algorithm import ALGORITHMS
from agents.settings.arguments import parse_arguments
from agents.settings.config import TrainConfig, to_toml
from agents.training import job as training
from tests.agents.helpers import UPDATE, settings_of, tiny, trained
from tests.tools.kill_runs import COMPARED, KINDS, Starter, Trial, same

# -- as if it had never stopped --------------------------------------------------------------------

ALL_KINDS = {"group_size": 4, "buffer_size": 2048}
RUNS = KINDS | {
    name: {"algo": name, **settings_of(name, **ALL_KINDS)}
    for name in ALGORITHMS
    if name not in KINDS
}
del RUNS["ppo, learned reward"]  # runs code, and keeps what it learned in this process
RUNS["rwr"] = RUNS["rwr"] | {"rollouts": 2}  # stopped with a lesson that is not learned yet
RUNS["pcl, sight"] = RUNS["pcl"] | {"sight": True}
RUNS["g"] = RUNS["g"] | {"reward": ("tonic=1", "prior=1")}


def stop_behind(monkeypatch, row, number=signal.SIGINT):
    """Have the process signalled when a row of metrics.csv is written."""
    append = Run.append_metrics

    def signalled(self, values, file=None):
        append(self, values, file)
        if file is None and len(self.read_metrics()["steps"]) == row:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Run, "append_metrics", signalled)


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_that_was_stopped_equals_one_that_was_not(
    tiny_checkpoint, tmp_path, monkeypatch, kind
):
    often = {"save_freq": 2 * UPDATE, "eval_freq": UPDATE, "eval_episodes": 10, "eval_pieces": 5}
    base = tiny(tiny_checkpoint, tmp_path / "alone", n_timesteps=5 * UPDATE, samples=0, **often)
    alone = trained(base.changed(**RUNS[kind]))
    other = replace(alone.config, runs=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        stop_behind(patch, 3)
        assert train_verb.show(other) == 130
    path = tmp_path / "stopped" / "tiny"
    assert 0 < Saved(path / "state.zip").steps < Saved(alone.state_file).steps
    np.random.seed(99)
    trained(*parse_arguments(["--resume", str(path)]))
    for name in COMPARED:
        assert same(path / name, alone.path / name), name


def test_killed_at_any_moment_it_goes_on(tiny_checkpoint, tmp_path):
    trial, rng = (
        Trial("ppo", Starter(), tiny_checkpoint, tmp_path, updates=8),
        np.random.default_rng(0),
    )
    found = trial.kill("run-0", rng)
    while found["kills"] < 5:
        found += trial.kill(f"run-{found['runs']}", rng)
    assert found["ended"] == found["equal"] == found["runs"]
    assert found["readable"] + found["before it began"] == found["kills"]
    assert not found["lost saves"]


def test_what_a_diverged_run_held_before_stays(tiny_checkpoint, tmp_path, monkeypatch):
    config = tiny(tiny_checkpoint, tmp_path, n_timesteps=9 * UPDATE, save_freq=2 * UPDATE)
    measured = []

    def prior_nats(self, rollout):
        measured.append(self.num_timesteps)
        return self.prior.log_prob(rollout.score) * (np.nan if len(measured) == 4 else 1)

    monkeypatch.setattr("agents.training.callbacks.PieceMetrics._prior_nats", prior_nats)
    with pytest.raises(ValueError, match="learning has diverged"):
        training.train(config)
    assert Saved(tmp_path / "tiny" / "state.zip").steps == 2 * UPDATE


# -- before the first save -------------------------------------------------------------------------


def test_a_run_stopped_before_its_first_save_begins_with_its_settings(
    tiny_checkpoint, tmp_path, monkeypatch
):
    alone = trained(tiny(tiny_checkpoint, tmp_path / "alone"))

    def killed(self, model, *kept):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        training.train(replace(alone.config, runs=tmp_path))
    monkeypatch.undo()
    path = tmp_path / "tiny"
    assert not (path / "state.zip").exists()
    with pytest.raises(ValueError, match=r"stopped before its first save; go on with.*--resume"):
        _ = Run(path).saved_policy
    trained(*parse_arguments(["--resume", str(path)]))
    assert all(same(path / name, alone.path / name) for name in COMPARED)


@pytest.mark.parametrize("left", [(), (".lock",), (".lock", "config.toml.part")])
def test_a_name_without_settings_can_be_used_again(tiny_checkpoint, tmp_path, left):
    (tmp_path / "tiny").mkdir()
    for name in left:
        (tmp_path / "tiny" / name).write_text("")
    run = Run.create(tiny(tiny_checkpoint, tmp_path))
    assert run.config.name == "tiny"
    assert {path.name for path in run.path.iterdir()} == {".lock", "config.toml"}


def test_a_folder_with_something_in_it_is_no_new_run(tiny_checkpoint, tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "diary.txt").write_text("dear diary")
    with pytest.raises(ValueError, match="exists and is never overwritten"):
        Run.create(tiny(tiny_checkpoint, tmp_path))


def test_sigterm_saves_as_ctrl_c_does(tiny_checkpoint, tmp_path, monkeypatch, capsys):
    handler = signal.getsignal(signal.SIGTERM)
    stop_behind(monkeypatch, 1, signal.SIGTERM)
    assert train_verb.show(tiny(tiny_checkpoint, tmp_path)) == 143
    assert signal.getsignal(signal.SIGTERM) is handler
    assert Saved(tmp_path / "tiny" / "state.zip").steps == UPDATE
    assert f"stopped at {UPDATE:,} of" in capsys.readouterr().out


def test_a_name_that_is_taken_is_refused_before_any_work(run, monkeypatch):
    def work(config, listener):
        pytest.fail("the prior was loaded and the agent made")

    monkeypatch.setattr(training, "prepare", work)
    with pytest.raises(ValueError, match=r"tiny exists and is never overwritten.*--resume"):
        training.train(run.config)


def test_a_run_stopped_in_its_report_makes_it_when_it_goes_on(tiny_checkpoint, tmp_path):
    run = trained(tiny(tiny_checkpoint, tmp_path))
    files = [run.path / name for name in COMPARED if (run.path / name).is_file()]
    before = {path: path.read_bytes() for path in files}
    for name in ("report.json", "report.txt", "learning_curve.png"):
        (run.path / name).unlink()
    trained(*parse_arguments(["--resume", str(run.path)]))
    assert {path: path.read_bytes() for path in files} == before
    with pytest.raises(ValueError, match="has done its 768 steps"):
        training.train(run.config, run.path)


# -- one at a time, and room for it ----------------------------------------------------------------


def test_a_second_process_is_shut_out(tiny_checkpoint, tmp_path):
    run = Run.create(tiny(tiny_checkpoint, tmp_path))
    with only_one(run.path):
        told = rf"another process is at work in {run.path}; wait for its end"
        with pytest.raises(BusyError, match=told):
            training.train(run.config, run.path)
    assert {path.name for path in run.path.iterdir()} == {".lock", "config.toml"}
    trained(run.config, run.path)


def test_a_new_run_is_locked_from_its_beginning(tmp_path, tiny_checkpoint):
    """So that of two of one name, begun at once, one goes on."""
    config = tiny(tiny_checkpoint, tmp_path)
    with ExitStack() as held:
        run = Run.create(config, held)
        with pytest.raises(BusyError), only_one(run.path):
            pass
        with pytest.raises(BusyError, match="another training is at work"):
            Run.create(config)
    with pytest.raises(ValueError, match="never overwritten"):
        Run.create(config)


def test_nothing_is_made_in_a_folder_that_is_no_run(tmp_path, tiny_checkpoint):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "diary").write_text("mine")
    with pytest.raises(ValueError, match="never overwritten"):
        Run.create(tiny(tiny_checkpoint, tmp_path))
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == ["diary"]


TOO_LARGE = r"tiny/[a-z.]+ could not be written \(File too large\)"


@pytest.mark.parametrize("room", [300, 5_000, 12_000])
def test_without_room_the_last_save_stays_and_is_named(tiny_checkpoint, tmp_path, room):
    run = trained(tiny(tiny_checkpoint, tmp_path, samples=0))
    kept = {name: (run.path / name).read_bytes() for name in ("policy.safetensors", "state.zip")}
    longer = replace(run.config, n_timesteps=6 * UPDATE)
    (run.path / "config.toml").write_text(to_toml(longer))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert room < min(map(len, kept.values()))
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with redirect_stdout(io.StringIO()), pytest.raises(OSError, match=TOO_LARGE) as told:
            training.train(longer, run.path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "The save at 768 steps stays" in str(told.value)
    assert {name: (run.path / name).read_bytes() for name in kept} == kept
    assert not list(run.path.glob("*part*"))
    trained(longer, run.path)
    assert run.read_metrics()["steps"] == [n * UPDATE for n in range(1, 7)]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    opened = Path.open

    def refused(self, mode="r", **named):
        if "r" not in mode:
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        return opened(self, mode, **named)

    monkeypatch.setattr(Path, "open", refused)
    told = r"r/config\.toml could not be written \(Read-only file system\)"
    with pytest.raises(OSError, match=told):
        Run.create(TrainConfig(runs=tmp_path, name="r"))


def test_a_batch_below_a_piece_is_rounded_and_told(tiny_checkpoint, tmp_path, capsys):
    config = tiny(tiny_checkpoint, tmp_path, n_timesteps=1, samples=0)
    assert train_verb.show(config) == 0
    assert "note" not in capsys.readouterr().err
    assert train_verb.show(config.changed(name="small", batch_size=31)) == 0
    told = "note: --batch-size 31 is less than a piece; a minibatch is one whole piece, 32 cells\n"
    assert told in capsys.readouterr().err


# -- what somebody else made -----------------------------------------------------------------------

REWARD = """
from pathlib import Path
import numpy as np

Path("was_run").write_text("")

def smooth(score):
    return np.zeros(score.tokens.shape)
"""


@pytest.fixture(scope="module")
def begun(tiny_checkpoint, tmp_path_factory):
    """Folder of a run whose settings name code, beside that code."""
    folder = tmp_path_factory.mktemp("theirs")
    reward = ("tonic=1", "theirs.py:smooth=1")
    with contextlib.chdir(folder):
        Path("theirs.py").write_text(REWARD)
        trained(tiny(tiny_checkpoint, Path("runs"), reward=reward, n_timesteps=1))
        Path("was_run").unlink()
    return folder


@pytest.fixture
def copied(begun, tmp_path, monkeypatch):
    """A copy of that run, in a copy of its folder, to which the process has gone."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Run(tmp_path / "runs" / "tiny")


@pytest.fixture
def theirs(copied):
    """A run whose settings name code that is not what it was run from."""
    Path("theirs.py").write_text(REWARD + "\n")  # another module: it would be imported again
    (copied.path / "provenance.json").unlink()
    return copied


def test_a_reward_that_was_changed_since_is_told_of(copied, tmp_path, capsys):
    run = copied
    told = "note: reward 'theirs.py:smooth' (theirs.py) is not what the run began with"
    for code, notes in ((REWARD, 0), (REWARD + "\n", 2)):
        Path("theirs.py").write_text(code)
        evaluate.evaluate(evaluate.EvaluateConfig(str(run.path), n=2, trust=True))
        out = tmp_path / f"out{notes}"
        compose.compose(compose.ComposeConfig(str(run.path), n=1, out=out, trust=True))
        assert capsys.readouterr().err.count(told) == notes


COMMANDS = {
    "resume": (train_verb.main, ["--resume", "runs/tiny", "-n", "300"]),
    "config": (train_verb.main, ["--config", "runs/tiny/config.toml", "--name", "again"]),
    "evaluate": (evaluate.main, ["runs/tiny", "-n", "2"]),
    "compose": (compose.main, ["runs/tiny", "-n", "1"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_code_that_a_run_names_needs_trust(theirs, command, monkeypatch, name):
    main, words = COMMANDS[name]
    line = command(main, *words)
    assert "runs/tiny/config.toml would run code: theirs.py:smooth. Nothing was run" in line
    assert line.endswith("add `trust`")
    assert not Path("was_run").exists()
    monkeypatch.setattr("sys.argv", ["prog", *words, "--trust"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert Path("was_run").exists()


def test_code_that_is_typed_is_meant(theirs):
    words = ["--config", str(theirs.config_file), "--reward", "theirs.py:smooth=2"]
    assert parse_arguments(words)[0].reward == ("theirs.py:smooth=2",)
    assert "theirs.py:smooth=2" in parse_arguments(["--reward", "theirs.py:smooth=2"])[0].reward
    with pytest.raises(ValueError, match="would run code: theirs.py:smooth"):
        parse_arguments([*words[:2], "--mask", "theirs.py:smooth"])
    config = compose.ComposeConfig(run=str(theirs.path), reward=("tonic=1",))
    composer = compose.load_composer(config, compose.read_request(config))
    assert set(composer.objective.reward.terms) == {"tonic"}


@pytest.mark.parametrize("value", ["reward", "mask", "env", "--reward", "reward=1"])
@pytest.mark.parametrize("flag", ["--name", "--runs", "--prior", "--start"])
@pytest.mark.parametrize("source", ["--config", "--resume"])
def test_a_value_spelled_like_a_setting_types_no_code(theirs, source, flag, value):
    settings = replace(theirs.config, mask=("theirs.py:smooth=-1",), env="theirs:Melody-v0")
    theirs.config_file.write_text(to_toml(settings))
    words = [source, str(theirs.config_file if source == "--config" else theirs.path)]
    told = "would run code: theirs.py:smooth, theirs:Melody-v0"
    with pytest.raises(ValueError, match=told):
        parse_arguments([*words, f"{flag}={value}"])
    if not value.startswith("--"):
        with pytest.raises(ValueError, match=told):
            parse_arguments([*words, flag, value])


@pytest.mark.parametrize("name", ["reward", "mask", "env"])
def test_a_name_of_a_setting_vouches_for_none(theirs, name):
    code = {"reward": ("theirs.py:smooth=1",), "mask": ("theirs.py:smooth=-1",), "env": "theirs:M"}
    settings = replace(theirs.config, **{"reward": ("tonic=1",), name: code[name]})
    theirs.config_file.write_text(to_toml(settings))
    with pytest.raises(ValueError, match="would run code: theirs"):
        parse_arguments(["--config", str(theirs.config_file), "--name", name])
    typed = code[name] if isinstance(code[name], str) else code[name][0]
    words = ["--config", str(theirs.config_file), f"--{name}", typed]
    assert getattr(parse_arguments(words)[0], name) == code[name]  # the same, but typed


@pytest.mark.parametrize(
    "changes",
    [{"mask": ("theirs.py:smooth=-1",)}, {"env": "theirs:Melody-v0"}, {"reward": ("os:system=1",)}],
    ids=str,
)
def test_masks_environments_and_modules_are_code_too(theirs, command, changes):
    settings = replace(theirs.config, **{"reward": ("tonic=1",), **changes})
    theirs.config_file.write_text(to_toml(settings))
    mains = [(evaluate.main, ()), (compose.main, ())]
    mains += [(explain.main, ())] if "env" in changes else []
    for main, words in mains:
        assert "would run code" in command(main, theirs.path, *words)
    assert not Path("was_run").exists()


def test_explaining_a_run_asks_none_of_its_rewards(theirs, monkeypatch):
    monkeypatch.setattr("sys.argv", ["prog", str(theirs.path), "--prior", "none"])
    with pytest.raises(SystemExit) as ended:
        explain.main()
    assert ended.value.code == 0
    assert not Path("was_run").exists()


def test_a_state_with_pickles_in_it_is_not_read(run, tmp_path):
    file = tmp_path / "state.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data", "{}")
        archive.writestr("policy.pth", b"cos\nsystem\n(S'touch was_run'\ntR.")
    with pytest.raises(ValueError, match=r"cannot be resumed from \(it was saved by an earlier"):
        Saved(file)
