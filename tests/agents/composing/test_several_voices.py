"""Requests for several voices: ranges of voices, demands in all of them, and what draws."""

import numpy as np
import pytest

from agents.composing.composer import Composer
from agents.composing.request import Request
from envs.music.task import Task
from tests.pretrained.networks.singing import singing

METHODS = ("prior", "best-of-n", "masked", "beam", "best-known")
SMALL = {"n": 1, "candidates": 2, "best_of": 2, "width": 4, "mask": ["in_key"]}


@pytest.fixture
def composer(tiny_prior):
    task = Task(bars=1, meter="2/4", low=60, high=81)
    return Composer(tiny_prior, {"in_key": 1.0, "unison": 1.0, "prior": 0.1}, task=task)


def in_the_scale(score, scale):
    return np.isin(score.pitch[score.onset] % 12, scale).all()


@pytest.mark.parametrize("voices", [2, 4])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_the_key_in_all_voices(composer, method, voices):
    (melody,) = composer.compose(key="D major", voices=voices, method=method, **SMALL)
    score = melody.score
    assert score.tokens.shape == (1, voices, 8)
    assert in_the_scale(score, [2, 4, 6, 7, 9, 11, 1])
    assert melody.report.kept == ("key D major",)


@pytest.mark.parametrize("method", ["prior", "beam"])
def test_phrases_return_in_all_voices(composer, method):
    asked = {"phrases": "A1 A1", "bars": 2, "meter": "2/4", "voices": 2}
    (melody,) = composer.compose(method=method, **asked, **SMALL)
    first, second = melody.score.tokens[0, :, :4], melody.score.tokens[0, :, 8:12]
    assert (first == second).all()


def test_ranges_take_the_place_of_the_range(composer):
    ranges = "C5-G5 C3-G3"
    (melody,) = composer.compose(ranges=ranges, method="prior", bars=2, **SMALL)
    score, task = melody.score, melody.score.task
    assert task.spans == ((72, 79), (48, 55))
    for voice, (low, high) in enumerate(task.spans):
        pitches = score.pitch[0, voice, score.onset[0, voice]]
        assert ((low <= pitches) & (pitches <= high)).all()
    own = Composer(composer.prior, {"in_key": 1.0}, task=task)
    (again,) = own.compose(range="C4-C5", method="prior", **SMALL)
    assert again.score.task.spans == ((60, 72), (60, 72))


def test_the_number_of_voices_that_a_task_has_leaves_its_ranges(composer):
    task = Task(bars=1, meter="2/4", voices=2, ranges="C5-G5 C3-G3")
    assert Request(voices=2).task_on(task).spans == task.spans
    assert Request(voices=3).task_on(task).spans == ((48, 79),) * 3


def test_the_agent_that_ships_takes_ranges_for_its_range():
    assert Composer.load(task={"voices": 2, "ranges": "SB"}).task.ranges == "C4-A5 E2-D4"


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"voices": 0}, "voices=0"),
        ({"voices": 9}, "voices=9"),
        ({"voices": "many"}, "many"),
        ({"ranges": "SB", "voices": 3}, "2 ranges"),
        ({"ranges": "SXB"}, "SXB"),
        ({"ranges": "SB", "low": 60, "high": 72}, "contradict"),
        ({"ranges": "C4-C5 F#4-F#4", "key": "C major"}, "no note of C major"),
        ({"voices": 2, "given": [[-1] * 8]}, "a row of tokens for each voice"),
        ({"voices": 2, "given": [[-1] * 8, [-1] * 7]}, "all of one length"),
        ({"voices": 2, "primer": "C4:2"}, "primer has 1"),
        ({"voices": 2, "primer": "C4:2 ; C4:2 ; C4:2"}, "primer has 3"),
        ({"voices": 2, "ranges": "C5-G5 C4-G4", "primer": "C5:2 ; C5:2"}, "voice 2"),
    ],
)
def test_what_cannot_be_asked_of_voices(composer, asked, word):
    with pytest.raises((ValueError, TypeError), match=word):
        composer.compose(method="prior", **{**SMALL, **asked})


def test_a_network_that_is_deaf_to_other_voices_is_said_to_be(composer):
    def network(of, voices):
        return of.compose(voices=voices, method="prior", **SMALL)[0].report.network

    assert "none hears another" in network(composer, 2)
    assert "none hears another" not in network(composer, 1)
    hearing = Composer(singing(), {"in_key": 1.0}, task=Task(bars=1, meter="2/4", voices=2))
    assert "none hears another" not in network(hearing, 2)
