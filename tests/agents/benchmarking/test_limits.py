"""The limit in a benchmark: its file, what lies between its points, and where it ends."""

import math

import numpy as np
import pytest

from agents.benchmarking import benchmark_report, limits
from agents.benchmarking.limits import FILE, LimitCurve, pool_size_for, read_limits, write_limits
from agents.benchmarking.results import read
from agents.evaluating.limit import TiltedPrior
from agents.evaluating.pool import Pool, draw_pool
from envs.music.task import Task
from rewards.build import build
from tests.agents.benchmarking.helpers import NAMES, numbers


@pytest.fixture
def normal(monkeypatch, tmp_path):
    """A curve of a reward that is normal with deviation 3 under the prior, read off its file."""
    rewards = 3.0 * np.random.default_rng(0).standard_normal(60_000)

    def draw(prior, reward, task, n, seed):
        return Pool(task, np.zeros((len(rewards), task.voices, task.cells), np.uint8), rewards)

    monkeypatch.setattr(limits, "draw_pool", draw)
    write_limits(tmp_path, None, build("key"), Task(), 60_000)
    return read_limits(tmp_path)


@pytest.mark.parametrize("kl", [0.003, 0.0123, 0.05, 0.07])
def test_between_its_points_it_is_the_limit_of_a_normal_reward(normal, kl):
    reward, c = normal.at(kl)
    assert reward == pytest.approx(3 * math.sqrt(2 * 32 * kl), rel=0.02)
    assert c == pytest.approx(3 / math.sqrt(2 * 32 * kl), rel=0.04)
    half = normal.standing(kl, reward / 2)
    assert half["share"] == pytest.approx(0.5, abs=0.02)
    assert half["gap"] == pytest.approx(32 * kl, rel=0.05)  # (r / 2) / c = s^2 / (2 c^2)


def test_beyond_its_ends_it_knows_nothing(normal):
    for kl in (0.0, 1e-4, 5.0, math.nan):
        assert all(map(math.isnan, normal.at(kl)))
        assert all(map(math.isnan, normal.standing(kl, 1.0).values()))
    assert all(map(math.isnan, LimitCurve().at(0.1)))


def test_best_of_n_is_below_the_limit(normal):
    inside = [(kl, paid) for kl, paid in normal.best if limits.LEAST < kl < normal.limit[-1][0]]
    assert len(inside) > 3
    for kl, paid in inside:
        assert 0.9 * normal.at(kl)[0] < paid < normal.at(kl)[0]
    assert normal.best[0] == pytest.approx([0.0, normal.prior])


def test_cells_with_a_kl_have_gap_and_share(benchmarked):
    found = read(benchmarked.out, NAMES)
    pool = draw_pool(benchmarked.prior, benchmarked.reward, benchmarked.task, 16_000, limits.SEED)
    tilted = TiltedPrior(pool)
    told = 0
    for name in NAMES:
        if name == "prior":
            continue
        cell, own = numbers(benchmarked.out, name), found.rows[name][0]
        if cell["kl"] is None or math.isnan(own["share"]):
            continue
        told += 1
        at = tilted.nearest(cell["kl"])
        assert own["gap"] == pytest.approx((at.reward - cell["reward"]) / at.c, abs=0.02)
        gained = (cell["reward"] - tilted.prior_reward) / (at.reward - tilted.prior_reward)
        assert own["share"] == pytest.approx(gained, abs=0.01)
    assert told >= 2
    text = (benchmarked.out / "report.md").read_text()
    assert "From 16,000 pieces of the prior" in text
    assert "| share of the possible gain |" in text
    assert "| limit | 0.050 |" in text
    assert "best of n, all subsets" in (benchmarked.out / "front.svg").read_text()


def test_without_a_limit_the_reason_is_told(tiny_prior, tmp_path):
    write_limits(tmp_path, tiny_prior, build("prior"), Task(), 100)
    found = read_limits(tmp_path)
    assert "log p alone" in benchmark_report.limit_section(found)
    assert math.isnan(found.standing(0.1, 1.0)["share"])
    assert benchmark_report.limit_section(read_limits(tmp_path / "none")) == "It was not measured."
    (tmp_path / FILE).write_text('{"other": 1}')
    with pytest.raises(ValueError, match="damaged"):
        read_limits(tmp_path)


def test_the_size_of_the_pool():
    assert pool_size_for(1000) == 1_024_000
    assert pool_size_for(100_000) == 2**20
