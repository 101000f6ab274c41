"""python -m agents.prefer: what is asked for, and what is refused."""

import json
import sys

import pytest

from agents import prefer
from agents.prefer import PreferConfig
from agents.preferring.comparisons import append_comparison, read_comparisons
from envs.music.task import Task
from rewards.spec import read_reward_file
from tests.helpers import random_pieces

TASK = ("bars=1", "low=C3", "high=B5", "meter=4/4")


@pytest.fixture
def small(tiny_checkpoint):
    return {"task": TASK, "prior": str(tiny_checkpoint), "pool": 30}


def test_pairs_are_drawn_filled_in_and_learned_from(small, tmp_path, capsys):
    out = tmp_path / "pairs"
    prefer.prefer(PreferConfig(draw=14, out=out, **small))
    file = out / "pairs.jsonl"
    assert str(file) in capsys.readouterr().out
    first, *entries = file.read_text().splitlines(keepends=True)
    filled = [first]
    for line in entries[:-1]:
        sides = json.loads(line)
        left, right = (len(sides[side]["notes"].split()) for side in ("left", "right"))
        filled.append(line.replace('"?"', '"left"' if left > right else '"right"'))
    file.write_text("".join([*filled, entries[-1]]))
    prefer.prefer(PreferConfig(fit=str(file), out=tmp_path / "taste.toml", prior="none"))
    told = capsys.readouterr()
    assert "1 pairs have no answer yet" in told.err
    assert "13 comparisons" in told.out
    assert "note_rate" in read_reward_file(tmp_path / "taste.toml")


def test_answers_in_the_terminal_are_kept(small, tmp_path, capsys, monkeypatch):
    file, words = tmp_path / "mine.jsonl", iter(["left", "tie", "q"])
    monkeypatch.setattr("agents.preferring.listening.find_player", lambda: ())
    monkeypatch.setattr("builtins.input", lambda _: next(words))
    prefer.prefer(PreferConfig(ask=str(file), **small))
    assert read_comparisons(file).liked == ("left", "tie")
    out = capsys.readouterr().out
    assert "2 answers more" in out
    assert str(tmp_path / "mine.jsonl.sounds" / "left.wav") in out
    words = iter(["q"])
    prefer.prefer(PreferConfig(ask=str(file), **(small | {"task": ()})))  # the file has its own
    assert "0 answers more" in capsys.readouterr().out
    with pytest.raises(ValueError, match="another task"):
        prefer.prefer(PreferConfig(ask=str(file), **(small | {"task": ("bars=2",)})))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({}, "none of them"),
        ({"ask": "a", "fit": "b"}, "--ask and --fit"),
        ({"draw": 3}, "--out"),
        ({"draw": -1, "out": "x"}, "--draw -1"),
        ({"ask": "a", "pool": 1}, "--pool"),
        ({"ask": "a", "tempo": 0.0}, "tempo"),
        ({"ask": "a", "out": "b"}, "--out"),
        ({"fit": "a", "task": ("bars=4",)}, "--task"),
    ],
)
def test_flags_that_make_no_sense(flags, told):
    with pytest.raises(ValueError, match=told):
        PreferConfig(**flags)


def test_errors_are_one_line_and_end_with_2(tmp_path, monkeypatch, capsys):
    file = tmp_path / "mine.jsonl"
    pieces = random_pieces(Task(bars=1), 2, seed=0)
    append_comparison(file, pieces[:1], pieces[1:], "left")
    monkeypatch.setattr(sys, "argv", ["prefer", "--fit", str(file), "--prior", "none"])
    with pytest.raises(SystemExit) as ended:
        prefer.main()
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: 1 comparisons; expected at least 10")
    assert err.count("\n") == 1
