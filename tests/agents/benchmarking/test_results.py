"""Results of a benchmark: methods by name, draws for a KL, intervals, sentences."""

from dataclasses import replace

import numpy as np
import pytest

from agents.benchmark import BenchmarkConfig
from agents.benchmarking import benchmark_report as report
from agents.benchmarking import measuring, results
from agents.benchmarking import methods as matrix
from agents.benchmarking.methods import (
    best_of_n_kl,
    best_of_subsets,
    draws_for,
    find_method,
    training,
)
from agents.benchmarking.results import Results, bootstrap, contrast, plain, stat
from agents.settings.algorithm import ALGORITHMS
from agents.settings.config import PRESETS, TrainConfig, read_toml
from envs.music.score import Score
from envs.music.task import Task
from tests.helpers import random_pieces

# -- methods ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 4, 12, 66, 1635, 10**6])
def test_the_number_of_draws_comes_back_from_its_kl(n):
    assert draws_for(best_of_n_kl(n)) == n


def test_the_kl_of_best_of_n_is_that_of_the_largest_of_n_even_draws():
    u = (np.arange(10**6) + 0.5) / 10**6
    for n in (2, 7, 64):
        density = n * u ** (n - 1)
        nats = density * np.log(np.maximum(density, 1e-300))
        assert best_of_n_kl(n) == pytest.approx(nats.mean(), abs=1e-4)


def test_budgets_of_the_standard_benchmark():
    assert [draws_for(budget * 32) for budget in matrix.BUDGETS] == [12, 66, 1635]
    assert draws_for(0.0) == 1
    assert draws_for(1e9) > 10**8


def test_best_of_subsets_is_unbiased_and_first_has_no_draws_in_common():
    scores = np.random.default_rng(0).permutation(60)
    picks = best_of_subsets(scores, 7, 40_000, np.random.default_rng(1))
    # of an n-subset of 0..N-1 the largest is on average (N + 1) n / (n + 1) - 1
    assert scores[picks].mean() == pytest.approx(61 * 7 / 8 - 1, abs=0.1)
    assert len(set(picks[:8])) == 8
    shares = np.bincount(scores[picks], minlength=60) / len(picks)
    assert shares[59] == pytest.approx(7 / 60, abs=0.01)
    assert not shares[:6].any()


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_training_has_the_same_objective_and_steps(algo, tmp_path):
    base = BenchmarkConfig(tmp_path, reward=("prior=0.5,floor=-9", "tonic=1"), prior="p").settings
    base = replace(base, c=0.3, entropy=0.7, entropy_end=0.4)
    made = training(base, find_method(algo), 3, tmp_path)
    for name in ("n_timesteps", "c", "entropy", "entropy_end", "prior", "env", "task", "device"):
        assert getattr(made, name) == getattr(base, name), name
    assert (made.algo, made.seed, made.kl_budget) == (algo, 3, 0.0)
    weight = 1.0 if algo == "g" else 0.5
    # likelihood under the benchmark's own prior
    likely = {"weight": weight, "floor": -9, "checkpoint": "p"}
    assert made.reward_spec == {"prior": likely, "tonic": 1.0}
    preset = read_toml(PRESETS / f"{algo}.toml")
    assert (made.learning_rate, made.n_envs) == (preset.learning_rate, preset.n_envs)


@pytest.mark.parametrize("reward", [("prior=0.5", "tonic=1"), ("tonic=1",)])
def test_a_kl_budget_makes_the_objective_a_kl(reward, tmp_path):
    base = BenchmarkConfig(tmp_path, reward=reward, prior="p").settings
    base = replace(base, entropy=0.3, entropy_end=2.0)
    made = training(base, find_method("ppo@kl=0.1"), 0, tmp_path)
    assert (made.kl_budget, made.entropy, made.last_entropy) == (0.1, 1.0, 1.0)
    assert set(made.reward_spec) == {"prior", "tonic"}
    assert made.reward_spec["prior"] == {"weight": 1.0, "checkpoint": "p"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("pp", "Did you mean 'ppo'"),
        ("best-of-0", "unknown method"),
        ("best-of-n", "unknown method"),
        ("dqn@kl=0.1", "unknown method"),
        ("ppo@kl=0", "unknown method"),
        ("ppo@kl=nan", "unknown method"),
        ("ppo@kl=", "unknown method"),
        ("prior@kl=1", "unknown method"),
    ],
)
def test_unknown_methods(name, told):
    with pytest.raises(ValueError, match=told):
        find_method(name)


