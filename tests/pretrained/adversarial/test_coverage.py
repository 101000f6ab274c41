"""Coverage, density and n-grams, against examples counted by hand."""

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from pretrained.adversarial import coverage
from pretrained.adversarial.coverage import coverage_of, features, grams, neighbourhoods
from pretrained.corpora.histograms import distances
from tests.helpers import random_pieces


def by_hand(made, real, k):
    """The definitions of Naeem et al. (2020), equations 6 and 7, point by point."""
    reach = [sorted(np.linalg.norm(real - x, axis=1))[k] for x in real]  # the 0th is x itself
    inside = [
        [np.linalg.norm(y - x) <= r + 1e-9 for x, r in zip(real, reach, strict=True)] for y in made
    ]
    inside = np.array(inside)
    return inside.any(axis=0).mean(), inside.sum() / (k * len(made))


@pytest.mark.parametrize("k", [1, 3])
def test_coverage_and_density_are_those_of_the_paper(k):
    task = Task(bars=2)
    real, made = random_pieces(task, 20, 1), random_pieces(task, 12, 2)
    found = coverage_of([made], [real], k=k)
    expected = by_hand(features([made]), features([real]), k)
    assert (found.coverage, found.density) == pytest.approx(expected)


def test_neighbourhoods_of_points_on_a_line():
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert neighbourhoods(points, 1).tolist() == pytest.approx([1, 1, 2, 4])
    assert neighbourhoods(points, 2).tolist() == pytest.approx([3, 2, 3, 6])
    assert distances(points, points[:1]).ravel().tolist() == pytest.approx([0, 1, 3, 7])


def test_one_tune_written_again_and_again_covers_little():
    task = Task(bars=2)
    real = random_pieces(task, 30, 1)
    same = real.take(np.zeros(30, int))
    found = coverage_of([same], [real], np.arange(30) // 10)
    copies = coverage_of([real], [real], np.arange(30) // 10)
    assert copies.coverage == copies.clusters == copies.distinct == copies.grams == 1
    assert found.distinct == pytest.approx(1 / 30)
    assert found.coverage < 0.7
    assert found.grams < 0.1


def test_a_cluster_is_covered_by_any_of_its_pieces():
    task = Task(bars=2)
    real = random_pieces(task, 30, 1)
    one = real.take([4])
    near = distances(features([one]), features([real]))[0] <= neighbourhoods(features([real]), 2)
    clusters = np.arange(30) // 5
    found = coverage_of([one], [real], clusters, k=2)
    assert found.clusters == len(set(clusters[near])) / 6


def test_grams_are_intervals_and_times():
    task = Task(bars=1)
    line = [10, 1, 12, 1, 14, 1, 1, 1, 15, 1, 17, 1, 1, 1, 1, 1]
    up = [t + 2 if t > 1 else t for t in line]
    found = grams([Score(np.array([[line], [up]]), task)])
    assert found == {(2, 2, 2, 2, 1, 4), (2, 2, 1, 4, 2, 2)}
    assert grams([Score(np.zeros((1, 1, 16), int), task)]) == set()


def test_too_few_real_pieces_are_refused():
    few = random_pieces(Task(bars=1), coverage.NEIGHBOURS)
    with pytest.raises(ValueError, match="tunes"):
        coverage_of([few], [few])
