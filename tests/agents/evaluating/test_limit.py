"""The limit of fine-tuning against all pieces of a tiny task, enumerated, and against its duals."""

import itertools
import math

import numpy as np
import pytest

from agents.evaluating import limit
from agents.evaluating.limit import (
    TiltedPrior,
    TooFewError,
    best_of_n_kl,
    best_of_n_weights,
    distance_of_drawn,
    draws_for,
)
from agents.evaluating.pool import Pool, draw_pool, mixed_pool, pay
from envs.music.score import Score
from envs.music.task import Task
from rewards.build import build
from rewards.measures.diversity import edit_distance
from tests.helpers import small_prior

TASK = Task(bars=1, meter="1/4", low=60, high=62)  # four cells: rest, hold, C4, C#4, D4
REWARD = build({"in_key": 1.0, "tonic": 0.7, "penalize_repeating": 0.4, "prior": 1.0})


@pytest.fixture(scope="module")
def whole(tiny_prior):
    """Every piece of the task with its log p, what it is paid, and the exact prior as a pool."""
    tokens = np.array(list(itertools.product([0, 1, 14, 15, 16], repeat=4)), np.uint8)
    tokens = tokens[:, None]
    log_p = tiny_prior.log_prob(Score(tokens, TASK)).sum(axis=(1, 2), dtype=np.float64)
    tokens, log_p = tokens[log_p > -1e6], log_p[log_p > -1e6]
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-5)
    rewards = pay(REWARD, tokens, TASK)
    assert len(set(rewards)) > 5
    return Pool(TASK, tokens, rewards, log_p + math.log(len(log_p)))


def exact(whole, c):
    """Probabilities, mean reward, KL in nats a piece and log Z of p exp(r / c)."""
    p = np.exp(whole.log_weights) / len(whole.rewards)
    p /= p.sum()
    z = (p * np.exp(whole.rewards / c)).sum()
    tilted = p * np.exp(whole.rewards / c) / z
    kl = (tilted * np.log(tilted / p)).sum()
    return p, tilted, (tilted * whole.rewards).sum(), kl, math.log(z)


@pytest.mark.parametrize("c", [0.3, 1.0, 5.0])
def test_all_pieces_enumerated_give_the_closed_form(whole, c):
    _, tilted, reward, kl, log_z = exact(whole, c)
    found = TiltedPrior(whole).at(c)
    assert found.reward == pytest.approx(reward, rel=1e-9)
    assert found.kl == pytest.approx(kl / 4, rel=1e-9)
    assert found.log_z == pytest.approx(log_z, rel=1e-9)
    assert found.size == pytest.approx(1 / (tilted**2).sum(), rel=1e-9)


@pytest.mark.parametrize("c", [0.5, 2.0])
def test_pieces_that_are_drawn_come_near_the_closed_form(whole, tiny_prior, c):
    _, _, reward, kl, log_z = exact(whole, c)
    tilted = TiltedPrior(draw_pool(tiny_prior, REWARD, TASK, 8000))
    found = tilted.at(c)
    assert found.kl == pytest.approx(kl / 4, rel=0.08)
    low, high = tilted.reward_interval(tilted.at_kl(kl / 4))
    assert low - 0.01 < reward < high + 0.01
    assert 0 < high - low < 0.1
    assert found.log_z == pytest.approx(log_z, abs=0.05)


def test_the_c_of_a_kl_is_found_and_no_policy_of_that_kl_is_paid_more(whole, monkeypatch):
    monkeypatch.setattr(limit, "FEWEST", 0)
    p, *_ = exact(whole, 1.0)
    rng = np.random.default_rng(0)
    tilted = TiltedPrior(whole)
    for kl in (0.02, 0.1, 0.2):
        found = tilted.at_kl(kl)
        assert found.kl == pytest.approx(kl, rel=1e-6)
        _, best, reward, *_ = exact(whole, found.c)
        assert found.reward == pytest.approx(reward, rel=1e-6)
        for _ in range(50):
            q = p * np.exp(rng.normal(0, rng.uniform(0.1, 2), len(p)) + rng.uniform(0, 2) * best)
            q /= q.sum()
            spent = (q * np.log(q / p)).sum()
            gap = (q * np.log(q / best)).sum()
            objective = q @ whole.rewards / found.c - spent
            assert found.log_z - objective == pytest.approx(gap, abs=1e-6)
            assert tilted.nearest(spent / 4).reward >= q @ whole.rewards - 1e-9


def test_a_normal_reward_has_its_known_limit():
    # r ~ N(0, s): the limit at c is N(s^2 / c, s), KL s^2 / (2 c^2), log Z s^2 / (2 c^2).
    rewards = 3.0 * np.random.default_rng(0).standard_normal(50_000)
    tokens = np.zeros((1, 1, 4), np.uint8).repeat(len(rewards), axis=0)
    tilted = TiltedPrior(Pool(TASK, tokens, rewards))
    found = tilted.at_kl(0.2)  # 0.8 nats a piece
    assert found.c == pytest.approx(3 / math.sqrt(1.6), rel=0.03)
    assert found.reward == pytest.approx(3 * math.sqrt(1.6), rel=0.02)
    assert found.log_z == pytest.approx(0.8, rel=0.03)
    low, high = tilted.reward_interval(found)
    error = found.c * math.sqrt(1 / found.size - 1 / len(rewards))  # of c log Z, the delta method
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.25)


