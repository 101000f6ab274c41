"""The verb writes variations of a theme and ways between two, and refuses what contradicts."""

import pytest

from agents.compose import ComposeConfig, compose, read_request
from agents.composing import Between, Variation
from pretrained import checkpoint
from tests.pretrained.variational.small import small_vae

THEME = "X:1\nT:A theme\nM:2/4\nL:1/16\nK:D\nDEFG AGFE | D2FA d2AF | G2E2 C2E2 | DFAF D4 |]\n"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    (tmp_path / "theme.abc").write_text(THEME)
    checkpoint.save(tmp_path / "small.safetensors", small_vae(2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(**more):
    own = {"n": 2, "candidates": 2, "latent": "small.safetensors", "reward": ("in_key=1",)}
    return ComposeConfig(**{**own, "pictures": False, "sound": False, **more})


def test_variations_are_written(desk, capsys):
    compose(asked(near="theme.abc:1-2", distance=0.4))
    said = capsys.readouterr().out
    assert "network: small" in said
    assert "0.4 asked for" in said
    assert "T:A theme" in (desk / "melodies" / "melody-01.abc").read_text()


def test_ways_between_are_written(desk, capsys):
    compose(asked(between=("theme.abc:1-2", "theme.abc:3-4")))
    assert "from theme.abc:3-4" in capsys.readouterr().out


def test_flags_are_read(desk):
    request = read_request(asked(near="theme.abc:1-2"))
    assert isinstance(request.given, Variation)
    assert request.given.distance == 0.3
    assert request.given.piece.grid == 4
    request = read_request(asked(between=("theme.abc:1-2", "theme.abc:3-4")))
    assert isinstance(request.given, Between)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"distance": 0.2}, "--near"),
        ({"between": ("a.abc",)}, "two"),
        ({"between": ("a.abc", "b.abc"), "near": "a.abc"}, "leave all but one"),
        ({}, "--latent"),
        ({"near": "a.abc", "task": ("bars=2",)}, "--task"),
        ({"near": "a.abc", "edit": 0.2}, "--restyle"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(flags, word):
    with pytest.raises(ValueError, match=word):
        asked(**flags)


def test_a_theme_that_is_too_long_is_refused(desk):
    with pytest.raises(ValueError, match=r"theme.abc:1-2"):
        compose(asked(near="theme.abc"))