def test_methods_of_other_numbers():
    assert find_method("rloo@kl=.30").name == "rloo@kl=0.3"
    assert find_method("best-of-32").n == 32
    assert [find_method(name).name for name in matrix.default_methods()] == matrix.default_methods()


@pytest.mark.parametrize("name", ["seeds", "pieces", "jobs", "n_timesteps"])
def test_numbers_out_of_range(name):
    with pytest.raises(ValueError, match=f"{name}=-1: expected"):
        BenchmarkConfig(**{name: -1})


# -- what is measured ------------------------------------------------------------------------------


def test_whole_piece_goals():
    def page(*cells):
        return [*cells, *[1] * (32 - len(cells))]

    plain_frame = [14, *[1] * 27, 14, 1, 1, 0]  # C4 first and a fourth from the end
    late = [14, *[1] * 28, 14, 1, 1]
    other = [16, *[1] * 27, 14, 1, 1, 1]
    motif = [14, 1, 16, 1, 18, 1, 16, 1]
    score = Score(np.array([[plain_frame], [late], [other], [page(*motif, *motif)]]), Task())
    assert measuring.goals(score) == {"tonic frame": 25.0, "repeated motif": 25.0}


def test_diversity_is_that_of_groups(monkeypatch):
    monkeypatch.setattr(measuring, "GROUP", 4)
    score = random_pieces(Task(), 10)  # two groups; the last two pieces are in none
    twice = Score(np.concatenate([score.tokens[:4], np.repeat(score.tokens[:1], 4, 0)]), Task())
    both = [measuring.diversity(twice[:4])["vendi"], 1.0]
    assert measuring.group_diversity(twice)["vendi"] == pytest.approx(np.mean(both))
    assert measuring.group_diversity(score) == measuring.group_diversity(score[:8])


# -- numbers over seeds ----------------------------------------------------------------------------


def test_bootstrap_of_two_values_is_a_coin_thrown_twice():
    means, shares = np.unique(bootstrap([0.0, 1.0]), return_counts=True)
    assert means.tolist() == [0, 0.5, 1]
    assert shares / results.RESAMPLES == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_intervals_of_many_normal_values_are_those_of_the_textbook():
    values = np.random.default_rng(1).normal(3, 2, 400)
    error = values.std() / 20
    found = stat(values)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.05 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.05 * error)
    assert found.std == pytest.approx(values.std(ddof=1))
    both = contrast(values, values - 1)  # of independent draws, though the values are the same
    assert both.mean == pytest.approx(1)
    assert both.high - both.low == pytest.approx(2 * 1.96 * error * np.sqrt(2), rel=0.03)


def test_what_could_not_be_counted_is_left_out():
    assert stat([1.0, np.nan, 3.0]).mean == 2
    assert stat([1.0, np.nan, 3.0]).count == 2
    assert np.isnan(stat([np.nan]).mean)
    assert np.isnan(stat([5.0]).low)
    assert contrast([1.0, 2.0], [np.nan]).count == 0


def test_numbers_as_they_are_told():
    told = [plain(value) for value in (0.0, 1234.56, 1635, -12.345, 0.5, 0.0123, 3e-6, np.nan)]
    assert told == ["0", "1,235", "1,635", "-12.3", "0.50", "0.012", "3e-06", "–"]


# -- the report ------------------------------------------------------------------------------------


def invented(**methods):
    """Results in which every goal and the reward of a method have the values given."""
    found = Results(TrainConfig())
    for name, (values, kl) in methods.items():
        name = name.replace("_at_", "@kl=0.").replace("best", "best-of-n")
        for seed, value in enumerate(values):
            row = dict.fromkeys((*results.GOALS, "reward", "draw_cpu"), value)
            row |= {"kl": kl, "draws": 66, "train_cpu": 30.0}
            found.rows.setdefault(name, {})[seed] = row
    return found


