"""Run directories that somebody else has filled: links, pipes, numbers that are none."""

import json
import os
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes

from agents import compose, evaluate, explain
from agents import train as train_verb
from agents.runs.directory import Run
from agents.runs.state import FACTS, MOST_BYTES, TENSORS
from agents.settings.config import to_toml
from agents.training import job as training
from envs.durable_files import append, clear_parts, read_facts, read_text, write_atomic
from tests.agents.helpers import UPDATE

# -- links -----------------------------------------------------------------------------------------


@pytest.fixture
def theirs(run, tmp_path, monkeypatch):
    """A copy of a finished run, beside a file that is nobody's business."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run.path, "theirs")
    Path("victim").write_text("mine")
    return Run("theirs")


def longer(run):
    return ["--resume", str(run.path), "-n", str(4 * UPDATE), "--save-freq", "1"]


def succeeds(main, *words):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["prog", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0


def test_no_file_is_written_through_a_link(theirs):
    names = ("evaluation.json", "config.toml", "state.zip", "policy.safetensors", "report.json")
    names += ("metrics.csv", "report.txt", "learning_curve.png", "samples/melodies.txt")
    for name in names:
        for part in (f"{name}.part", f"{name}.0.part"):
            (theirs.path / part).symlink_to(Path("victim").absolute())
    succeeds(evaluate.main, theirs.path, "-n", "4")
    assert (theirs.path / "evaluation.json").is_file()
    succeeds(train_verb.main, *longer(theirs))
    assert Path("victim").read_text() == "mine"
    assert not list(theirs.path.rglob("*.part"))


@pytest.mark.parametrize("name", ["samples", ".lock", "metrics.csv"])
def test_a_link_among_a_runs_own_is_refused(theirs, command, name):
    path = theirs.path / name
    inside = Path("victim_folder" if name == "samples" else "victim").absolute()
    if name == "samples":
        path.rename(path.with_name("samples of old"))
        inside.mkdir()
        (inside / "diary.part").write_text("dear diary")
    elif name == "metrics.csv":
        inside.write_bytes(path.read_bytes())
    if name != "samples":
        path.unlink()
    path.symlink_to(inside)
    before = inside.read_bytes() if inside.is_file() else sorted(inside.iterdir())
    line = command(train_verb.main, *longer(theirs))
    assert f"{path} could not be written (it is a symbolic link to somewhere else" in line
    assert (inside.read_bytes() if inside.is_file() else sorted(inside.iterdir())) == before


def test_what_is_replaced_is_the_link_and_not_what_it_points_to(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "report.txt").symlink_to("victim")
    write_atomic(tmp_path / "report.txt", "new")
    assert (tmp_path / "victim").read_text() == "mine"
    assert (tmp_path / "report.txt").read_text() == "new"


def test_files_are_as_readable_as_others(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a", "a")
        append(tmp_path / "b", "b")
    finally:
        os.umask(before)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in "ab"} == {0o640}


def test_what_a_killed_process_left_is_cleared_and_no_folder(tmp_path):
    (tmp_path / "a.0123abcd.part").write_text("half")
    (tmp_path / "state.part.zip").write_text("half")
    (tmp_path / "b.part").symlink_to("nowhere")
    (tmp_path / "c.part").mkdir()
    (tmp_path / "whole").write_text("whole")
    clear_parts(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"c.part", "whole"}


# -- states ----------------------------------------------------------------------------------------


def repacked(run, changes=None, tensors=None, compression=zipfile.ZIP_STORED):
    """The state of a run, changed, as a file beside it."""
    with zipfile.ZipFile(run.state_file) as archive:
        facts, kept = json.loads(archive.read(FACTS)), archive.read(TENSORS)
    if changes:
        changes(facts)
    with zipfile.ZipFile(run.state_file, "w", compression) as archive:
        archive.writestr(FACTS, json.dumps(facts) if isinstance(facts, dict) else facts)
        archive.writestr(TENSORS, kept if tensors is None else tensors)


def put(*keys, value):
    def change(facts):
        for key in keys[:-1]:
            facts = facts[key]
        facts[keys[-1]] = value

    return change


def torch_at(place, value):
    def change(facts):
        facts["generators"]["torch"][place : place + 8] = list(value.to_bytes(8, "little"))

    return change


NUMPY = ("generators", "numpy")
HOSTILE = {
    "numpy's place": (put(*NUMPY, "state", "pos", value=10**9), "1000000000, expected 0 to 624"),
    "numpy before its place": (put(*NUMPY, "state", "pos", value=-1), "expected 0 to 624"),
    "numpy's place a word": (put(*NUMPY, "state", "pos", value="0"), "expected 0 to 624"),
    "numpy's key": (put(*NUMPY, "state", "key", value=[0] * 3), "624 words"),
    "numpy's key deep": (put(*NUMPY, "state", "key", value=[[0]] * 624), "624 words"),
    "numpy's key large": (put(*NUMPY, "state", "key", value=[2**32] * 624), "624 words"),
    "numpy's kind": (put(*NUMPY, "bit_generator", value="PCG64"), ""),
    "numpy's gauss": (put(*NUMPY, "gauss", value=float("inf")), "not finite"),
    "no numpy": (put(*NUMPY, value=[]), ""),
    "python": (put("generators", "python", value=[3, [1, 2], None]), ""),
    "python's place": (put("generators", "python", 1, 624, value=10**6), ""),
    "torch": (put("generators", "torch", value=[1, 2, 3]), ""),
    "torch no bytes": (put("generators", "torch", 7, value=256), ""),
    "torch's place": (torch_at(16, 624), "past its end"),
    "torch's place far": (torch_at(16, 2**60), ""),
    "a GPU's": (put("generators", "cuda", value=[1]), "not 16 bytes"),
    "no environment": (put("generators", "envs", value=[]), ""),
    "environment": (put("generators", "envs", 0, value={"bit_generator": "MT19937"}), ""),
    "environment's words": (put("generators", "envs", 0, "state", "inc", value=-1), ""),
    "a generator more": (put("generators", "others", value=[]), ""),
    "generators": (put("generators", value=None), ""),
    "steps": (put("num_timesteps", value=float("inf")), ""),
    "steps below 0": (put("num_timesteps", value=-1), "it has -1 steps"),
    "many steps": (put("num_timesteps", value=10**30), "000 steps"),
    "updates": (put("n_updates", value=None), ""),
    "format": (put("format", value=[]), "it has format []"),
}


@pytest.mark.parametrize(("change", "told"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_state_is_named(theirs, command, change, told):
    repacked(theirs, change)
    line = command(train_verb.main, *longer(theirs))
    assert f"{theirs.state_file} cannot be resumed from (" in line
    assert told in line
    assert f"start a new run from the policy with --prior {theirs.path}" in line


def test_a_state_that_swells_is_not_read(theirs, command, monkeypatch):
    repacked(theirs, tensors=b"0" * 10**7, compression=zipfile.ZIP_DEFLATED)
    assert "state.json in it is compressed" in command(train_verb.main, *longer(theirs))
    repacked(theirs, tensors=b"0" * 10**5)
    monkeypatch.setitem(MOST_BYTES, TENSORS, 10**4)
    told = "tensors.safetensors in it has 100,000 bytes, expected 10,000 at most"
    assert told in command(train_verb.main, *longer(theirs))


def test_an_optimiser_of_other_weights_is_named(theirs, command):
    with zipfile.ZipFile(theirs.state_file) as archive:
        tensors = from_bytes(archive.read(TENSORS))
    name = next(name for name in tensors if name.endswith("exp_avg"))
    repacked(theirs, tensors=to_bytes(tensors | {name: torch.zeros(3, 3, 3)}))
    assert "has another size than it" in command(train_verb.main, *longer(theirs))
    repacked(theirs, tensors=to_bytes(tensors | {"optimiser.99.step": torch.zeros(())}))
    assert "a weight number 99" in command(train_verb.main, *longer(theirs))


# -- what is read ----------------------------------------------------------------------------------


PROVENANCE = {"a list": "[]", "nothing": "null", "cut off": "{", "deep": "[" * 10**5}


@pytest.mark.parametrize("text", PROVENANCE.values(), ids=PROVENANCE)
def test_a_damaged_provenance_is_named(theirs, command, text):
    theirs.provenance_file.write_text(text)
    line = command(train_verb.main, *longer(theirs))
    assert f"{theirs.provenance_file} is damaged: expected a JSON object" in line


def test_a_provenance_of_odd_parts_is_of_another_run(theirs, command):
    facts = read_facts(theirs.provenance_file)
    theirs.provenance_file.write_text(json.dumps(facts | {"prior": 3, "rewards": []}))
    assert "is not what the run began with" in command(train_verb.main, *longer(theirs))


@pytest.mark.parametrize("text", ['{"steps": 1e999}', '{"steps": []}', "[]", "7", "{"])
def test_a_damaged_report_is_none(theirs, text):
    (theirs.path / "report.json").write_text(text)
    assert theirs.reported == -1


def test_metrics_without_a_column_are_named(theirs, command):
    theirs.metrics_file.write_text("steps,profit\n256,1\n")
    line = command(train_verb.main, *longer(theirs))
    assert f"{theirs.metrics_file} has no column 'return'; expected steps, return, " in line


@pytest.mark.parametrize(("c", "kl"), [("0", "0.1"), ("-1", "1"), ("nan", "1"), ("1", "inf")])
def test_metrics_that_no_controller_leaves_are_named(theirs, command, c, kl):
    settings = replace(theirs.config, kl_budget=0.3, reward=("tonic=1", "prior=1"))
    theirs.config_file.write_text(to_toml(settings))
    theirs.metrics_file.write_text(f"steps,c,kl\n256,{c},{kl}\n")
    line = command(compose.main, theirs.path, "--out", "out")
    assert f"{theirs.metrics_file}: c={c}, kl={kl}; expected c above 0 and a KL" in line
    theirs.metrics_file.write_text("steps,return\n256,1\n")
    assert "has no column 'c'; expected c, kl" in command(compose.main, theirs.path)


@pytest.mark.parametrize("name", ["metrics.csv", "provenance.json", "evaluations.csv"])
def test_a_pipe_does_not_hang_a_resumed_run(theirs, name):
    (theirs.path / name).unlink(missing_ok=True)
    os.mkfifo(theirs.path / name)
    if name == "provenance.json":  # the run writes one of its own
        succeeds(train_verb.main, *longer(theirs))
        assert "packages" in read_facts(theirs.provenance_file)
    else:
        with pytest.raises(ValueError, match=rf"{name} is no file; expected text"):
            training.train(theirs.config, theirs.path)


def test_a_pipe_is_no_report_and_nothing_to_append_to(theirs, tmp_path):
    (theirs.path / "report.json").unlink()
    os.mkfifo(theirs.path / "report.json")
    assert theirs.reported == -1
    with pytest.raises(OSError, match=r"report\.json could not be written"):
        append(theirs.path / "report.json", "line")


def test_more_than_a_file_may_have_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"12345\xff")
    assert read_text(tmp_path / "a", 6) == "12345\ufffd"
    with pytest.raises(ValueError, match="more than the 5 bytes"):
        read_text(tmp_path / "a", 5)
    with pytest.raises(ValueError, match="is no file"):
        read_text(Path("/dev/zero"))


def test_rows_of_no_steps_are_none(theirs):
    rows = theirs.read_metrics()["steps"]
    with theirs.metrics_file.open("a") as file:
        last = theirs.metrics_file.read_text().splitlines()[-1]
        for steps in ("inf", "nan", "1e999"):
            file.write(f"{steps},{last.partition(',')[2]}\n")
    assert theirs.read_metrics()["steps"] == rows


# -- names -----------------------------------------------------------------------------------------

ESCAPE = "\x1b]0;hacked\x07"


def test_no_sample_is_explained_outside_of_the_folder(theirs, command):
    sample = next(theirs.samples.glob("*.musicxml"))
    for name in ("...musicxml", "..musicxml"):
        moved = sample.rename(theirs.samples / name)
        words = ("--reward", "in_key", "--prior", "none", "--out", "out/inner")
        line = command(explain.main, theirs.path, *words)
        assert f"'{name}': nothing can be written under this name; rename the sample" in line
        assert not Path("out").exists()
        sample = moved


def test_a_terminal_obeys_no_run(theirs, command, capsys):
    for sample in theirs.samples.glob("*.musicxml"):
        sample.rename(theirs.samples / f"{ESCAPE}{sample.name}")
        text = (theirs.samples / f"{ESCAPE}{sample.name}").read_text()
        untitled = re.sub("(?s)<work>.*?</work>|<movement-title>.*?</movement-title>", "", text)
        (theirs.samples / f"{ESCAPE}{sample.name}").write_text(untitled)
    succeeds(explain.main, theirs.path, "--reward", "in_key", "--prior", "none", "--out", "out")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b]0;hacked\\x07melody-01.musicxml: " in out
    settings = theirs.config_file.read_text()
    theirs.config_file.write_text(settings.replace("composition/RLT", "\\u001b]0;x\\u0007"))
    assert "\x1b" not in command(evaluate.main, theirs.path)
