"""The diversity term: a piece is worth less the more like it were written lately."""

from itertools import pairwise

import numpy as np
import pytest

from agents.training.reward_lessons import Lessons
from envs.music.noise import noise
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from rewards.adaptive.diversity_filter import HASHES, MOVES, DiversityFilter
from rewards.build import build
from rewards.learned import load, save

TASK = Task()
SCALE = score_from_text("C4 D4 E4 F4 G4 A4 B4 C5")
HIGHER = score_from_text("D4 E4 F#4 G4 A4 B4 C#5 D5")
SLOW = score_from_text("C4:8 D4:8 E4:8 F4:8")
LEAPS = score_from_text("C4 G4 C4 A4 C4 B4 C4 C5")


def memory_of(*scores, **settings):
    term = DiversityFilter(**settings)
    for score in scores:
        term.update(None, score)
    return term


def grams(score, fact):
    """The slow twin: the set of a piece's successive values."""
    notes = score.task.codec.decode(score.tokens[0, 0])
    values = {
        "interval": [b.pitch - a.pitch for a, b in pairwise(notes)],
        "duration": [b.start - a.start for a, b in pairwise(notes)],
    }[fact]
    return {tuple(values[n : n + MOVES]) for n in range(len(values) - MOVES + 1)}


def test_without_a_memory_it_pays_nothing():
    assert (DiversityFilter()(SCALE) == 0).all()
    assert (build("diversity")(SCALE) == 0).all()


def test_a_piece_that_fills_the_memory_is_worth_least_and_a_new_one_loses_nothing():
    term = memory_of(Score(np.repeat(SCALE.tokens, 8, axis=0), TASK), full=1.0)
    assert term(SCALE)[0] == -1
    assert term(HIGHER)[0] == -1  # moved to another key it is the same piece
    assert term(LEAPS)[0] == -0.5  # another line in the same rhythm
    other = score_from_text("C4:2 G4:6 C4:3 A4:5 C4:1 B4:15")
    assert term(other)[0] == 0


def test_full_buckets_are_full():
    half = Score(np.concatenate([SCALE.tokens, LEAPS.tokens]), TASK)
    assert memory_of(half, full=1.0)(SCALE)[0] == pytest.approx(-0.75)  # line .5, rhythm 1
    assert memory_of(half, full=0.5)(SCALE)[0] == -1


def test_two_pieces_share_buckets_as_often_as_grams():
    rng = np.random.default_rng(0)
    base = rng.integers(2, 38, 32)
    for changed in (1, 3, 8):
        other = base.copy()
        other[rng.choice(32, changed, replace=False)] = rng.integers(2, 38, changed)
        one, two = (Score(tokens[None, None], TASK) for tokens in (base, other))
        sets = grams(one, "interval"), grams(two, "interval")
        jaccard = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        shared = []
        for seed in range(40):
            term = DiversityFilter(seed=seed)
            same = term.buckets_of(one) == term.buckets_of(two)
            shared.append(same[0, :HASHES].mean())
        assert np.mean(shared) == pytest.approx(jaccard, abs=0.05)


def test_the_memory_is_bounded_and_forgets_the_oldest():
    term = memory_of(SCALE, noise(TASK, 0, 5), noise(TASK, 1, 5), memory=8)
    assert len(term.buckets) == 8
    assert term.buckets.tolist()[-5:] == term.buckets_of(noise(TASK, 1, 5)).tolist()
    term.update(None, noise(TASK, 2, 20))
    assert len(term.buckets) == 8
    assert term(SCALE)[0] == 0


@pytest.mark.parametrize("words", ["r:32", "C4:32", "C4:16 D4:16"])
def test_pieces_of_few_notes_are_alike(words):
    piece = score_from_text(words)
    assert memory_of(score_from_text("E4:32"))(piece)[0] == -1


def test_grams_do_not_run_from_one_piece_into_the_next():
    term = DiversityFilter()
    both = Score(np.concatenate([SLOW.tokens, LEAPS.tokens]), TASK)
    apart = [term.buckets_of(piece)[0] for piece in (SLOW, LEAPS)]
    np.testing.assert_array_equal(term.buckets_of(both), apart)


def test_a_training_tells_how_alike_its_pieces_are_in_any_metre():
    task = Task(meter="7/8")
    lessons = Lessons(build("diversity"))
    lessons.prepare(task)
    pieces = noise(task, 0, 8)
    assert lessons.update(pieces, 0) == {"diversity/likeness": 0}
    assert lessons.update(pieces, 8)["diversity/likeness"] > 0.2


def test_what_it_remembers_is_kept(tmp_path):
    file, first, second = tmp_path / "reward.safetensors", build("diversity"), build("diversity")
    for step in range(3):
        Lessons(first).update(noise(TASK, step, 16), step)
    assert save(first, file)
    load(second, file)
    assert (first(noise(TASK, 1, 4)) != 0).any()
    np.testing.assert_array_equal(first(noise(TASK, 1, 4)), second(noise(TASK, 1, 4)))
    with pytest.raises(ValueError, match="learned"):
        load(build({"diversity": {"weight": 1.0, "memory": 4}}), file)


@pytest.mark.parametrize(
    ("name", "value"),
    [("memory", 0), ("memory", 2.5), ("memory", float("inf")), ("full", 0), ("full", 2)],
)
def test_settings_that_cannot_be_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        build({"diversity": {"weight": 1.0, name: value}})
