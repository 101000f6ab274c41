"""Run directories that somebody else has filled: links, pipes, numbers that are none."""

import os
from pathlib import Path

import pytest

from agents import evaluate
from agents import train as training
from agents.run import Run
from pretrained.files import append, clear_parts, write_atomic
from tests.agents.helpers import UPDATE

# -- links -----------------------------------------------------------------------------------------


@pytest.fixture
def theirs(run, tmp_path, monkeypatch):
    """A copy of a finished run, beside a file that is nobody's business."""
    import shutil

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
    succeeds(training.main, *longer(theirs))
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
    line = command(training.main, *longer(theirs))
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
