"""Wrong input of users: one line that says what to do, no traceback, no files left."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import gymnasium
import pytest

from agents import compose, evaluate
from agents import train as train_verb
from agents.runs.directory import Run
from agents.settings import commands
from agents.settings.config import TrainConfig, to_toml
from envs.music.codec import Codec
from pretrained import checkpoint
from pretrained.networks.recurrent import NetShape, RecurrentNet

REWARDS = """
import numpy as np

SIZE = 3

def fine(score):
    return np.zeros(score.tokens.shape)

def raises(score):
    raise KeyError("swing")

def nan(score):
    value = np.zeros(score.tokens.shape)
    value[1, 0, 5] = np.nan
    return value

def infinite(score):
    return np.full(score.batch, np.inf)

def wide(score):
    return np.zeros(score.tokens.shape[0] * 2)

def cells(score):
    return np.zeros(score.tokens.shape[2])

def a_list(score):
    return [0.0] * score.batch

def a_number(score):
    return 1.0

def nothing(score):
    return None

def words(score):
    return np.array(["a"] * score.batch)

def with_parameter(score, *, size=1):
    return fine(score)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in with a file of rewards, good and bad."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(REWARDS)
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "typo.py").write_text("def f(score)\n    return 1\n")
    return tmp_path


@pytest.fixture
def train(command, tiny_checkpoint):
    """The training command on a task of one bar, as far as the words leave it that."""

    def fail(*words):
        base = {"--prior": tiny_checkpoint, "--n-envs": 4, "--batch-size": 64, "-n": 64}
        base |= {"--device": "cpu", "--threads": 1, "--eval-pieces": 1, "--samples": 0}
        given = [word for pair in base.items() if pair[0] not in words for word in pair]
        for flag, usual in (("--reward", "tonic=1"), ("--task", "bars=1")):
            if flag not in words:
                given += [flag, usual]
        return command(train_verb.main, "--no-progress", *given, *words)

    return fail


BEFORE_TRAINING = {
    "environment": (["--env", "composition/RLTune-v0"], "`RLTune` doesn't exist.*`RLTuner`"),
    "other environment": (["--env", "CartPole-v1"], "'CartPole-v1' is no composition environment"),
    "argument": (["--task", "bard=4"], "unknown environment argument 'bard'. Did you mean 'bars'?"),
    "argument's type": (["--task", "bars=many"], "bars: expected a whole number, got 'many'"),
    "argument's range": (["--task", "bars=99"], r"bars=99: expected 1\.\.64"),
    "argument's form": (["--task", "bars"], "'bars': expected name=value, such as bars=8"),
    "argument twice": (["--task", "bars=1", "bars=2"], "'bars' is given twice; expected it once"),
    "range upside down": (["--task", "low=C5", "high=C4"], "lowest pitch C5 is above"),
    "metre": (["--task", "meter=waltz"], "waltz"),
    "reward": (
        ["--reward", "leap_recover=1"],
        "unknown reward 'leap_recover'. Did you mean 'leap_recovery'?.*'file.py:function'",
    ),
    "reward twice": (["--reward", "tonic=1", "tonic=2"], "'tonic' is given twice"),
    "weight": (["--reward", "tonic=much"], "weight 'much', expected a finite number"),
    "weight not finite": (["--reward", "tonic=nan"], "weight nan, expected a finite number"),
    "parameter": (
        ["--reward", "leap_recovery=1,min_lap=7"],
        "no parameter 'min_lap'. Did you mean 'min_leap'?",
    ),
    "own parameter": (["--reward", "mine.py:with_parameter=1,sise=2"], "Did you mean 'size'?"),
    "missing file": (["--reward", "your.py:fine=1"], "no file 'your.py' in /"),
    "missing module": (["--reward", "your.things:fine=1"], r"cannot be imported.*your/things\.py"),
    "missing attribute": (
        ["--reward", "mine.py:fin=1"],
        "mine.py has no attribute 'fin'. Did you mean 'fine'?",
    ),
    "not callable": (["--reward", "mine.py:SIZE=1"], "'mine.py:SIZE' is int, expected a function"),
    "file that raises": (
        ["--reward", "broken.py:f=1"],
        "broken.py failed: ModuleNotFoundError: No module named 'nothing_of_this_name'",
    ),
    "file with a typo": (["--reward", "typo.py:f=1"], "typo.py failed: SyntaxError"),
    "algorithm": (["--algo", "pp"], "unknown algorithm 'pp'. Did you mean 'ppo'?"),
    "device": (["--device", "gpu"], "unknown device 'gpu'; expected auto, cpu or cuda"),
    "device of no memory": (["--device", "meta"], "unknown device 'meta'; expected auto, cpu"),
    "device of no number": (["--device", "cuda:x"], "unknown device 'cuda:x'; expected"),
    "missing prior": (["--prior", "volk"], "no checkpoint 'volk': expected a .safetensors file"),
    "grid of the prior": (
        ["--task", "bars=1", "grid=2"],
        "the prior knows 4 cells per quarter note, the task has 2; ask for grid=4, or retrain",
    ),
    "prior of the reward": (
        ["--reward", "prior=1,checkpoint=volk"],
        "no checkpoint 'volk': expected a .safetensors file",
    ),
    "missing config": (["--config", "mine.toml"], "mine.toml"),
    "no run": (["--resume", "runs"], "runs is no run directory: it has no config.toml"),
}


