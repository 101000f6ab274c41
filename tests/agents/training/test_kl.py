"""The controller of a KL budget, against a policy whose KL follows c as in a closed form."""

import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from agents.algorithms import registry as algorithms
from agents.evaluating.pool import Pool
from agents.learning.rollout import Steering
from agents.runs.directory import HeldRollout
from agents.settings.config import TrainConfig, for_budget
from agents.training import Listener, kl, train
from envs.music.task import Task
from rewards import build
from rewards.objective import Objective
from tests.agents.helpers import UPDATE, tiny


def simulate(budget, response, updates=150, lag=0.3, c=1.0, noise=0.0, wasted=0.0):
    """KL after `updates` rollouts of a policy that moves a share `lag` towards response(c).

    What is measured has noise, and a part that is wasted and falls to a tenth, as a learning rate.
    """
    metrics = SimpleNamespace(row={}, run=SimpleNamespace(turns=list))
    steering = Steering(Objective(build("key")))
    controller = kl.KLController(metrics, budget, steering, c, updates)
    controller._on_training_start()
    history, turned, learned, rng = [], [], 0.0, np.random.default_rng(0)
    for step in range(1, updates + 1):
        learned += lag * (response(steering.objective.c) - learned)
        history.append(learned + wasted * (1 - 0.9 * step / updates))
        measured = history[-1] * max(0.1, 1 + noise * rng.standard_normal())
        metrics.row = {"kl": measured, "steps": step}
        controller._on_rollout_end()
        turned.append(steering.objective.c)
    return history, turned


@pytest.mark.parametrize("budget", [0.02, 0.05, 0.3, 0.5])
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(("updates", "lag"), [(12, 0.8), (24, 0.4), (150, 0.05), (150, 0.3)])
@pytest.mark.parametrize("off", [0.85, 1.0, 1.15])
def test_the_budget_is_held(budget, power, updates, lag, off):
    # A small tilt by r / c costs KL = var(r) / (2 c^2); less steeply where the policy saturates.
    best = (0.5 / budget) ** (1 / power)
    history, _ = simulate(budget, lambda c: 0.5 / c**power, updates, lag, c=off * best)
    assert history[-1] == pytest.approx(budget, rel=kl.TOLERANCE)


@pytest.mark.parametrize("updates", [24, 150])
def test_noise_and_wasted_kl_are_held_too(updates):
    history, _ = simulate(0.1, lambda c: 0.5 / c, updates, c=5.0, noise=0.1, wasted=0.06)
    assert np.mean(history[-3:]) == pytest.approx(0.1, rel=kl.TOLERANCE)


def test_a_learner_that_lags_behind_the_limit_gets_a_smaller_c():
    history, turned = simulate(0.1, lambda c: 0.35 / c, c=5.0)
    assert history[-1] == pytest.approx(0.1, rel=kl.TOLERANCE)
    assert turned[-1] == pytest.approx(3.5, rel=0.1)


def test_the_budget_is_come_to_from_below():
    history, _ = simulate(0.3, lambda c: 0.5 / c, c=0.5 / 0.3)
    assert max(history) < 1.15 * 0.3


def test_a_budget_out_of_reach_stays_bounded_and_is_told():
    history, turned = simulate(5.0, lambda c: min(1.0, 0.5 / c), c=2.0)
    assert turned[-1] == pytest.approx(2.0 / kl.BELOW)
    told = kl.verdict(history[-1], 5.0)
    assert "budget of 5 nats per token was not met: the policy ended at 1.000" in told
    assert told.endswith("or a smaller budget")


def test_what_is_wasted_whatever_c_winds_nothing_up():
    history, turned = simulate(0.05, lambda c: 0.0, c=2.0, wasted=0.2)
    assert max(turned) <= 2.0 * kl.ABOVE * kl.FIRST
    assert turned[-1] < 2.0 * kl.ABOVE  # below the budget at last, it comes back at once
    assert history[-1] < 0.05


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
        return [
            HeldRollout(*(float(f"{row[name]:.6g}") for name in ("c", "kl")), row["steps"])
            for row in self.rows
        ]


