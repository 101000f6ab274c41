"""The command: what it prints and refuses, and its status."""

import pytest

from agents import convert as command
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from tests.helpers import from_the_shell


@pytest.fixture
def run_command(monkeypatch, capsys, tmp_path):
    """The verb, run as from the shell."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tune.abc").write_text(abc(score_from_text("C4:16 D4:16 E4:16"), title="Short"))
    return from_the_shell(command.main, monkeypatch, capsys)


def test_it_prints_what_it_wrote(run_command, tmp_path):
    status, out, err = run_command("tune.abc:2–3", "new.mid", "--key", "A minor")
    assert (status, err) == (0, "")
    assert "tune.abc:2-3 -> new.mid: A minor, 4/4, 2 bars, 1 voice, 2 notes" in out
    assert "left out" in out
    assert read_piece(tmp_path / "new.mid").bars == 2


def test_refusals_come_last_with_a_status(run_command, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a\x1b[2J.mid").write_text("bad")
    (folder / "b.abc").write_bytes((tmp_path / "tune.abc").read_bytes())
    (folder / "c.txt").write_text("words")
    status, out, err = run_command("in", "out", "--to", ".musicxml")
    assert status == 1
    assert "wrote 1 file" in out
    assert "in/c.txt" in out
    assert err.startswith("refused: ")
    assert "\x1b" not in out + err
    assert (tmp_path / "out" / "b.musicxml").is_file()


def test_bad_arguments_are_one_line(run_command):
    for words in (["tune.abc", "out"], ["none.abc", "new.mid"]):
        status, out, err = run_command(*words)
        assert (status, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
