"""The verb restyles the theme of a file, writes how far it moved, and refuses what contradicts."""

import shutil

import pytest

from agents import compose
from agents.compose import ComposeConfig
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from tests.agents.composing.themes import count_edits, line, same_contour, same_rhythm


@pytest.fixture
def file(tmp_path):
    """Two bars of a theme in D minor, slow."""
    path = tmp_path / "theme.abc"
    score = score_from_text("D4 E4 F4 A4 G4 F4 E4:2 D4:2 D4", key="D minor")
    path.write_text(abc(score, 0, "Slow Air", tempo=52))
    return path


def flags(file, tiny_checkpoint, **more):
    own = {"prior": str(tiny_checkpoint), "reward": ("in_key=1",), "n": 2, "pictures": False}
    return ComposeConfig(restyle=str(file), sound=False, **{**own, **more})


def test_a_file_is_restyled(file, tiny_checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    keep, base = ("rhythm", "contour"), str(shutil.copy(tiny_checkpoint, tmp_path / "other.st"))
    compose.compose(flags(file, tiny_checkpoint, keep=keep, edit=0.4, base=base, out=out))
    said = capsys.readouterr().out
    theme, lines = read_piece(file), (out / "melodies.txt").read_text().splitlines()
    notes = line(theme.score)
    for number in (1, 2):
        melody = read_piece(out / f"melody-0{number}.musicxml")
        assert (melody.title, melody.tempo, melody.key) == ("Slow Air", 52, theme.key)
        other = line(melody.score)
        assert same_rhythm(notes, other, theme.task)
        assert same_contour(notes, other, theme.task)
        count = count_edits(notes, other, theme.task.cells)
        assert 1 <= count <= 3
        report = lines[4 * number - 2].strip()
        assert f"{count} edits in 9 notes" in report
        assert "kept: rhythm, contour" in report
        assert report in said
        assert "% " + report.replace("%", r"\%") in (out / f"melody-0{number}.abc").read_text()
        assert "from other to tiny" in report


def test_bars_of_a_file_are_restyled(file, tiny_checkpoint, tmp_path):
    compose.compose(flags(f"{file}:2", tiny_checkpoint, edit=1.0, out=tmp_path / "out", n=1))
    assert read_piece(tmp_path / "out" / "melody-01.mid", grid=4).bars == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"rewrite": "a.abc:1"}, "--rewrite and --restyle"),
        ({"lock": "a.abc:1"}, "--lock and --restyle"),
        ({"task": ("bars=2",)}, "leave --task out"),
        ({"method": "beam"}, "--method beam"),
        ({"restyle": "", "keep": ("rhythm",)}, "--keep.*add --restyle"),
        ({"restyle": "", "edit": 0.0}, "--edit.*add --restyle"),
        ({"restyle": "", "base": "folk"}, "--base.*add --restyle"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(more, message):
    with pytest.raises(ValueError, match=message):
        ComposeConfig(**{"restyle": "theme.abc", **more})


def test_a_file_that_is_not_there_is_one_line(command, tmp_path):
    assert "gone.abc" in command(compose.main, "--restyle", tmp_path / "gone.abc")
