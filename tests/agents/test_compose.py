"""Composing and evaluating with a finished run."""

import json

import numpy as np
import pytest
import torch

from agents import compose, evaluate
from agents.compose import ComposeConfig
from agents.composing.composer import Composer, read_primer
from agents.composing.decoding import METHODS
from agents.composing.masks import MASKS, read_masks
from agents.evaluate import EvaluateConfig
from agents.evaluating import comparison, sampling
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import text
from pretrained.checkpoint import load
from pretrained.prior import sample
from rewards.build import build
from rewards.rule import REGISTRY
from tests.agents.helpers import strict

WRITING = [name for name in METHODS if name != "guided-infill"]  # which fills
OPPONENTS = [name for name in WRITING if METHODS[name].network != "policy"]


def folder(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_compose_writes_the_same_melodies_for_the_same_seed(run, tmp_path, capsys):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        compose.compose(ComposeConfig(str(run.path), n=3, out=tmp_path / name, seed=seed))
    assert "wrote 3 melodies" in capsys.readouterr().out
    a, b, c = (folder(tmp_path / name) for name in "abc")
    assert len(a) == 3 * 6 + 1
    for line in a["melodies.txt"].decode().splitlines()[1::3]:
        total, parts = line.split(" = ")
        paid = {name: float(value) for name, value in map(str.split, parts.split(", "))}
        assert "prior" in paid
        assert float(total.split()[1]) == pytest.approx(sum(paid.values()), abs=0.05 * 30)
    assert a["melodies.txt"] == b["melodies.txt"] != c["melodies.txt"]
    for name in a:
        if not name.endswith(("svg", "musicxml")):  # these may hold a date or an identifier
            assert a[name] == b[name], name


def test_compose_begins_with_the_primer(run, tmp_path):
    out = tmp_path / "out"
    compose.compose(ComposeConfig(str(run.path), n=2, out=out, primer="C4 r:2 E4:2 G4:3"))
    for n in (1, 2):
        notes = read_piece(out / f"melody-0{n}.mid", grid=4).notes
        heads = [(note.start, note.pitch) for note in notes[:3]]
        assert heads == [(0, 60), (6, 64), (8, 67)]
        assert notes[0].duration == 4
        assert notes[1].duration == 2
        assert notes[2].duration >= 3


def test_a_primer_keeps_its_last_rest():
    assert read_primer("C4:2 r:4", Task()).tolist() == [[14, 1, 0, 1, 1, 1]]
    assert read_primer("C4 E4 ; G4", Task(voices=2)).tolist() == [
        [14, 1, 1, 1, 18, 1, 1, 1],
        [21] + [1] * 3 + [0] + [1] * 3,
    ]


def test_a_low_temperature_writes_one_melody(run, tmp_path):
    out = tmp_path / "out"
    compose.compose(ComposeConfig(str(run.path), n=4, out=out, temperature=1e-3))
    lines = (out / "melodies.txt").read_text().splitlines()[::3]
    assert len({line.split(maxsplit=1)[1] for line in lines}) == 1


def test_compose_refuses_a_folder_with_something_in_it(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty; nothing is overwritten"):
        compose.compose(ComposeConfig(str(run.path), n=1, out=tmp_path))
    with pytest.raises(ValueError, match="no folder"):
        compose.compose(ComposeConfig(str(run.path), n=1, out=tmp_path / "mine.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    compose.compose(ComposeConfig(str(run.path), n=1, out=tmp_path / "empty"))
    assert len(folder(tmp_path / "empty")) == 7


# -- methods ---------------------------------------------------------------------------------------


def tunes(path):
    """The melodies as lines of notes, and what each was paid."""
    lines = (path / "melodies.txt").read_text().splitlines()
    paid = [float(line.split()[1]) for line in lines[1::3]]
    return [line.split(maxsplit=1)[1] for line in lines[::3]], paid


def small(out, method, run="", **more):
    return ComposeConfig(run, out=out, method=method, **({"n": 2, "width": 4, "best_of": 3} | more))


@pytest.mark.parametrize("method", WRITING)
def test_every_method_composes_for_a_run(run, tmp_path, capsys, method):
    for name in "ab":
        mask = ("in_key",) if method == "masked" else ()
        compose.compose(small(tmp_path / name, method, str(run.path), mask=mask, primer="C4 E4:2"))
    written = capsys.readouterr().out
    assert written.count("wrote 2 melodies") == 2
    assert f"\n{method}: " in written
    assert "tokens of networks" in written
    lines, _ = tunes(tmp_path / "a")
    assert lines == tunes(tmp_path / "b")[0]
    assert len(set(lines)) == 2
    for line in lines:
        assert line.startswith("C4 E4:")


@pytest.mark.parametrize("method", OPPONENTS)
def test_opponents_need_no_run(tiny_checkpoint, tmp_path, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    given = {"task": ("bars=1", "key=G major"), "reward": ("rl_tuner=1",)}
    compose.compose(small(tmp_path / "out", method, prior=str(tiny_checkpoint), **given))
    _, paid = tunes(tmp_path / "out")
    assert len(paid) == 2
    assert "K:G" in (tmp_path / "out" / "melody-01.abc").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_each_method_is_what_it_says(run, tiny_checkpoint, tmp_path):
    def composed(method, **more):
        out = tmp_path / f"{method}{len(list(tmp_path.iterdir()))}"
        compose.compose(small(out, method, str(run.path), reward=("rl_tuner=1",), **more))
        return tunes(out)

    task = Task()
    page = Score.page(task, 2)
    for method, network in (("sample", load(run.path)), ("prior", load(tiny_checkpoint))):
        drawn = sample(network, page, torch.Generator().manual_seed(1))
        assert composed(method)[0] == [text(drawn, row) for row in (0, 1)]
    _, prior = composed("prior")
    _, best = composed("best-of-n", best_of=64)  # all of them worse than the first: 1 in 4096
    assert all(more >= less for more, less in zip(best, prior, strict=True))
    assert best != prior
    _, beam = composed("beam")
    assert beam == sorted(beam, reverse=True)
    assert min(beam) > max(best)
    assert composed("guided-beam")[0] != composed("beam")[0]
    out = tmp_path / "masked"
    compose.compose(small(out, "masked", str(run.path), mask=("key", "penalize_repeating")))
    notes = [read_piece(file, grid=4).notes for file in out.glob("*.mid")]
    assert all(note.pitch % 12 in (0, 2, 4, 5, 7, 9, 11) for piece in notes for note in piece)


def test_what_is_given_changes_the_settings_of_a_run(run):
    own = Composer.load(run.path)
    assert (own.task, own.prior) == (Task(), run.config.prior)
    assert list(own.objective.reward.terms) == ["tonic", "prior", "leap_recovery"]
    changed = Composer.load(run.path, task=("bars=1",), reward=("key=-1",))
    assert (changed.task, list(changed.objective.reward.terms)) == (Task(bars=1), ["key"])
    assert changed.prior == own.prior
    assert changed.policy.path == own.policy.path == run.path


def test_masks_by_name():
    reward = build({"rl_tuner": 0.5, "leap_recovery": {"weight": 2.0, "min_leap": 7}})
    usual = read_masks((), reward)
    assert list(usual.terms) == ["key", "penalize_repeating", "leap_recovery"]
    assert all(usual.terms[name] is reward.terms[name] for name in usual.terms)
    assert set(MASKS) <= set(REGISTRY)
    named = read_masks(("leap_up_back", "in_key", "key=1", "leap_recovery=1,min_leap=9"), reward)
    signs = {name: np.sign(term.factor) for name, term in named.terms.items()}
    assert signs == {"leap_up_back": 1, "in_key": -1, "key": 1, "leap_recovery": -1}
    assert read_masks(("motif",), build("tonic")).terms["motif"].factor < 0
    gentle = read_masks(("leap_recovery,min_leap=9", "motif,pitches=4"), reward).terms
    assert gentle["leap_recovery"].rule.defaults == {"min_leap": 9}
    assert (gentle["leap_recovery"].factor, gentle["motif"].factor) == (-1, -1)
    with pytest.raises(ValueError, match="the reward has none of key, .*`mask`"):
        read_masks((), build("tonic"))
    with pytest.raises(ValueError, match="unknown reward 'kye'. Did you mean 'key'"):
        read_masks(("kye",), reward)
    with pytest.raises(ValueError, match="named twice"):
        read_masks(("key", "key"), reward)


WRONG = {
    "method": ({"method": "bam"}, "unknown method 'bam'. Did you mean 'beam'.*Known: sample, "),
    "no run": ({}, "method sample needs a policy: name a run directory.*or ask in words"),
    "no bars": ({"bars": 0}, "bars=0: expected 1..64"),
    "no guide": ({"method": "guided-beam"}, "method guided-beam needs a policy"),
    "width": ({"method": "beam", "n": 5, "width": 4}, "width=4: expected at least n=5"),
    "draws": ({"method": "best-of-n", "best_of": 0}, "best_of=0: expected"),
    "temperature": ({"method": "prior", "temperature": 0.0}, "a number above 0"),
    "mask": ({"method": "masked", "reward": ("tonic=1",)}, "the reward has none of"),
    "whole piece": ({"method": "masked", "mask": ("mine.py:f",)}, "'f' cannot be a mask"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_a_method_that_cannot_be_used_is_named(
    tiny_checkpoint, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def f(score):\n    return score.tokens[:, 0, 0] * 0.0\n")
    with pytest.raises(ValueError, match=message):
        compose.compose(ComposeConfig(prior=str(tiny_checkpoint), **arguments))
    assert not (tmp_path / "melodies").exists()


# -- evaluating ------------------------------------------------------------------------------------


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
    page = Score.page(Task(), 30)
    pieces = sample(tiny_prior, page, torch.Generator().manual_seed(5))
    nats = facts["columns"]["prior"]["mean log p per token (nats)"]
    assert nats == pytest.approx(float(tiny_prior.log_prob(pieces).mean()), rel=1e-5)
    tonic = 100 * float((pieces.tokens[:, 0, 0] == 14).mean())
    assert facts["columns"]["prior"]["starts on the tonic"] == pytest.approx(tonic)


def test_what_could_not_be_counted_is_null_in_json():
    text = comparison.as_json({"pieces": 1}, {"agent": {"leaps resolved": float("nan"), "x": 1.0}})
    assert json.loads(text) == {"pieces": 1, "columns": {"agent": {"leaps resolved": None, "x": 1}}}


def test_large_numbers_of_pieces_are_drawn_in_portions(tiny_prior, monkeypatch):
    task = Task(bars=1)
    monkeypatch.setattr(sampling, "BATCH", 8)
    pieces = sampling.sample_many(tiny_prior, task, 20, seed=1)
    assert pieces.batch == 20
    assert len(np.unique(pieces.tokens, axis=0)) == 20
    again = sampling.sample_many(tiny_prior, task, 20, seed=1)
    assert np.array_equal(pieces.tokens, again.tokens)
