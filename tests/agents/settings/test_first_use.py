"""The prior of chorales is made where a verb asks for it first, and nowhere else."""

from subprocess import CompletedProcess

import pytest

from agents import compose, train
from agents.settings import commands
from pretrained import checkpoint
from pretrained import train as verb
from pretrained.corpora.chorales import read_chorale, split_chorales
from tests.pretrained.corpora.own_chorales import chorale, tune

TINY = ["--epochs=1", *(f"--{name}=8" for name in ("hidden", "embed", "heads", "feed", "ahead"))]


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Commands that were run as processes of their own: here, with a tiny recipe and corpus."""
    said = []

    def process(words, stdout, check):
        said.append(words[1:])
        with monkeypatch.context() as inside:
            inside.setattr("sys.argv", [*words[2:], *TINY])
            verb.main()
        return CompletedProcess(words, 0)

    found = split_chorales([read_chorale(chorale(tune(n)), str(n)) for n in range(24)], {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("pretrained.corpora.chorales.load_chorales", lambda progress: found)
    monkeypatch.setattr(commands.subprocess, "run", process)
    return said


def test_it_is_made_once_and_only_if_it_is_asked_for(made, capsys):
    for other in ("", "melody", "elsewhere/chorale", checkpoint.load("melody")):
        commands.learn_chorales(other)
    assert made == []
    for _ in range(2):
        commands.learn_chorales("chorale")
    assert made == [["-m", "pretrained.train", "--corpus", "chorales"]]
    assert checkpoint.load("chorale").format == "voices/1"
    told = capsys.readouterr().err
    assert "minutes" in told
    assert "not for commercial use" in told


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (train.main, ["--preset", "chorale", "--no-progress"]),
        (compose.main, ["--harmonise", "hymn.abc", "--style", "chorale", "--voices", "SB"]),
    ],
)
def test_verbs_make_it_and_name_the_command_if_they_cannot(
    main, words, tmp_path, monkeypatch, command
):
    (tmp_path / "hymn.abc").write_text("X:1\nM:4/4\nL:1/4\nK:C\nc d e d|c4|\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(commands, "note", lambda text: None)
    monkeypatch.setattr(
        commands.subprocess, "run", lambda words, stdout, check: CompletedProcess(words, 1)
    )
    assert "python -m pretrained.train --corpus chorales" in command(main, *words)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["hymn.abc"]
