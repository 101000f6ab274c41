"""Habits against counts by hand, slow twins and properties."""

from collections import Counter

import numpy as np
import pytest

from envs.music.codec import FIRST_PITCH
from envs.music.piece import score_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import parse_notes, text
from pretrained.corpora.pieces import real_melodies
from rewards.measures.habits import FIGURE, commonest, habits, variety
from rewards.measures.novelty import novelty
from tests.helpers import random_pieces

NAMES = ["opening", "close", "figures", "new_bars", "own_notes", "sounding"]
TWO_BARS = Task(bars=2)


def written(*lines, task=TWO_BARS):
    """Return a score of pieces written as text."""
    pieces = [score_of(parse_notes(line), task).tokens for line in lines]
    return Score(np.concatenate(pieces), task)


def test_variety_is_the_share_of_pairs_that_differ():
    rows = np.random.default_rng(0).integers(0, 3, (30, 2))
    pairs = [(a != b).any() for n, a in enumerate(rows) for b in rows[:n]]
    assert variety(rows) == pytest.approx(np.mean(pairs))
    assert variety(rows[:1]) == 1


def test_openings_and_closes_are_compared_by_degree():
    score = written(
        "C4 D4 E4 F4 G4 A4 G4 C4",
        "C5 D5 E5 F5 B4 C5 D5 E5",  # the same opening an octave higher
        "E4 D4 E4 F4 F4 A3 G3 C4",
    )
    found = habits(score)
    assert found["opening"] == pytest.approx(2 / 3)
    assert found["close"] == 1
    closes = habits(written("E4 E4 G4 A4 G4 E4", "C4 C4 E4 G4 A4 G4 E4:8"))["close"]
    assert closes == 0  # the same four notes, at other places


def test_the_commonest_figure_is_that_of_a_slow_twin():
    score = random_pieces(Task(bars=2, low=60, high=64), 40, seed=3)
    owners = Counter()
    for row in range(score.batch):
        at = np.flatnonzero(score.tokens[row, 0] >= FIRST_PITCH)
        size = np.diff(np.append(at, score.task.cells))
        moves = np.diff(score.pitch[row, 0][at].astype(int))
        last = len(at) - FIGURE + 1
        each = {(*moves[n : n + FIGURE - 1], *size[n : n + FIGURE]) for n in range(last)}
        owners.update(each)
    figure = commonest(score)
    assert figure.share == owners.most_common(1)[0][1] / score.batch
    assert habits(score)["figures"] == pytest.approx(1 - figure.share)


def test_the_commonest_figure_can_be_shown():
    score = written("r C4 D4 E4 G4 E4:2 C4:2", "D4 E4 F#4 A4 F#4:2 D4:2 G4", "C4:8 A4:8 C5:8 G4:8")
    figure = commonest(score)
    assert figure.share == pytest.approx(2 / 3)
    assert text(score, figure.row, range(figure.start, figure.end)) == "C4 D4 E4 G4 E4:2"
    assert commonest(written("C4 D4 E4")) is None


def test_copied_bars():
    score = written("C4 D4 E4 F4 C4 D4 E4 F4", "C4 D4 E4 F4 C4 D4 E4 G4")
    assert habits(score)["new_bars"] == pytest.approx(3 / 4)
    task = Task(bars=4)
    score = written("C4 D4 E4 F4 " + "G4 A4 B4 C5 " * 3, task=task)
    assert habits(score)["new_bars"] == pytest.approx(2 / 4)


def test_copied_tunes():
    tunes = real_melodies(Task(bars=4), 20)
    noise = random_pieces(Task(bars=4), 20, seed=1)
    assert habits(tunes)["own_notes"] < 0.2 < 0.4 < habits(noise)["own_notes"]
    shares = [1 - found.run / found.notes for found in novelty(noise)]
    assert habits(noise)["own_notes"] == pytest.approx(np.mean(shares))


def test_silence_is_told_of_the_quietest_bar():
    assert habits(written("C4 D4 E4 F4 G4 r:12"))["sounding"] == pytest.approx(1 / 4)
    assert habits(written("C4:32", "r:32"))["sounding"] == pytest.approx(1 / 2)
    assert habits(Score(np.ones((1, 1, 32), int), TWO_BARS))["sounding"] == 0  # held, never begun


@pytest.mark.parametrize(
    "task", [Task(bars=1), Task(bars=3, voices=2), Task(bars=2, pickup=4)], ids=str
)
def test_shares_on_any_task(task):
    found = habits(random_pieces(task, 6))
    assert list(found) == NAMES
    assert all(0 <= value <= 1 for value in found.values())


def test_unfinished_pieces_are_refused():
    with pytest.raises(ValueError, match="finished"):
        habits(Score.page(TWO_BARS, 2))
