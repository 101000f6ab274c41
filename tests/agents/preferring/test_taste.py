"""The model against closed forms and slow twins; listeners of known weights are found out."""

import numpy as np
import pytest

from agents.preferring import taste as tastes
from agents.preferring.pairs import choose_pairs
from agents.preferring.taste import (
    ANSWERS,
    Choices,
    before_answers,
    fitted,
    odds,
    posterior,
    sparse,
    told_intervals,
)
from tests.agents.preferring.listeners import agreement, answers, asked, logistic, taste


def choices(n, features, seed=0, kinds=4):
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(2, n, features))
    return Choices(left, right, rng.integers(0, kinds, n))


def slowly(known, at, precision):
    """Return the log of the posterior of (w, t, s), from the formulas in the module's docstring."""
    features, total = known.left.shape[1], 0.0
    weights, rest = at[:features], list(at[features:])
    tie = rest.pop(0) if 2 in known.answers else None
    outside = rest.pop(0) if 3 in known.answers else None
    for left, right, answer in zip(known.left, known.right, known.answers, strict=True):
        u, v = left @ weights, right @ weights
        odds = {0: np.exp(u), 1: np.exp(v)}
        if tie is not None:
            odds[2] = np.exp(tie + (u + v) / 2)
        if outside is not None:
            odds[3] = np.exp(outside)
        total += np.log(odds[answer] / sum(odds.values()))
    return total - 0.5 * precision @ weights**2 - 0.5 * tastes.FREE * sum(at[features:] ** 2)


@pytest.mark.parametrize("kinds", [2, 3, 4])
def test_the_posterior_is_the_top_of_the_formula_and_as_wide_as_its_curvature(kinds):
    known, precision = choices(60, 3, kinds=kinds), np.array([0.5, 1.0, 4.0])
    likelihood = tastes._Likelihood(known)
    at = likelihood.top(likelihood.padded(precision))
    assert likelihood.value(at, likelihood.padded(precision)) == pytest.approx(
        slowly(known, at, precision)
    )
    size, eye = len(at), np.eye(len(at)) * 1e-3
    slope = [slowly(known, at + e, precision) - slowly(known, at - e, precision) for e in eye]
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    curved = np.array(
        [
            [
                slowly(known, at + a + b, precision)
                - slowly(known, at + a - b, precision)
                - slowly(known, at - a + b, precision)
                + slowly(known, at - a - b, precision)
                for a in eye
            ]
            for b in eye
        ]
    ) / (4 * 1e-6)
    found = posterior(known, precision)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(-curved)[:3, :3], rtol=1e-3)
    np.testing.assert_allclose(found.mean, at[:3])
    assert size == 3 + (kinds - 2)


def test_one_feature_and_many_answers_give_the_log_of_the_odds():
    left, right = np.ones((1000, 1)), np.zeros((1000, 1))
    known = Choices(left, right, np.repeat([0, 1], [800, 200]))
    assert posterior(known, np.array([1e-6])).mean[0] == pytest.approx(np.log(4), abs=1e-4)
    # Davidson: of ties the geometric mean of the odds is taken, which moves no estimate here
    tied = Choices(left, right, np.repeat([0, 1, 2], [400, 100, 500]))
    assert posterior(tied, np.array([1e-6])).mean[0] == pytest.approx(np.log(4), abs=1e-2)


def test_neither_says_that_both_are_worth_little():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 400, 1))
    bad = (left + right)[:, 0] < 0
    known = Choices(left, right, np.where(bad, 3, rng.integers(0, 2, 400)))
    assert posterior(known, np.array([1.0])).mean[0] > 0.3


def test_swapping_sides_and_answers_changes_nothing():
    known = choices(40, 3)
    other = Choices(known.right, known.left, np.array([1, 0, 2, 3])[known.answers])
    one, two = posterior(known, np.ones(3)), posterior(other, np.ones(3))
    np.testing.assert_allclose(one.mean, two.mean, atol=1e-8)
    assert one.evidence == pytest.approx(two.evidence)


def test_the_evidence_is_the_integral_over_the_weights():
    known = choices(30, 1, kinds=2)
    grid = np.linspace(-6, 6, 4001)
    margins = (known.left - known.right)[:, 0]
    signs = np.where(known.answers == 0, 1.0, -1.0)
    logs = np.log(logistic(np.outer(grid, signs * margins))).sum(axis=1)
    prior = np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi)
    integral = (np.exp(logs) * prior).sum() * (grid[1] - grid[0])
    assert posterior(known, np.ones(1)).evidence == pytest.approx(np.log(integral), abs=0.03)


