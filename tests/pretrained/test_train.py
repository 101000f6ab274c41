"""The verb that trains a prior on a folder of a user's tunes."""

import pytest

from envs.music.task import Task
from pretrained import checkpoint, load
from pretrained import train as verb
from pretrained.corpora.chorales import read_chorale, split_chorales
from pretrained.prior import hears_one_line
from pretrained.training.fit import PriorConfig
from tests.helpers import from_the_shell
from tests.pretrained.corpora.own_chorales import chorale, tune
from tests.pretrained.corpora.own_tunes import abc_tune, book, fill

SMALL = ("--epochs", 1, "--hidden", 8, "--embed", 4, "--no-bf16")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    return tmp_path


@pytest.fixture
def call(monkeypatch, capsys):
    return from_the_shell(verb.main, monkeypatch, capsys)


def test_a_folder_becomes_a_prior_with_a_card(home, monkeypatch, capsys):
    fill(home / "mine")
    (home / "mine" / "many.abc").write_text(book(range(10, 70)))
    (home / "mine" / "note.txt").write_text("x")
    out = home / "mine.safetensors"
    monkeypatch.setattr("sys.argv", ["x", "--data", "mine", "--out", str(out), *map(str, SMALL)])
    verb.main()
    said = capsys.readouterr().out
    assert "mine/*.abc" in said
    assert "its format is none that is read; such as mine/note.txt" in said
    assert "nats, bars" in said
    assert (home / "mine.left_out.txt").read_text().splitlines()[1].startswith("mine/note.txt: ")
    notes = checkpoint.notes(out)
    assert notes["data"]["name"] == "mine"
    assert notes["data"]["tunes"] == sum(notes["tunes"].values()) == 65
    assert "licence" in notes["data"]["licence"]
    row = notes["held_out"]["5-gram"]
    assert row["nats_per_token"] > 0
    assert set(row["by_bar"]) == {"1", "2", "3-4"}
    assert str(home) not in str(notes)
    load(out)


def test_too_few_tunes_name_the_verb_for_a_few(home, call):
    fill(home / "mine")
    status, said, _ = call("--data", "mine", *SMALL)
    assert "pretrained.adapt" in status
    assert "5 tunes" in status
    assert "mine/*.abc" in said
    assert not (home / "prior.safetensors").exists()


def test_an_empty_folder_and_no_folder_are_errors_of_one_line(home, call):
    for words in (("--data", "mine"), ("--data", "nothing")):
        status, _, wrong = call(*words, *SMALL)
        assert status.startswith("error: ")
        assert "\n" not in status
        assert "Traceback" not in wrong


def test_variants_of_one_tune_cannot_be_held_out(home, call):
    (home / "mine" / "same.abc").write_text("".join(abc_tune(n, seed=1) for n in range(60)))
    status, _, _ = call("--data", "mine", *SMALL)
    assert "variants" in status


def test_ctrl_c_says_that_what_was_read_is_kept(home, call, monkeypatch):
    fill(home / "mine")

    def stop(data, progress):
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "data_set", stop)
    status, _, _ = call("--data", "mine", *SMALL)
    assert "stopped" in status
    assert "remembered" in status


def test_chorales_become_the_prior_of_that_name(home, call, monkeypatch, capsys):
    """Made on the machine, kept in the cache; the file says whose encodings it learned from."""
    with pytest.raises(FileNotFoundError, match="--corpus chorales"):
        checkpoint.locate("chorale")
    pieces = [read_chorale(chorale(tune(n)), str(n)) for n in range(24)]
    found = split_chorales(pieces, {})
    monkeypatch.setattr("pretrained.corpora.chorales.load_chorales", lambda progress: found)
    words = ("--corpus", "chorales", "--heads", 1, "--feed", 8, "--ahead", 8, *SMALL)
    monkeypatch.setattr("sys.argv", ["x", *map(str, words)])
    verb.main()
    said = capsys.readouterr().out
    assert "not for commercial use" in said
    assert "per frame" in said
    assert "pretrained.adapt" not in said
    notes = checkpoint.notes("chorale")
    assert "not for commercial use" in notes["data"]["licence"]
    assert notes["held_out"]["voices"]["nats_per_frame"] > 0
    assert notes["config"]["model"] == "voices"
    assert not hears_one_line(load("chorale", Task(voices=4)))
    status, _, _ = call(*words)
    assert "--overwrite" in status


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--corpus", "chorales", "--model", "gru"), "gru cannot learn chorales"),
        (("--model", "voices"), "voices cannot learn folk"),
        (("--data", "chorales", "--range", "C3-B5"), "--range C3-B5"),
    ],
)
def test_chorales_and_voices_belong_together(home, call, words, told):
    status, _, _ = call(*words)
    assert told in status


def test_the_default_is_the_corpus_that_ships():
    assert (PriorConfig().data, PriorConfig().model) == ("folk", "lstm")
    assert PriorConfig().range == "C3-B5"