def turned(kls, rows):
    """c behind each rollout, of a controller that begins with the log of those before."""
    metrics, steering = SimpleNamespace(row={}, run=Table(rows)), Steering(Objective(build("key")))
    controller = kl.KLController(metrics, 0.3, steering, 2.0, 1200)
    controller._on_training_start()
    for measured in kls:
        metrics.row = {"kl": measured, "c": steering.objective.c, "steps": 100 * (len(rows) + 1)}
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


# -- the first c -----------------------------------------------------------------------------------


@pytest.fixture
def pools(monkeypatch):
    """Pools of given rewards in place of a prior's pieces, one after another."""

    def put(*rewards):
        given = iter(rewards)

        def draw(prior, reward, task, n):
            paid = next(given)
            return Pool(task, np.zeros((len(paid), task.voices, task.cells), np.uint8), paid)

        monkeypatch.setattr(kl, "draw_pool", draw)

    return put


def normal(spread, n=20_000):
    return spread * np.random.default_rng(0).standard_normal(n)


@pytest.mark.parametrize("budget", [0.02, 0.1, 0.4])
def test_the_first_c_is_that_of_a_normal_reward(pools, budget):
    # KL = s^2 / (2 c^2); at .4 these are 12.8 nats a piece, where no piece of the pool is
    pools(normal(3.0))
    c, note = kl.limiting_c(None, None, [Task()], budget)
    assert c == pytest.approx(3 / math.sqrt(2 * 32 * budget), rel=0.15)
    assert f"{c:.3g}" in note


def test_the_first_c_of_several_tasks_has_the_budget_on_average(pools):
    long, short = Task(), Task(bars=1)
    pools(normal(3.0), normal(3.0))
    c, _ = kl.limiting_c(None, None, [long, short], 0.1)
    assert 9 / (2 * c * c) * (1 / 32 + 1 / 16) / 2 == pytest.approx(0.1, rel=0.1)


def test_of_many_tasks_some_are_tried(pools):
    pools(*[normal(3.0)] * kl.MOST_TASKS)
    tasks = [Task(low=low) for low in range(36, 66)]
    c, note = kl.limiting_c(None, None, tasks, 0.1)
    assert c == pytest.approx(3 / math.sqrt(6.4), rel=0.1)
    assert f"{kl.PIECES:,} pieces" in note


def test_more_than_the_reward_can_spend_and_nothing_to_pay_are_told(pools):
    pools(np.repeat([0.0, 1.0], [3000, 1000]))  # log 4 nats a piece, .0433 a token
    c, note = kl.limiting_c(None, None, [Task()], 0.2)
    assert "more than the reward can spend, whose best pieces are at 0.0433" in note
    assert kl.LOWEST < c < 1
    pools(np.full(500, 7.0))
    c, note = kl.limiting_c(None, build("in_key"), [Task()], 0.2)
    assert math.isnan(c)
    assert "pays 7 for each of 500 pieces" in note


class Stop(Listener):
    """Hears the notes, and stops a run after some steps."""

    def __init__(self, after):
        self.after, self.notes = after, []

    def noted(self, text):
        self.notes.append(text)

    def stepped(self, steps):
        return steps < self.after


def test_a_run_that_was_stopped_equals_one_that_was_not(tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = tiny(tiny_checkpoint, tmp_path / "a", kl_budget=0.1, reward=("tonic=1",), samples=0)
    whole = train(config)
    first = Stop(2 * UPDATE - 8)
    half = train(config.changed(runs=tmp_path / "b"), listener=first)
    assert len(half.turns()) == 1
    assert [note.partition(":")[2][:11] for note in first.notes] == [" KL budget "]
    shutil.rmtree(tmp_path / "composition-gym")  # the pool is drawn anew, to the same c
    train(half.config, half.path)
    assert half.turns() == whole.turns()
    assert len({turn.c for turn in whole.turns()}) == 3
    assert half.policy_file.read_bytes() == whole.policy_file.read_bytes()