def test_odds_are_those_of_the_evidence_with_and_without_a_weight():
    # of two models, one of which has no second feature
    known = choices(200, 2, seed=3, kinds=2)
    left = known.left * [1.0, 1.0]
    told = Choices(left, known.right, (left[:, 0] + 0.3 * left[:, 1] < 0).astype(np.intp))
    both = posterior(told, np.array([1.0, 1.0]))
    alone = posterior(told, np.array([1.0, 1e9]))
    assert odds(both)[1] == pytest.approx(both.evidence - alone.evidence, abs=1.0)
    assert odds(both)[0] > 3 > odds(posterior(choices(200, 2, kinds=2), np.ones(2)))[0]


@pytest.fixture(scope="module")
def pieces():
    """Features with tails and ties as those of rules have them."""
    rng = np.random.default_rng(4)
    mixed = rng.normal(size=(1500, 30)) @ (np.eye(30) + 0.15 * rng.normal(size=(30, 30)))
    rare = np.where(rng.random((1500, 10)) < 0.2, rng.exponential(size=(1500, 10)), 0.0)
    every = np.concatenate([mixed[:, :20], rare], axis=1)
    return (every - every.mean(axis=0)) / every.std(axis=0)


def test_known_weights_lie_in_their_intervals_at_the_stated_rate(pieces):
    inside, nonzero = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        weights = taste(pieces, rng)
        known = asked(pieces, rng.integers(0, 1500, (200, 2)), weights, rng)
        one = fitted(known)
        estimates, errors = told_intervals(known, one, sparse(known, one))
        held = np.abs(estimates - weights) <= errors
        inside.append(held.mean())
        nonzero.append(held[weights != 0].mean())
    assert 0.93 <= np.mean(inside) <= 0.999
    assert np.mean(nonzero) >= 0.9


def test_150_comparisons_reach_nine_tenths_of_what_can_be_reached(pieces):
    random, chosen = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        weights = taste(pieces, rng)
        known = asked(pieces, rng.integers(0, 1000, (150, 2)), weights, rng)
        random.append(agreement(pieces[1000:], weights, sparse(known, fitted(known)).mean))
        known, told, every = (
            before_answers(30),
            Choices(*np.zeros((2, 0, 30)), np.zeros(0, int)),
            [],
        )
        for _ in range(10):
            pairs = choose_pairs(pieces[:1000], known, 15, rng, every)
            every += pairs
            told = joined(told, asked(pieces, np.array(pairs), weights, rng))
            known = fitted(told)
        chosen.append(agreement(pieces[1000:], weights, sparse(told, known).mean))
    assert np.mean(random) >= 0.9
    assert np.mean(chosen) >= 0.93


def joined(one, other):
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return Choices(*(np.concatenate(pair) for pair in pairs))


def test_strengths_of_their_own_predict_better_than_one_for_all(pieces):
    gains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        weights = taste(pieces, rng)
        known = asked(pieces, rng.integers(0, 1500, (150, 2)), weights, rng)
        one = fitted(known)
        gains.append(
            agreement(pieces, weights, sparse(known, one).mean)
            - agreement(pieces, weights, one.mean)
        )
    assert np.mean(gains) > 0.01


# -- what is refused -------------------------------------------------------------------------------


def test_answers_that_are_none():
    x = np.ones((2, 1))
    with pytest.raises(ValueError, match="Did you mean 'left'"):
        Choices.of(x, x, ["left", "lefft"])
    with pytest.raises(ValueError, match="NaN"):
        Choices.of(x, x * np.nan, ["left", "tie"])
    with pytest.raises(ValueError, match="shapes"):
        Choices.of(x, np.ones((2, 2)), ["left", "tie"])
    assert Choices.of(x, x, ["left", "neither"]).answers.tolist() == [0, 3]
    assert ANSWERS == ("left", "right", "tie", "neither")


def test_a_cross_validated_guess_is_a_coin_where_answers_are(pieces):
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 1500, (300, 2))
    known = Choices(pieces[pairs[:, 0]], pieces[pairs[:, 1]], answers(np.zeros(300), rng))
    assert 0.38 < tastes.cross_validated(known) < 0.62
