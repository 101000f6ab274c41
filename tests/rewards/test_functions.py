"""per_note and per_piece: plain functions of notes as rewards."""

import numpy as np
import pytest

from envs.errors import RewardError
from envs.music.noise import noise
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from envs.plugins import resolve
from rewards.build import build
from rewards.checking.check_report import check_reward
from rewards.functions import per_note, per_piece


@per_note
def tells(note, previous):
    """A number that holds all there is to know, so that a test can read it back."""
    last = (0, 0, 0) if previous is None else (previous.start, previous.duration, previous.pitch)
    return float(hash((note.start, note.pitch, note.voice, *last)) % 9973)


@per_note
def leaps(note, previous, *, least=5):
    return float(previous is not None and abs(note.pitch - previous.pitch) >= least)


@per_note
def places(note, previous):
    return note.bar + note.beat / 16 + note.degree / 1024


@per_note
def asks_too_early(note, previous):
    return note.duration


@per_piece
def notes_from(notes, *, least=60):
    return float(sum(note.pitch >= least for note in notes))


@pytest.mark.parametrize("task", [Task(), Task(meter="6/8", pickup=2), Task(voices=3, bars=1)])
@pytest.mark.parametrize("holds", [1.0, 10.0])
def test_each_note_is_paid_where_it_begins_beside_the_one_before(task, holds):
    score = noise(task, 5, 20, holds)
    expected = np.zeros(score.tokens.shape, np.float32)
    for piece, voices in enumerate(score.tokens):
        for voice, tokens in enumerate(voices):
            last = (0, 0, 0)
            for note in task.codec.decode(tokens):  # knows nothing of onsets and scans
                told = hash((note.start, note.pitch, voice, *last)) % 9973
                expected[piece, voice, note.start] = told
                last = (note.start, note.duration, note.pitch)
    np.testing.assert_array_equal(tells(score), expected)


def test_a_note_ended_by_a_rest_is_as_long_as_it_sounds():
    heard = []

    @per_note
    def listen(note, previous):
        heard.append(previous and previous.duration)
        return 0.0

    listen(score_from_text("C4:4 r:3 D4:2 E4:6 r:1"))
    assert heard == [None, 4, 2]
    heard.clear()
    listen(Score(np.array([[[0, 14, 1, 0, 1, 0, 16] + [1] * 9]]), Task(bars=1)))
    assert heard == [None, 2]  # the first of two rests ended it


def test_it_keeps_the_contract():
    for fn in (tells, leaps, places):
        check_reward(fn, panel=False, cost=False)


def test_where_it_is_and_what_degree():
    score = score_from_text("G4:4 r:4 A4:2 F#4:6 D4:16", key="G major")
    assert places(score)[0, 0, [0, 8, 10, 16]].tolist() == [
        0.0, 2 / 16 + 2 / 1024, 2.5 / 16 + 11 / 1024, 1 + 7 / 1024
    ]  # fmt: skip


def test_nothing_written_pays_nothing():
    assert not tells(score_from_text("r:16")).any()


def test_parameters_are_those_of_the_function():
    score = score_from_text("C4 E4 A4 C4")
    assert build({leaps: 1.0})(score).sum() == 2
    assert build({leaps: {"weight": 1.0, "least": 6}})(score).sum() == 1
    assert build({notes_from: {"weight": 1.0, "least": 64}})(score).sum() == 2
    with pytest.raises(ValueError, match="'lest'.*'least'"):
        build({leaps: {"weight": 1.0, "lest": 6}})


def test_a_duration_is_not_known_at_the_onset():
    with pytest.raises(RewardError, match="previous.duration"):
        build(asks_too_early)(score_from_text("C4 E4 A4 C4"))


@pytest.mark.parametrize("name", ["mine.py:", ":mine", ":", "mine", ""])
def test_a_name_that_names_nothing_is_told_what_a_name_is(name):
    with pytest.raises(ValueError, match="module:function"):
        resolve(name)
