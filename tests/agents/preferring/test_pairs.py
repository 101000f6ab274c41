"""Pairs that are asked about: the best by brute force, none twice, none that teaches nothing."""

import numpy as np
import pytest

from agents.preferring.pairs import choose_pairs, doubt
from agents.preferring.taste import Choices, Posterior, before_answers, posterior
from tests.agents.preferring.listeners import logistic


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 0.1), (1.0, 0.5), (-3.0, 4.0), (2.0, 1e-6)])
def test_doubt_is_the_mean_over_the_posterior(mean, variance):
    drawn = np.random.default_rng(0).normal(mean, np.sqrt(variance), 200_000)
    p = logistic(drawn)
    assert doubt(np.array(mean), np.array(variance)) == pytest.approx(
        (p * (1 - p)).mean(), abs=0.02
    )


def test_the_pair_is_the_one_that_narrows_the_weights_most():
    rng = np.random.default_rng(1)
    pieces = rng.normal(size=(12, 3))
    known = Posterior(rng.normal(size=3), np.diag([1.0, 0.2, 0.05]), np.ones(3), 0.0)
    ((first, second),) = choose_pairs(pieces, known, 1, rng)

    def narrowed(i, j):
        d = pieces[i] - pieces[j]
        m, v = d @ known.mean, d @ known.covariance @ d
        p = logistic(rng.normal(m, np.sqrt(v), 20_000))
        precision = np.linalg.inv(known.covariance) + (p * (1 - p)).mean() * np.outer(d, d)
        return np.linalg.slogdet(precision)[1]

    gains = {(i, j): narrowed(i, j) for i in range(12) for j in range(i)}
    chosen = gains[max(first, second), min(first, second)]
    assert chosen >= np.quantile(list(gains.values()), 0.95)


def test_no_pair_is_asked_twice_and_no_piece_stands_in_two_of_a_batch():
    rng = np.random.default_rng(2)
    pieces, known = rng.normal(size=(10, 4)), before_answers(4)
    asked = choose_pairs(pieces, known, 5, rng)
    assert len({number for pair in asked for number in pair}) == 10
    for _ in range(4):
        more = choose_pairs(pieces, known, 4, rng, asked)
        assert not {frozenset(p) for p in more} & {frozenset(p) for p in asked}
        asked += more


def test_pieces_without_new_pairs_are_refused():
    rng, known = np.random.default_rng(0), before_answers(1)
    pieces = np.array([[0.0], [1.0], [1.0]])
    assert 0 in choose_pairs(pieces, known, 1, rng)[0]  # the other two are alike
    with pytest.raises(ValueError, match="Draw more pieces"):
        choose_pairs(pieces, known, 1, rng, [(0, 1), (2, 0)])
    with pytest.raises(ValueError, match="fewer pairs"):
        choose_pairs(pieces, known, 2, rng)


def test_answers_about_chosen_pairs_leave_less_to_doubt_than_those_about_random_ones():
    rng = np.random.default_rng(3)
    pieces = rng.normal(size=(200, 8))
    chosen = np.array(choose_pairs(pieces, before_answers(8), 30, rng))
    random = rng.integers(0, 200, (30, 2))

    def left(pairs):
        told = Choices(pieces[pairs[:, 0]], pieces[pairs[:, 1]], rng.integers(0, 2, 30))
        return np.linalg.slogdet(posterior(told, np.full(8, 4.0)).covariance)[1]

    assert left(chosen) < left(random) - 1