@pytest.mark.parametrize(("words", "message"), BEFORE_TRAINING.values(), ids=BEFORE_TRAINING)
def test_a_mistake_is_named_before_anything_is_made(place, train, words, message):
    before = sorted(place.iterdir())
    assert_says(train(*words), message)
    assert [path for path in sorted(place.iterdir()) if path.name != "__pycache__"] == before


def assert_says(line, pattern):
    """The parts of the pattern, literally and in this order; .* stands for anything between."""
    at = 0
    for part in pattern.replace("\\", "").split(".*"):
        assert part in line[at:], line
        at = line.index(part, at) + len(part)


DURING_TRAINING = {
    "raises": "reward term 'mine.py:raises' raised KeyError: 'swing'",
    "nan": "'mine.py:nan' returned nan for piece 1, cell 5; expected finite numbers",
    "infinite": "'mine.py:infinite' returned inf for piece 0; expected finite numbers",
    "wide": "shape (4,) for 2 pieces of 1x16 cells; expected (2, 1, 16) per cell or (2,) per piece",
    "cells": "shape (16,) for 2 pieces",
    "a_list": "returned list, expected a numpy array of real numbers with shape (2, 1, 16)",
    "a_number": "returned float, expected a numpy array",
    "nothing": "returned NoneType, expected a numpy array",
    "words": "returned ndarray of <U1, expected a numpy array of real numbers",
}


@pytest.mark.parametrize(("name", "message"), DURING_TRAINING.items(), ids=DURING_TRAINING)
def test_a_bad_reward_is_named(place, train, name, message):
    line = train("--reward", f"mine.py:{name}=1", "tonic=1", "--name", "x")
    assert message in line
    assert f"mine.py:{name}" in line


# -- checkpoints -----------------------------------------------------------------------------------


