"""Facts of two voices: a slow reading, the newest cell, and the names of voices."""

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from envs.music.voices.pairs import Moves, Pair, pairs, voice_name
from envs.notation.text_line import score_from_text
from tests.helpers import random_pieces

VIEWS = ("adjacent", "outer", "with_bass", "oblique", "parallel")


def slow_sound(tokens, codec):
    """Pitch that sounds in each cell, -1 for silence."""
    out, now = [], -1
    for token in tokens:
        now = codec.pitch(token) if token >= 2 else -1 if token == 0 else now
        out.append(now)
    return out


def test_what_sounds_against_a_slow_reading():
    score = random_pieces(Task(voices=3, bars=2), 20, seed=4)
    for row, voice in np.ndindex(20, 3):
        expected = slow_sound(score.tokens[row, voice].tolist(), score.task.codec)
        assert score.sounding[row, voice].tolist() == expected
        assert score.sounded[row, voice].tolist() == [-1, *expected[:-1]]


def test_the_newest_cell_sees_the_pairs_of_the_whole():
    task = Task(voices=3, bars=1)
    whole = random_pieces(task, 7, seed=5)
    known = {pair.other: pair for pair in pairs(whole)}
    score = Score.page(task, 7)
    for step in range(task.steps):
        time, voice = divmod(step, 3)
        score = score.write(whole.tokens[:, voice, time])
        here = list(pairs(score.newest))
        assert [pair.other for pair in here] == list(range(voice))
        for pair in here:
            for fact in Moves._fields:
                there = np.broadcast_to(getattr(known[pair.other].moves, fact), whole.tokens.shape)
                found = np.broadcast_to(getattr(pair.moves, fact), (7, 1, 1))
                np.testing.assert_array_equal(found[:, 0, 0], there[:, voice, time], err_msg=fact)
            for fact in VIEWS:
                there = np.broadcast_to(getattr(known[pair.other], fact), whole.tokens.shape)
                found = np.broadcast_to(getattr(pair, fact), (7, 1, 1))
                np.testing.assert_array_equal(found[:, 0, 0], there[:, voice, time], err_msg=fact)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("C5 D5 ; A4 B4", "parallel"),
        ("C5 D5 ; A4 C5", "similar"),
        ("C5 D5 ; A4 G4", "contrary"),
        ("C5 D5 ; A4 A4", "oblique"),
        ("C5:8 ; A4 G4", "oblique"),
        ("C5 C5 ; A4 A4", ""),
        ("C5 r D5 ; A4 r B4", ""),
    ],
)
def test_motion_as_textbooks_name_it(line, kind):
    pair = Pair(score_from_text(line), 0)
    names = {
        "parallel": pair.parallel,
        "similar": pair.moves.similar & ~pair.parallel,
        "contrary": pair.moves.contrary,
        "oblique": pair.oblique,
    }
    at = 8 if "r" in line else 4
    assert [name for name, fact in names.items() if fact[0, 1, at]] == ([kind] if kind else [])
    assert not any(fact[0, 0].any() for fact in names.values())  # nothing before the first voice


def test_intervals_of_crossed_voices_are_negative_and_counted_from_the_lower_note():
    pair = Pair(score_from_text("E5 C4 r C4 ; C4 E4 C4 r"), 0)
    assert pair.moves.interval[0, 1, ::4].tolist() == [16, -4, 0, 0]
    assert pair.forms(4)[0, 1, ::4].tolist() == [True, True, False, False]
    assert pair.formed(4)[0, 1, ::4].tolist() == [False, True, True, False]


def test_a_piece_of_one_voice_has_no_pairs():
    assert list(pairs(score_from_text("C4 D4"))) == []
    assert voice_name(4, 3) == "bass"
    assert voice_name(6, 2) == "voice 3"
