"""The controller of a KL budget, against a policy whose KL follows c as in a closed form."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from agents.algorithms import registry as algorithms
from agents.learning.rollout import Steering
from agents.settings.config import TrainConfig, for_budget
from agents.training import kl
from rewards import build
from rewards.objective import Objective


def simulate(budget, response, updates=150, lag=0.3):
    """KL after `updates` rollouts of a policy that moves a share `lag` towards response(c)."""
    metrics = SimpleNamespace(row={"kl": 0.0}, run=SimpleNamespace(turns=list))
    steering = Steering(Objective(build("key")))
    controller = kl.KLController(metrics, budget, steering)
    controller._on_training_start()
    history = []
    for _ in range(updates):
        controller._on_rollout_end()
        metrics.row["kl"] += lag * (response(steering.objective.c) - metrics.row["kl"])
        history.append(metrics.row["kl"])
    return history, steering.objective.c


@pytest.mark.parametrize("budget", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("power", [1, 2])
def test_the_budget_is_held(budget, power):
    # A small tilt by r / c costs KL = var(r) / (2 c^2); less steeply where the policy saturates.
    history, c = simulate(budget, lambda c: 0.5 / c**power)
    assert history[-10:] == pytest.approx([budget] * 10, rel=0.1)
    assert 0.5 / c**power == pytest.approx(budget, rel=0.1)


def test_the_budget_is_come_to_from_below():
    history, _ = simulate(0.3, lambda c: 0.5 / c)
    assert max(history) < 2 * 0.3


def test_a_budget_out_of_reach_stays_bounded_and_is_told():
    history, c = simulate(5.0, lambda c: min(1.0, 0.5 / c), updates=2000)
    assert c == kl.LOWEST
    told = kl.verdict(history[-1], 5.0)
    assert "budget of 5 nats per token was not met: the policy ended at 1.000" in told
    assert told.endswith("or a smaller budget")


@pytest.mark.parametrize(("measured", "met"), [(0.271, True), (0.329, True), (0.26, False)])
def test_met_means_within_a_tenth(measured, met):
    assert (kl.verdict(measured, 0.3) == "") == met


@pytest.mark.parametrize("spec", [{"key": 1.0}, {"key": 1.0, "prior": 0.5}])
def test_the_objective_must_be_that_of_the_budget(spec):
    with pytest.raises(ValueError, match=r"kl_budget: log p has weight .*prior=1 in the reward"):
        algorithms.check_budget(
            TrainConfig(kl_budget=0.3, entropy=1.0, entropy_end=-1.0), build(spec)
        )
    algorithms.check_budget(
        TrainConfig(kl_budget=0.3, entropy=1.0, entropy_end=-1.0), build("prior")
    )
    algorithms.check_budget(TrainConfig(), build(spec))


def test_a_budget_brings_its_objective():
    free = TrainConfig(reward=("key=-1", "prior=0.3,floor=-9"), entropy=0.5, entropy_end=2.0)
    assert for_budget(free) == free
    held = for_budget(replace(free, kl_budget=0.3))
    assert held.reward_spec == {"key": -1, "prior": {"weight": 1.0, "floor": -9}}
    assert held.entropy == held.last_entropy == 1.0
    assert for_budget(replace(free, reward=("key=-1",), kl_budget=0.3)).reward_spec["prior"] == 1
    algorithms.check_budget(held, build("prior"))


def test_log_p_is_of_the_prior_that_the_run_starts_from():
    held = for_budget(TrainConfig(kl_budget=0.3, prior="other.safetensors", reward=("key=-1",)))
    assert held.reward_spec["prior"] == {"checkpoint": "other.safetensors", "weight": 1.0}
    named = TrainConfig(prior="other.safetensors", reward=("prior=2,checkpoint=third.safetensors",))
    assert named.reward_spec["prior"]["checkpoint"] == "third.safetensors"


class Table:
    """The log of a run that was stopped."""

    def __init__(self, rows):
        self.rows = rows

    def turns(self):
        return [tuple(float(f"{row[name]:.6g}") for name in ("c", "kl")) for row in self.rows]


def turned(kls, rows):
    """c behind each rollout, of a controller that begins with the log of those before."""
    metrics, steering = SimpleNamespace(row={}, run=Table(rows)), Steering(Objective(build("key")))
    controller = kl.KLController(metrics, 0.3, steering)
    controller._on_training_start()
    for measured in kls:
        metrics.row = {"kl": measured, "c": steering.objective.c}
        rows.append(metrics.row)
        controller._on_rollout_end()
    return steering.objective.c


def test_a_resumed_run_goes_on_with_its_c():
    kls = [0.0, 0.1234567891, 0.25, 0.4, 0.35, 0.31]
    rows = []
    whole = turned(kls, rows)
    assert len({row["c"] for row in rows}) == len(rows)
    for stopped in range(len(kls)):
        assert turned(kls[stopped:], rows[:stopped]) == whole