def test_an_agent_as_proposal_agrees_with_the_closed_form(whole, tiny_prior):
    _, _, reward, kl, _ = exact(whole, 0.25)
    pool = mixed_pool(tiny_prior, [small_prior(3), small_prior(5)], REWARD, TASK, 2000)
    assert pool.size == 6000
    assert pool.log_weights.max() <= math.log(3) + 1e-6  # the prior is a third of the mixture
    tilted = TiltedPrior(pool)
    assert np.exp(pool.log_weights).mean() == pytest.approx(1, abs=0.05)
    assert tilted.at(0.25).reward == pytest.approx(reward, abs=0.05)
    assert tilted.at(0.25).kl == pytest.approx(kl / 4, rel=0.1)
    with pytest.raises(ValueError, match="mixed"):
        best_of_n_weights(pool, 2)


# -- refusals --------------------------------------------------------------------------------------


def spread(n):
    rng = np.random.default_rng(0)
    return Pool(TASK, np.zeros((n, 1, 4), np.uint8), rng.standard_normal(n))


def test_too_few_effective_pieces_are_refused_with_what_would_do():
    tilted = TiltedPrior(spread(3000))
    with pytest.raises(TooFewError, match=r"at a KL of 0.8 .* count as .*pool of about .*--pool"):
        tilted.at_kl(0.8)
    assert tilted.nearest(0.8).size < limit.FEWEST
    with pytest.raises(TooFewError, match=r"mixed_pool"):
        tilted.at_kl(3.0)  # 12 nats a piece, which exp(12) pieces would show


def test_the_pool_that_is_named_is_large_enough():
    tilted = TiltedPrior(spread(3000))
    with pytest.raises(TooFewError) as told:
        tilted.at_kl(0.6)
    size = int(str(told.value).split("about ")[1].split(" ")[0].replace(",", ""))
    assert TiltedPrior(spread(size)).at_kl(0.6).size >= limit.FEWEST


def test_what_the_reward_cannot_spend_is_told():
    rewards = np.repeat([0.0, 1.0], [700, 300])
    tilted = TiltedPrior(Pool(TASK, np.zeros((1000, 1, 4), np.uint8), rewards))
    most = -math.log(0.3) / 4
    assert tilted.at_kl(0.9 * most).reward < 1
    with pytest.raises(ValueError, match=r"more than the reward can spend.* 1, are at 0.301"):
        tilted.at_kl(1.1 * most)


def test_a_reward_that_pays_nothing_and_bad_numbers_are_told():
    with pytest.raises(ValueError, match="no KL buys anything"):
        TiltedPrior(Pool(TASK, np.zeros((9, 1, 4), np.uint8), np.full(9, 2.0)))
    tilted = TiltedPrior(spread(300))
    for kl in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="expected a number above 0"):
            tilted.at_kl(kl)
    with pytest.raises(ValueError, match="c=0"):
        tilted.at(0.0)


# -- best of n -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 4, 12, 66, 1635, 10**6])
def test_the_number_of_draws_comes_back_from_its_kl(n):
    assert draws_for(best_of_n_kl(n)) == n


def test_the_kl_of_best_of_n_is_that_of_the_largest_of_n_even_draws():
    u = (np.arange(10**6) + 0.5) / 10**6
    for n in (2, 7, 64):
        density = n * u ** (n - 1)
        nats = density * np.log(np.maximum(density, 1e-300))
        assert best_of_n_kl(n) == pytest.approx(nats.mean(), abs=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8])
def test_best_of_n_is_the_mean_over_all_subsets(n, monkeypatch):
    monkeypatch.setattr(limit, "FEWEST", 0)
    rewards = np.array([3.0, -1.0, 3.0, 0.5, 7.0, 2.0, 2.0, -4.0])  # with ties
    pool = Pool(TASK, np.zeros((8, 1, 4), np.uint8), rewards)
    weights = best_of_n_weights(pool, n)
    best = [max(each) for each in itertools.combinations(rewards, n)]
    assert weights.sum() == pytest.approx(1)
    assert weights @ rewards == pytest.approx(np.mean(best))


def test_a_best_of_too_many_is_refused():
    with pytest.raises(TooFewError, match="best of 100 .*about 10,000 pieces"):
        best_of_n_weights(spread(500), 100)
    with pytest.raises(ValueError, match="expected 1 to"):
        best_of_n_weights(spread(500), 501)


def test_the_distance_is_that_of_different_pieces():
    tokens = np.random.default_rng(0).integers(0, 5, (12, 1, 4)).astype(np.uint8)
    assert len(np.unique(tokens, axis=0)) == 12
    pool = Pool(TASK, tokens, np.zeros(12))
    among_all = edit_distance(pool.take(np.arange(12)), np.random.default_rng(0))
    assert distance_of_drawn(pool, np.ones(12)) == pytest.approx(among_all, abs=0.02)
