"""Methods by name, draws for a KL, and what a training shares with the others."""

from dataclasses import replace

import numpy as np
import pytest

from agents.benchmark import BenchmarkConfig
from agents.benchmarking import benchmark_methods as matrix
from agents.benchmarking.bench import best_of_subsets
from agents.benchmarking.benchmark_methods import find_method, training
from agents.evaluating.limit import draws_for
from agents.settings.algorithm import ALGORITHMS
from agents.settings.config import read_toml
from agents.settings.presets import PRESETS


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
        ("prior@t=0", "unknown method"),
        ("prior@t=.8@t=.9", "unknown method"),
        ("masked@t=.8", "unknown method"),
        ("limit", "unknown method"),
        ("fill:", "unknown method"),
        ("beam:folk", "unknown method"),
        ("dqn+adversary@kl=0.1", "unknown method"),
        ("ppo+adversary=0", "unknown method"),
        ("ppo+adversaries", "unknown method"),
        ("prior+adversary", "unknown method"),
    ],
)
def test_unknown_methods(name, told):
    with pytest.raises(ValueError, match=told):
        find_method(name)


@pytest.mark.parametrize(
    ("given", "name", "known"),
    [
        ("prior@t=.80", "prior@t=0.8", {"kind": "prior", "temperature": 0.8}),
        ("prior@t=1", "prior", {"kind": "prior"}),
        ("limit@kl=.1", "limit@kl=0.1", {"kind": "limit", "budget": 0.1}),
        ("fill:a/b.safetensors@t=.9", "fill:a/b.safetensors@t=0.9", {"model": "a/b.safetensors"}),
        ("decode:vae", "decode:vae", {"kind": "decode", "model": "vae"}),
        ("pcl+adversary=2@kl=.1", "pcl+adversary=2@kl=0.1", {"adversary": 2.0, "budget": 0.1}),
        ("ppo+adversary=1.0", "ppo+adversary", {"adversary": 1.0, "algo": "ppo"}),
    ],
)
def test_numbers_behind_a_name(given, name, known):
    found = find_method(given)
    assert found.name == name
    assert {each: getattr(found, each) for each in known} == known
    assert find_method(name) == found


def test_an_adversary_is_one_more_term(tmp_path):
    base = BenchmarkConfig(tmp_path, reward=("prior=0.5", "tonic=1"), prior="p").settings
    made = training(base, find_method("ppo+adversary=3"), 0, tmp_path)
    assert made.reward_spec["adversary"] == 3.0
    assert set(made.reward_spec) == {"prior", "tonic", "adversary"}
    held = training(base, find_method("pcl+adversary@kl=0.1"), 0, tmp_path)
    assert (held.reward_spec["adversary"], held.kl_budget) == (1.0, 0.1)


def test_the_compute_of_a_method_in_words():
    words = {name: find_method(name).compute(5000, 66.0) for name in ("ppo", "prior", "fill:x")}
    assert words == {"ppo": "5,000 steps, then 1 draw", "prior": "1 draw", "fill:x": "1 filling"}
    assert find_method("best-of-n@kl=0.1").compute(5000, 66.0) == "66 draws"


def test_methods_of_other_numbers():
    assert find_method("rloo@kl=.30").name == "rloo@kl=0.3"
    assert find_method("best-of-32").n == 32
    assert [find_method(name).name for name in matrix.default_methods()] == matrix.default_methods()
