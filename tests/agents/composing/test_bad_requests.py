"""Requests that cannot be kept are refused with the reason; silence and copies are no melodies."""

import pytest

from agents.composing.composer import Composer
from envs.music.task import Task
from rewards.functions import cellwise


@pytest.fixture(scope="module")
def composer(tiny_prior):
    """A composer of the tiny prior, made of objects alone."""
    task = Task(bars=2, meter="2/4", low="C4", high="E5")
    return Composer(tiny_prior, {"in_key": 1.0}, policy=tiny_prior, task=task)


BAD = {
    "keyword": ({"kye": "G"}, TypeError, "'kye'.*Did you mean 'key'"),
    "own keyword": ({"seeds": 3}, TypeError, "'seeds'.*Did you mean 'seed'"),
    "key": ({"key": "H major"}, ValueError, "tonic"),
    "range": ({"range": "D4"}, ValueError, "lowest-highest"),
    "two ranges": ({"range": "D4-G5", "low": "C4"}, ValueError, "contradict"),
    "two tasks": ({"task": Task(), "key": "G"}, ValueError, "task and key both"),
    "seed": ({"seed": -1}, ValueError, "seed=-1"),
    "n": ({"n": 0}, ValueError, "n=0"),
    "many": ({"n": 10**9}, ValueError, "n=1000000000"),
    "no number": ({"n": 1.5}, TypeError, "n=1.5"),
    "temperature": ({"temperature": float("nan")}, ValueError, "temperature"),
    "candidates": ({"candidates": 0}, ValueError, "candidates=0"),
    "method": ({"method": "bam"}, ValueError, "Did you mean 'beam'"),
    "word": ({"must": "in_key"}, TypeError, r"\['in_key'\]"),
    "wish": ({"wishes": "in_key"}, TypeError, r"\['in_key'\]"),
    "demand": ({"must": ["in_kay"]}, ValueError, "Did you mean 'in_key'"),
    "no chords": ({"must": ["chord_tones"]}, ValueError, "chord_tones has nothing.*--chords"),
    "no plan": ({"must": ["phrase_parallelism"]}, ValueError, "nothing to judge.*--phrases"),
    "paid": ({"must": ["in_key=-1"]}, ValueError, "pays"),
    "width": ({"method": "beam", "n": 5, "width": 4}, ValueError, "width=4"),
    "bars": ({"bars": 0}, ValueError, "bars=0"),
    "pickup": ({"pickup": 8}, ValueError, "pickup=8"),
    "phrases": ({"bars": 2, "phrases": "A4"}, ValueError, "phrases"),
    "primer": ({"primer": "C4 H4"}, ValueError, "H4"),
    "full": ({"given": [[14, *[1] * 15]]}, ValueError, "nothing is left"),
    "shape": ({"given": [[14, 1]]}, ValueError, "shape"),
    "out of range": ({"given": [[37, *[-1] * 15]]}, ValueError, "outside the range"),
    "impossible": (
        {"given": [[15, *[-1] * 15]], "must": ["in_key"], "candidates": 1},
        ValueError,
        "given break in_key: they are in another key",
    ),
    "best of": ({"method": "best-of-n", "best_of": 10**8}, ValueError, "best_of=1.*cells"),
    "wide": ({"method": "beam", "width": 10**7}, ValueError, "width=1.*cells"),
    "wider": ({"method": "best-known", "width": 10**5}, ValueError, "width=1.*cells"),
    "no end": ({"n": 9000, "candidates": 9000}, ValueError, "candidates=9000.*cells"),
    "candidate": ({"candidates": 10**9}, ValueError, "candidates=1"),
    "heat": ({"temperature": "warm"}, TypeError, "temperature='warm'"),
    "cells": ({"given": "theme.abc"}, TypeError, "given='theme.abc'"),
    "notes": ({"primer": 60}, TypeError, "primer=60"),
    "no method": ({"method": 3}, TypeError, "method=3"),
    "no rules": ({"must": 3}, TypeError, "must=3"),
    "no rule": ({"mask": [3]}, TypeError, "mask=3"),
    "no wish": ({"wishes": {3: 1.0}}, TypeError, "wishes=3"),
    "no task": ({"task": "C major"}, TypeError, "task='C major'"),
    "tempo": ({"tempo": 0}, ValueError, "tempo=0"),
    "tempo of no number": ({"tempo": float("nan")}, ValueError, "tempo=nan"),
    "hurry": ({"tempo": 1e9}, ValueError, "tempo=1000000000.0.*10 to 400"),
    "too cold": ({"temperature": 1e-40}, ValueError, "temperature=1e-40"),
    "all alike": ({"temperature": float("inf")}, ValueError, "temperature=inf"),
    "two ends": ({"range": ("C4", "C5")}, TypeError, "range=.*'D4-G5'"),
    "list of chords": ({"chords": ["i", "V"]}, TypeError, "chords=.*'i VII i v'"),
    "list of phrases": ({"phrases": ["A", "B"]}, TypeError, "phrases=.*'AABA'"),
    "no tempo": ({"tempo": "allegro"}, TypeError, "tempo='allegro'"),
    "primer that breaks": ({"primer": "C#4", "must": ["in_key"]}, ValueError, "primer breaks"),
}


@pytest.mark.parametrize(("asked", "error", "word"), BAD.values(), ids=BAD)
def test_what_cannot_be_kept_is_refused_with_the_reason(composer, asked, error, word):
    with pytest.raises(error, match=word):
        composer.compose(**asked)


@cellwise
def never(score):
    return score.onset * 1.0


def test_silence_is_no_melody(composer):
    with pytest.raises(ValueError, match="Only silence keeps the demands"):
        composer.compose(n=2, must=[never], candidates=2, low="C4", high="C#4")
    row = [14, *[1] * 11, *[-1] * 4]  # a note that is given, silence or a hold behind it

    @cellwise
    def no_more(score):
        return (score.onset & (score.cell >= 12)) * 1.0

    (held,) = composer.compose(given=[row], must=[no_more], low="C4", high="D4")
    assert len(held.piece.notes) == 1


def test_no_two_melodies_are_one(composer):
    with pytest.raises(ValueError, match=r"Only \d of them differ"):
        composer.compose(n=9, given=[[14, *[1] * 14, -1]], must=["in_key"], low="C4", high="D4")
