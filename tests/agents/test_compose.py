"""Composing and evaluating with a finished run."""

import json

import numpy as np
import pytest
import torch

from agents import compose, evaluate
from agents.compose import ComposeConfig
from agents.evaluate import EvaluateConfig
from envs.notation import read_notes
from envs.task import Task
from pretrained.prior import sample
from tests.agents.helpers import strict


def folder(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_compose_writes_the_same_melodies_for_the_same_seed(run, tmp_path, capsys):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        compose.compose(ComposeConfig(str(run.path), n=3, out=tmp_path / name, seed=seed))
    assert "wrote 3 melodies" in capsys.readouterr().out
    a, b, c = (folder(tmp_path / name) for name in "abc")
    assert len(a) == 3 * 4 + 1
    for line in a["melodies.txt"].decode().splitlines()[1::2]:
        assert all(f"{name} " in line for name in ("return", "tonic", "prior", "leap_recovery"))
    assert a["melodies.txt"] == b["melodies.txt"] != c["melodies.txt"]
    for name in a:
        if not name.endswith(("svg", "musicxml")):  # these may hold a date or an identifier
            assert a[name] == b[name], name


def test_compose_begins_with_the_primer(run, tmp_path):
    out = tmp_path / "out"
    compose.compose(ComposeConfig(str(run.path), n=2, out=out, primer="C4 r:2 E4:2 G4:3"))
    for n in (1, 2):
        notes = read_notes(out / f"melody-0{n}.mid")
        heads = [(note.start, note.pitch) for note in notes[:3]]
        assert heads == [(0, 60), (6, 64), (8, 67)]
        assert notes[0].duration == 4
        assert notes[1].duration == 2
        assert notes[2].duration >= 3


def test_a_primer_keeps_its_last_rest():
    page = compose.read_primer("C4:2 r:4", Task())
    assert page.n_written == 6
    assert page.tokens[0, 0, :8].tolist() == [14, 1, 0, 1, 1, 1, -1, -1]
    two = compose.read_primer("C4 E4 ; G4", Task(voices=2))
    assert two.tokens[0, :, :9].tolist() == [
        [14, 1, 1, 1, 18, 1, 1, 1, -1],
        [21] + [1] * 3 + [0] + [1] * 3 + [-1],
    ]


def test_a_low_temperature_writes_one_melody(run, tmp_path):
    out = tmp_path / "out"
    compose.compose(ComposeConfig(str(run.path), n=4, out=out, temperature=1e-3))
    lines = (out / "melodies.txt").read_text().splitlines()[::2]
    assert len({line.split(maxsplit=1)[1] for line in lines}) == 1


def test_compose_refuses_a_folder_with_something_in_it(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty; nothing is overwritten"):
        compose.compose(ComposeConfig(str(run.path), n=1, out=tmp_path))
    with pytest.raises(ValueError, match="not empty; nothing is overwritten"):
        compose.compose(ComposeConfig(str(run.path), n=1, out=tmp_path / "mine.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    compose.compose(ComposeConfig(str(run.path), n=1, out=tmp_path / "empty"))
    assert len(folder(tmp_path / "empty")) == 5


def test_evaluate_repeats_the_table(run, capsys, tiny_prior):
    config = EvaluateConfig(str(run.path), n=30, seed=5, threads=1)
    evaluate.evaluate(config)
    first = capsys.readouterr().out
    facts = strict(run.path / "evaluation.json")
    evaluate.evaluate(config)
    assert capsys.readouterr().out == first
    (run.path / "evaluation.json").unlink()
    assert "30 pieces each" in first
    assert (facts["pieces"], facts["seed"]) == (30, 5)
    page = Task().sample(np.random.default_rng(0), 30)
    pieces = sample(tiny_prior, page, torch.Generator().manual_seed(5))
    nats = facts["columns"]["prior"]["mean log p per token (nats)"]
    assert nats == pytest.approx(float(tiny_prior.log_prob(pieces).mean()), rel=1e-5)
    tonic = 100 * float((pieces.tokens[:, 0, 0] == 14).mean())
    assert facts["columns"]["prior"]["starts on the tonic"] == pytest.approx(tonic)


def test_what_could_not_be_counted_is_null_in_json():
    text = evaluate.as_json({"pieces": 1}, {"agent": {"leaps resolved": float("nan"), "x": 1.0}})
    assert json.loads(text) == {"pieces": 1, "columns": {"agent": {"leaps resolved": None, "x": 1}}}


def test_large_numbers_of_pieces_are_drawn_in_portions(tiny_prior, monkeypatch):
    task = Task(bars=1)
    monkeypatch.setattr(evaluate, "BATCH", 8)
    pieces = evaluate.sample_many(tiny_prior, task, 20, seed=1)
    assert pieces.batch == 20
    assert len(np.unique(pieces.tokens, axis=0)) == 20
    again = evaluate.sample_many(tiny_prior, task, 20, seed=1)
    assert np.array_equal(pieces.tokens, again.tokens)