LOW, HIGH = [50.0, 51.0, 52.0], [60.0, 61.0, 63.0]


def test_the_report_says_where_rl_loses():
    told = report.equal_kl(invented(ppo_at_1=(LOW, 0.1), best_at_1=(HIGH, 0.1)))
    line = "unique highest note: RL is behind best of 66, 51% against 61.3%; difference -10.3 ("
    assert line in told
    assert told.count("is behind") == 5
    assert "Of 5 comparisons with best-of-n at equal KL RL is ahead in 0, behind in 5, and" in told


def test_the_report_says_where_rl_wins_and_where_nobody_knows():
    found = invented(ppo_at_1=(HIGH, 0.1), best_at_1=(LOW, 0.1), masked=([40.0, 60.0, 80.0], 0.02))
    told = report.equal_kl(found)
    assert "RL is ahead in 5, behind in 0" in told
    assert told.count("RL is ahead of best of 66") == 5
    assert told.count("RL is not clearly different from masked decoding") == 5
    assert "not clearly different in 5 (" in told


def test_a_missed_budget_is_no_equal_kl():
    told = report.equal_kl(invented(ppo_at_1=(LOW, 0.08), best_at_1=(HIGH, 0.1)))
    assert "at equal KL RL" not in told
    assert "best-of-n was allowed more" in told
    assert "Of 5 comparisons with best-of-n where a KL budget was missed RL is ahead in 0" in told
    told = report.equal_kl(invented(ppo_at_1=(LOW, 0.12), best_at_1=(HIGH, 0.1)))
    assert "RL was allowed more" in told


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_or_two_seeds_prove_nothing(seeds):
    low, high = [1.0] * seeds, [9.0] * seeds
    told = report.equal_kl(invented(ppo_at_1=(low, 0.1), best_at_1=(high, 0.1)))
    assert "is behind" not in told
    assert "fewer than 3 seeds, no interval" in told
    assert not report.beats_all("unique highest note", stat([99.0] * seeds))
    assert report.entry(stat([98.0, 99.0][:seeds])) == ("98" if seeds == 1 else "98.5")


def test_when_training_pays_for_itself():
    found = invented(ppo_at_1=([1.0], 0.1), best_at_1=([61.0], 0.1))
    assert "pays for itself after 500 pieces" in report.paid_off(
        found, "ppo@kl=0.1", "best-of-n@kl=0.1"
    )
    assert "never pays" in report.paid_off(found, "best-of-n@kl=0.1", "ppo@kl=0.1")


def test_bold_is_better_than_all_that_was_published():
    def value(mean, low, high):
        return results.Stat(mean, low, high, 0.0, 3)

    assert report.beats_all("unique highest note", value(70, 65, 75))
    assert not report.beats_all("unique highest note", value(70, 64, 75))
    assert report.beats_all("notes not in key", value(0.05, 0.01, 0.09))
    assert not report.beats_all("notes not in key", value(0.05, 0.01, 0.11))
    assert report.beats_all("mean autocorrelation, lag 1", value(0.0, -0.09, 0.09))
    assert not report.beats_all("mean autocorrelation, lag 1", value(0.0, -0.11, 0.09))
    assert report.beats_all("notes excessively repeated", value(0.0, 0.0, 0.0))
    assert not report.beats_all("notes excessively repeated", value(0.01, 0.0, 0.02))


def test_a_number_far_below_the_priors_stands_out():
    found = invented(prior=([3.0, 3.0], 0.0), ppo=([1.9, 1.9], 0.1), a2c=([2.1, 2.1], 0.1))
    for rows in found.rows.values():
        for row in rows.values():
            row |= dict.fromkeys(report.WATCHED, row["reward"])
    found.warnings = {"ppo": {0: [], 1: ["the reward may be hacked: ..."]}, "a2c": {0: [], 1: []}}
    told = report.hacking(found)
    assert "| ppo | 1 of 2 | **1.90** |" in told
    assert "| a2c | 0 of 2 | 2.10 |" in told
    assert "- ppo, seed 1: the reward may be hacked: ..." in told
