"""Diversity against closed forms: equal pieces, pieces with nothing in common, counts by hand."""

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from rewards.measures import diversity as measures
from rewards.measures.diversity import diversity
from tests.helpers import random_pieces

NAMES = ["distinct", "edit_distance", "vendi", "interval_entropy", "rhythm_entropy"]
C4 = 14


def pieces(*rows, task=None):
    """A score of rows of tokens, each filled up with holds."""
    task = task or Task()
    tokens = np.ones((len(rows), 1, task.cells), int)
    for at, row in enumerate(rows):
        tokens[at, 0, : len(row)] = row
    return Score(tokens, task)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_one_piece_many_times():
    score = random_pieces(Task(), 1, seed=4)
    same = Score(np.repeat(score.tokens, 20, axis=0), Task())
    found = diversity(same)
    assert list(found) == NAMES
    assert found["distinct"] == 1 / 20
    assert found["edit_distance"] == 0
    assert found["vendi"] == pytest.approx(1)
    alone = diversity(score)
    assert found["interval_entropy"] == pytest.approx(alone["interval_entropy"])
    assert (alone["distinct"], alone["edit_distance"]) == (1, 0)
    assert alone["vendi"] == pytest.approx(1)


def test_pieces_with_nothing_in_common():
    score = pieces(*([token] * 32 for token in range(2, 12)))
    found = diversity(score)
    assert found["distinct"] == 1
    assert found["edit_distance"] == 1
    assert found["vendi"] == pytest.approx(10)
    # Each piece repeats its note: all intervals are 0, all durations one cell.
    assert (found["interval_entropy"], found["rhythm_entropy"]) == (0, 0)


def test_vendi_of_two_halves_and_of_a_known_similarity():
    assert measures.vendi(pieces(*[[5] * 32] * 6, *[[9] * 32] * 6), rng()) == pytest.approx(2)
    # aaaa aaab aabb abbb bbbb and bbbb bbba bbaa baaa aaaa: sets of 5 grams that share 2.
    one, other = [5] * 16 + [9] * 16, [9] * 16 + [5] * 16
    weights = np.array([1 + 2 / 5, 1 - 2 / 5]) / 2
    expected = np.exp(-(weights * np.log(weights)).sum())
    assert measures.vendi(pieces(one, other), rng()) == pytest.approx(expected)


def test_vendi_does_not_depend_on_how_grams_are_grouped(monkeypatch):
    score = random_pieces(Task(bars=3), 40, seed=2)
    whole = measures.vendi(score, rng())
    monkeypatch.setattr(measures, "BLOCK", 7)
    assert measures.vendi(score, rng()) == pytest.approx(whole)


def test_grams_do_not_cross_from_voice_to_voice():
    task = Task(voices=2, bars=1)
    tokens = np.full((2, 2, 16), 5)
    tokens[1] = 9
    low = Score(tokens, task)
    assert measures.vendi(low, rng()) == pytest.approx(2)
    crossed = Score(np.array([[[5] * 16, [9] * 16], [[9] * 16, [5] * 16]]), task)
    assert measures.vendi(crossed, rng()) == pytest.approx(1)
    assert measures.gram_entropy(crossed, crossed.interval) == 0  # no move from 5 to 9


def test_edit_distance_by_hand():
    a = list(range(2, 34))
    shifted = [C4 + 21, *a[:-1]]  # one insertion, one deletion
    other = [*a[:-2], 1, 1]  # two substitutions
    assert measures.edit_distance(pieces(a, shifted), rng()) == pytest.approx(2 / 32)
    assert measures.edit_distance(pieces(a, other), rng()) == pytest.approx(2 / 32)
    score = pieces(a, shifted, other)
    three = [measures.edit_distance(score[i : i + 2], rng()) for i in (0, 1)]
    both = measures.edit_distance(score, rng())
    assert both == pytest.approx((three[0] + three[1] + 2 / 32) / 3)


def test_every_pair_once():
    first, second = measures._pairs(40, rng(), 10**6)
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [
        (i, j) for i in range(40) for j in range(i + 1, 40)
    ]
    some = set(zip(*(x.tolist() for x in measures._pairs(10**5, rng(), 500)), strict=True))
    assert len(some) == 500
    assert all(0 <= i < j < 10**5 for i, j in some)


def test_a_draw_is_near_the_whole_and_repeats_with_its_seed():
    score = random_pieces(Task(), 300, seed=1)
    whole = diversity(score, pairs=10**6, pieces=300)
    drawn = diversity(score, seed=3, pairs=1000, pieces=300)
    assert drawn == diversity(score, seed=3, pairs=1000, pieces=300)
    assert drawn["edit_distance"] != diversity(score, seed=4, pairs=1000)["edit_distance"]
    assert drawn["edit_distance"] == pytest.approx(whole["edit_distance"], abs=0.01)
    assert diversity(score, pieces=64)["vendi"] <= 64


def test_entropy_by_hand():
    # Intervals 4 3 -7 4 3: pairs (4 3) twice, (3 -7), (-7 4). Durations 2 2 4 2 2 in quarters:
    # pairs (2 2) twice, (2 4), (4 2).
    score = score_from_text("C4:2 E4:2 G4:4 C4:2 E4:2 G4:4")
    expected = 0.5 * 1 + 0.25 * 2 + 0.25 * 2
    found = diversity(score)
    assert found["interval_entropy"] == pytest.approx(expected)
    assert found["rhythm_entropy"] == pytest.approx(expected)
    assert measures.gram_entropy(score, score.interval, 1) == pytest.approx(
        -(0.8 * np.log2(0.4) + 0.2 * np.log2(0.2))
    )


def test_even_intervals_have_the_entropy_of_their_number():
    # Sixteen pieces of one interval each, 1 to 16 semitones.
    score = pieces(*([2, 2 + size] for size in range(1, 17)))
    assert measures.gram_entropy(score, score.interval, 1) == pytest.approx(4)
    assert measures.gram_entropy(score, score.interval, 2) == 0


def test_silence_and_a_piece_shorter_than_a_gram_are_measured():
    silent = diversity(pieces([0], [0]))
    assert silent == {**dict.fromkeys(NAMES, 0.0), "distinct": 0.5, "vendi": pytest.approx(1)}
    short = Task(bars=1, meter="1/16")
    assert diversity(pieces([5], [9], task=short))["vendi"] == pytest.approx(2)


def test_bad_input():
    with pytest.raises(ValueError, match="finished"):
        diversity(Score.page(Task(), 3))
    with pytest.raises(ValueError, match="pairs=0"):
        diversity(random_pieces(Task(), 2), pairs=0)
