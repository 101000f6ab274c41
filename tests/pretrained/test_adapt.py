"""The verb that teaches a prior a few tunes: from files to a checkpoint, and every refusal."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from envs.notation import abc
from pretrained import adapt as verb
from pretrained.checkpoint import load, notes, save
from pretrained.networks.recurrent import NetShape, RecurrentNet
from pretrained.prior import sample
from pretrained.training import changes
from pretrained.training.changes import Recipe
from tests.helpers import from_the_shell

QUICK = Recipe(0.05, rounds=3, dropout=0.0)


def written(prior, n, path, seed=0):
    """Write tunes of a prior as a collection."""
    score = sample(prior, Score.page(Task(bars=6, low=Codec.low, high=Codec.high), n), seed)
    tunes = [abc(score, row, f"No. {row}", row + 1) for row in range(n)]
    path.write_text("\n".join(tunes))
    return path


@pytest.fixture
def shell(tmp_path, tmp_path_factory, monkeypatch, capsys):
    """The verb in a folder with a prior, tunes of another style and tunes of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(changes, "RECIPES", dict.fromkeys(changes.RECIPES, QUICK))
    monkeypatch.setattr("pretrained.training.adapting.RECIPES", changes.RECIPES)
    net, rng = RecurrentNet(NetShape(hidden=12, embed=8)), torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0.0, 0.4, generator=rng)
    save("base.safetensors", net, Codec())
    written(load("base.safetensors"), 10, tmp_path / "own.abc", seed=3)
    net.head.bias.data += 2 * torch.randn(net.head.bias.shape, generator=rng)
    save("other.safetensors", net, Codec())
    written(load("other.safetensors"), 10, tmp_path / "styled.abc")
    return from_the_shell(verb.main, monkeypatch, capsys)


def test_from_files_to_a_prior_that_is_read_as_any_other(shell):
    words = ("--prior", "base.safetensors", "styled.abc", "--out", "mine.safetensors")
    status, out, _ = shell(*words)
    assert status == 0
    assert "before" in out
    assert "near-copies" in out
    mine = notes("mine.safetensors")
    digest = hashlib.sha256(Path("base.safetensors").read_bytes()).hexdigest()
    assert mine["base"] == {"name": "base.safetensors", "sha256": digest}
    assert (mine["adapted"]["how"], mine["adapted"]["tunes"], mine["adapted"]["files"]) == (
        "state", 10, 1,
    )  # fmt: skip
    gain = mine["adapted"]["left out bits per note"]
    assert gain["after"] < gain["before"]
    assert f"{gain['after']:.3f}" in out
    assert "licence" in mine
    assert "styled" not in json.dumps(mine)
    prior = load("mine.safetensors")
    assert prior.shape == load("base.safetensors").shape
    assert sample(prior, Score.page(Task(), 2)).finished
    assert "exists" in shell(*words)[2]
    assert shell(*words, "--overwrite", "--how", "full")[0] == 0
    assert notes("mine.safetensors")["adapted"]["how"] == "full"


def test_where_nothing_is_gained_nothing_is_written(shell, tmp_path):
    status, out, err = shell("--prior", "base.safetensors", "own.abc", "--out", "mine.safetensors")
    assert status == 1
    assert "nothing is written" in out
    assert err == ""
    assert not (tmp_path / "mine.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["styled.abc#1"], "1 tune: expected at least 2"),
        (["no.abc"], "no such file"),
        (["styled.abc", "--out", "base.safetensors", "--overwrite"], "the prior itself"),
        (["styled.abc", "--out", "no/mine.safetensors"], "folder that exists"),
        (["styled.abc", "--prior", "no"], "no checkpoint"),
        (["styled.abc", "--prior", "styled.abc"], "safetensors"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(shell, tmp_path, words, message):
    before = sorted(path.name for path in tmp_path.iterdir())
    prior = () if "--prior" in words else ("--prior", "base.safetensors")
    status, _, err = shell(*prior, *words)
    assert status == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"), [(["styled.abc", "--seed", "-1"], "seed=-1"), ([], "files or folders")]
)
def test_settings_are_checked_with_the_words_of_the_command(shell, words, message):
    status, _, err = shell(*words)
    assert status == 2
    assert message in err


def test_what_is_no_tune_is_left_out_and_the_rest_is_learned(shell, tmp_path):
    two = "X:1\nT:Two\nM:4/4\nL:1/8\nK:C\n" + "[CE]DEF GABc|" * 3 + "\n"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.abc").write_text((tmp_path / "styled.abc").read_text())
    (tmp_path / "folder" / "b.abc").write_text("X:1\nK:C\nnonsense %%%")
    (tmp_path / "folder" / "c.mid").write_bytes(b"MThd and no more")
    (tmp_path / "folder" / "d.abc").write_text(two)
    status, out, _ = shell("--prior", "base.safetensors", "folder")
    assert status == 0
    assert notes("mine.safetensors")["adapted"]["files"] == 4
    assert "left out" in out