def truncated(path, whole):
    path.write_bytes(whole[: len(whole) // 2])


def random_bytes(path, whole):
    path.write_bytes(bytes(range(256)) * 20)


def empty(path, whole):
    path.write_bytes(b"")


def not_finite(path, whole):
    prior = checkpoint.load(path)
    prior.net.head.bias.data[3] = float("nan")
    checkpoint.save(path, prior.net, prior.codec)


def other_format(path, whole):
    from safetensors.torch import save_file

    head = {checkpoint.HEADER: json.dumps({"format": "another/1"})}
    save_file({"x": checkpoint.load(path).net.head.bias.data}, path, head)


def other_grid(path, whole):
    codec = Codec(grid=2)
    checkpoint.save(path, RecurrentNet(NetShape(codec.vocab, hidden=4, embed=4)), codec)


def header(**changes):
    def damage(path, whole):
        from safetensors.torch import save_file

        head, tensors = checkpoint.read(path)
        save_file(tensors, path, {checkpoint.HEADER: json.dumps(head | changes)})

    return damage


DAMAGES = {
    "truncated": (truncated, "is not a whole safetensors file"),
    "random bytes": (random_bytes, "is not a whole safetensors file"),
    "empty": (empty, "is not a whole safetensors file"),
    "not finite": (not_finite, "holds numbers that are not finite in 'head.bias'"),
    "other format": (
        other_format,
        "has format 'another/1', expected a known architecture",
    ),
    "other grid": (other_grid, "the prior knows 2 cells per quarter note, the task has 4"),
    "other sizes": (
        header(shape=asdict(NetShape(38, hidden=8, embed=8))),
        "does not describe its network",
    ),
    "huge sizes": (
        header(shape={"vocab": 38, "hidden": 10**9, "layers": 1, "embed": 8}),
        "does not describe its network",
    ),
    "no sizes": (header(shape=[]), "does not describe its network"),
    "codec of another size": (
        header(codec={"low": 40, "high": 83, "grid": 4}),
        "does not describe its network",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_named(place, train, tiny_checkpoint, damage, message):
    path = place / "bad.safetensors"
    path.write_bytes(tiny_checkpoint.read_bytes())
    damage(path, path.read_bytes())
    line = train("--prior", path)
    assert message in line
    assert str(path) in line
    assert not (place / "runs").exists()


# -- run directories -------------------------------------------------------------------------------


@pytest.fixture
def run(place, tiny_checkpoint):
    """A run that has only begun, but has a policy."""
    config = TrainConfig(prior=str(tiny_checkpoint), name="tiny", task=("bars=1",), reward=("key",))
    made = Run.create(config)
    made.policy_file.write_bytes(tiny_checkpoint.read_bytes())
    return made


def test_an_existing_run_is_named(run, train):
    line = train("--name", "tiny")
    assert "runs/tiny exists and is never overwritten; go on with --resume runs/tiny" in line
    left = {path.name for path in run.path.iterdir()}
    assert left == {".lock", "config.toml", "policy.safetensors"}


def test_a_run_without_a_state_is_named(run, command):
    line = command(train_verb.main, "--resume", run.path)
    assert "has no state.zip to resume from; start a new run" in line


def test_a_run_folder_that_is_a_file_is_named(place, train):
    (place / "file").write_text("")
    assert "file" in train("--runs", "file")


@pytest.mark.parametrize("main", [compose.main, evaluate.main], ids=["compose", "evaluate"])
@pytest.mark.parametrize("name", ["nowhere", ".", "mine.py"])
def test_what_is_no_run_directory_is_named(place, command, main, name):
    line = command(main, name)
    assert f"{name} is no run directory: it has no config.toml" in line
    assert "python -m agents.train" in line


@pytest.mark.parametrize("main", [compose.main, evaluate.main], ids=["compose", "evaluate"])
def test_a_run_without_a_policy_is_named(run, command, main):
    run.policy_file.unlink()
    assert "policy.safetensors" in command(main, run.path)


@pytest.mark.parametrize("main", [compose.main, evaluate.main], ids=["compose", "evaluate"])
def test_a_policy_of_another_grid_is_named(run, command, main):
    settings = replace(run.config, task=("bars=1", "grid=8"))
    (run.path / "config.toml").write_text(to_toml(settings))
    line = command(main, run.path)
    assert "the prior knows 4 cells per quarter note, the task has 8" in line


def test_a_damaged_config_is_named(run, command):
    (run.path / "config.toml").write_text("seed = [")
    assert "config.toml is not TOML" in command(compose.main, run.path)
    (run.path / "config.toml").write_text("sead = 1")
    assert "Did you mean 'seed'?" in command(evaluate.main, run.path)


PRIMERS = {
    "outside the vocabulary": ("C9", "pitch C9 (MIDI 120) is outside the range C3-B5"),
    "no pitch": ("H4", "'H4' is not a pitch; expected a note and octave such as 'C4'"),
    "no length": ("C4:x", "word 1, 'C4:x': expected a note or rest"),
    "as long as the piece": ("C4:16", "primer has 16 cells and the piece 16"),
    "longer than the piece": ("C4 D4 E4 F4 G4", "primer has 20 cells and the piece 16"),
    "nothing in it": (" ;", "primer has 2 voices and the piece 1"),
    "two voices": ("C4 ; E4", "primer has 2 voices and the piece 1; part them by ';'"),
}


@pytest.mark.parametrize(("primer", "message"), PRIMERS.values(), ids=PRIMERS)
def test_a_bad_primer_is_named(run, command, primer, message):
    line = command(compose.main, run.path, "--primer", primer, "--out", "out")
    assert message in line
    assert not Path("out").exists()


def test_a_primer_outside_the_tasks_range_is_named(run, command):
    settings = replace(run.config, task=("bars=1", "low=C4", "high=C5"))
    (run.path / "config.toml").write_text(to_toml(settings))
    line = command(compose.main, run.path, "--primer", "C4 B3", "--out", "out")
    assert "primer: token 13 is outside the range" in line
    assert "(C4 to C5)" in line
    assert not Path("out").exists()


@pytest.mark.parametrize("temperature", ["0", "-1", "nan"])
@pytest.mark.parametrize("main", [compose.main, evaluate.main], ids=["compose", "evaluate"])
def test_a_bad_temperature_is_named(run, command, main, temperature):
    line = command(main, run.path, "--temperature", temperature, "-n", "1")
    assert "expected a number above 0" in line
    assert not Path("melodies").exists()


# -- the door --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("two\n  lines"), "error: two lines\n"),
        (ValueError("\x1b]0;mine\x07\x9b2J"), "error: \\x1b]0;mine\\x07\\x9b2J\n"),
        (ValueError("turned round: \u202e"), "error: turned round: \\u202e\n"),
        (ValueError("not encoded: \udc80"), "error: not encoded: \\udc80\n"),
        (OSError(28, "No space left on device"), "error: No space left on device\n"),
        (gymnasium.error.NameNotFound("no such id"), "error: no such id\n"),
        (TypeError(), "error: TypeError\n"),
        (KeyboardInterrupt(), "error: stopped\n"),
    ],
)
def test_what_a_person_can_mend_is_one_line(error, said, capsys):
    def action():
        raise error

    with pytest.raises(SystemExit) as ended:
        commands.run(action)
    assert ended.value.code == 2
    assert capsys.readouterr().err == said


def test_what_a_person_cannot_mend_shows_where():
    def action():
        raise AssertionError("a fault of ours")

    with pytest.raises(AssertionError, match="a fault of ours"):
        commands.run(action)


@pytest.mark.parametrize(("status", "code"), [(None, 0), (0, 0), (130, 130)])
def test_the_status_is_passed_on(status, code):
    with pytest.raises(SystemExit) as ended:
        commands.run(lambda: status)
    assert ended.value.code == code
