"""A policy beside the limit: gap, share and rows, against a policy whose limit is known."""

import itertools
import json
import math

import numpy as np
import pytest

from agents.evaluating import limit, standing
from agents.evaluating.limit import TiltedPrior
from agents.evaluating.pool import Pool, draw_pool, piece_nats
from agents.evaluating.standing import Report, against_limit, as_facts, as_text, curve, stand, write
from envs.music.task import Task
from rewards.build import build
from tests.helpers import small_prior

TASK = Task(bars=1, meter="1/4", low=60, high=62)
REWARD = build({"in_key": 1.0, "tonic": 0.7, "penalize_repeating": 0.4})


@pytest.fixture(scope="module")
def normal():
    """The limit of a reward that is normal with deviation 3 under the prior."""
    rewards = 3.0 * np.random.default_rng(0).standard_normal(40_000)
    tokens = np.zeros((len(rewards), 1, 4), np.uint8)
    return TiltedPrior(Pool(TASK, tokens, rewards))


@pytest.mark.parametrize("part", [1.0, 0.5])
def test_gap_and_share_of_a_normal_policy(normal, part):
    # q moves the mean by part * m and spends the KL m^2 / (2 s^2), as the limit does for part = 1.
    m, n = 3.0, 20_000
    noise = np.random.default_rng(1).standard_normal(n)
    rewards = part * m + 3.0 * noise
    ratios = m * m / 18 + m / 3 * np.random.default_rng(2).standard_normal(n)
    found = stand(normal, rewards, ratios)
    assert found.kl == pytest.approx(0.5 / 4, rel=0.05)
    assert found.share == pytest.approx(part, abs=0.03)
    # KL(q || limit) of two normals, and what is spent on other things than the reward
    assert found.gap == pytest.approx((1 - part) * m * m / 9, abs=0.04)
    for value, true, (low, high) in (
        (found.share, part, found.share_interval),
        (found.gap, (1 - part) * m * m / 9, found.gap_interval),
    ):
        assert low < value < high
        assert low - 0.02 < true < high + 0.02


def test_pieces_are_fresh_and_their_ratios_average_to_the_kl(tiny_prior):
    pool = draw_pool(tiny_prior, REWARD, TASK, 1000)
    policy = small_prior(3)
    written = write(policy, tiny_prior, REWARD, pool, 3000, seed=4)
    every = np.array(list(itertools.product([0, 1, 14, 15, 16], repeat=4)))[:, None]
    log_q, log_p = (piece_nats(each, every, TASK) for each in (policy, tiny_prior))
    kl = (np.exp(log_q) * (log_q - log_p))[log_q > -1e6].sum()
    assert written.ratios.mean() == pytest.approx(kl, rel=0.1)
    itself = write(tiny_prior, tiny_prior, REWARD, pool, 50, seed=4)
    assert not itself.ratios.any()
    with pytest.raises(ValueError, match="too small to be told from 0"):
        stand(TiltedPrior(pool), itself.rewards, itself.ratios)


@pytest.fixture(scope="module")
def report(tiny_prior):
    return against_limit(small_prior(3), tiny_prior, REWARD, TASK, 1000, 1, 4000)


def test_the_report_has_limit_and_best_of_n_at_the_agents_own_kl(report):
    names = [row.name for row in report.rows]
    assert names[0] == "prior"
    assert names[-3:-1] == ["agent", "limit, at the agent's KL"]
    agent, best = report.rows[-3:-1]
    assert best.kl == pytest.approx(agent.kl, rel=1e-5)
    assert best.reward > agent.reward
    assert report.standing.share < 1
    assert report.standing.gap > 0
    text = as_text(report)
    assert f"{report.standing.share:.1%}" in text
    assert len({line.index("KL") for line in text.splitlines()[:1]}) == 1
    json.dumps(as_facts(report), allow_nan=False)


def test_a_pool_that_is_too_small_has_the_agent_as_proposal(tiny_prior, report, monkeypatch):
    monkeypatch.setattr(standing, "MIXED", (30, 2000))
    few = against_limit(small_prior(3), tiny_prior, REWARD, TASK, 1000, 1, 120)
    assert any("the agent was the proposal" in note for note in few.notes)
    assert few.rows[-1].size >= limit.FEWEST
    assert few.standing.share == pytest.approx(report.standing.share, abs=0.1)
    assert few.standing.gap == pytest.approx(report.standing.gap, rel=0.1)


def test_a_reward_that_tells_nothing_apart_is_a_note(tiny_prior):
    flat = build(lambda score: np.zeros(score.batch, np.float32))
    found = against_limit(small_prior(3), tiny_prior, flat, TASK, 100, 1, 400)
    assert (found.rows, found.standing) == ([], None)
    assert "no KL buys anything" in as_text(found)
    json.dumps(as_facts(found), allow_nan=False)


def test_what_cannot_be_told_is_left_out_with_its_reason(normal, monkeypatch):
    rows, left_out = curve(normal, (0.05, 5.0))
    assert [row.name for row in rows] == ["prior", "limit", "best of 2"]
    assert len(left_out) == 1
    assert "5 nats per token" in left_out[0]
    assert math.isnan(rows[0].interval[0])
    monkeypatch.setattr(limit, "FEWEST", 10**9)
    assert curve(normal)[0][1:] == []
    assert as_text(Report(rows, None, left_out)).endswith(left_out[0])
