"""Models that are no priors: their checkpoints, their training, and what each may be used for."""

import pytest
import torch

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint, load
from pretrained import train as verb
from pretrained.families import FAMILIES
from pretrained.training.settings import PriorConfig
from pretrained.trainings import TRAININGS
from tests.pretrained.random_infiller import TRAINING, RandomInfiller


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(FAMILIES, RandomInfiller.format, RandomInfiller)
    monkeypatch.setitem(TRAININGS, TRAINING.name, TRAINING)


@pytest.fixture
def saved(tmp_path):
    model = RandomInfiller(Codec())
    model.net["counts"].data[5] = 7.0
    checkpoint.save(tmp_path / "toy.safetensors", model, notes={"a": 1})
    return tmp_path / "toy.safetensors"


def test_a_model_comes_back_from_its_file(saved):
    model = checkpoint.load_model(saved)
    assert isinstance(model, RandomInfiller)
    assert model.net["counts"][5] == 7
    assert checkpoint.notes(saved) == {"a": 1}
    task = Task(bars=2)
    pieces = model.fill(Score.page(task, 1), 3, 5)
    assert pieces.finished
    assert (pieces.tokens == model.fill(Score.page(task, 1), 3, 5).tokens).all()


def test_what_needs_a_prior_says_that_it_is_none(saved):
    for use in (load, checkpoint.load_once, checkpoint.load_scorer):
        with pytest.raises(ValueError, match="random"):
            use(saved)
    with pytest.raises(ValueError, match="memory"):
        checkpoint.load_model(f"{saved}+memory")


def test_a_file_of_a_family_that_is_gone_names_those_known(saved, monkeypatch):
    monkeypatch.delitem(FAMILIES, RandomInfiller.format)
    with pytest.raises(ValueError, match="recurrent/1"):
        checkpoint.load_model(saved)


def test_it_is_trained_by_the_verb_of_priors(tmp_path, monkeypatch, capsys):
    out = tmp_path / "mine.safetensors"
    words = ("--epochs", "2", "--settings", "shyness=3", "--data", "folk", "--out", str(out))
    monkeypatch.setattr("sys.argv", ["x", "--model", "random", *words])
    verb.main()
    assert "epoch   2" in capsys.readouterr().out
    notes = checkpoint.notes(out)
    assert notes["config"] == {
        **{"model": "random", "epochs": 2, "seed": 0, "threads": 1, "device": "cpu"},
        "shyness": 3.0,
    }
    assert notes["held_out"]["rests"] > 0
    assert isinstance(checkpoint.load_model(out), RandomInfiller)
    assert torch.isfinite(checkpoint.load_model(out).net["counts"]).all()


@pytest.mark.parametrize(
    ("asked", "error", "word"),
    [
        ({"hidden": 8}, ValueError, "hidden"),
        ({"settings": ("shyness=-1",)}, ValueError, "shyness"),
        ({"settings": ("shynes=1",)}, TypeError, "shyness"),
        ({"settings": ("epochs=3",), "epochs": 2}, ValueError, "twice"),
        ({"settings": ("shyness",)}, ValueError, "name=value"),
        ({"plan": True}, ValueError, "plan"),
    ],
)
def test_settings_that_it_has_not_are_refused(asked, error, word):
    config = PriorConfig(model="random", **asked)
    with pytest.raises(error, match=word):
        config.family_settings(TRAINING.settings)


def test_a_prior_has_no_settings_of_that_kind():
    with pytest.raises(ValueError, match="flags"):
        PriorConfig(settings=("beta=1",)).sizes()
    with pytest.raises(ValueError, match="random"):
        PriorConfig(model="randon").sizes()
