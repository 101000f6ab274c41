"""A training lets the terms of its reward learn, once for each rollout, and keeps what they did."""

import dataclasses

import numpy as np
import pytest

from agents import compose, evaluate
from agents.compose import ComposeConfig
from agents.evaluate import EvaluateConfig
from agents.run import Run
from tests.agents.helpers import UPDATE, tiny, trained
from tests.rewards.learners import keen

SPEC = "tests.rewards.learners:keen"


@pytest.fixture
def config(tiny_checkpoint, tmp_path):
    keen.paid = 1.0
    keen.seen.clear()
    reward = (f"{SPEC}=1", f"prior=0.5,checkpoint={tiny_checkpoint}")
    return tiny(tiny_checkpoint, tmp_path, reward=reward, n_timesteps=3 * UPDATE)


def test_it_learns_once_for_each_rollout_after_that_was_paid(config):
    run = trained(config)
    metrics = run.read_metrics()
    assert metrics[f"{SPEC}/paid"] == [2.0, 3.0, 4.0]
    for update, (_, generated) in enumerate(keen.seen):
        notes = generated.onset.sum(axis=(1, 2)).mean()
        paid = metrics[f"reward/{SPEC}"][update]
        assert paid == pytest.approx((update + 1.0) * notes, rel=1e-4)


def test_other_verbs_and_a_resumed_run_know_what_was_learned(config, tmp_path):
    run = trained(config)
    keen.paid = 1.0  # a new process knows nothing
    evaluate.evaluate(EvaluateConfig(run.path, n=8, trust=True))
    assert keen.paid == 4.0
    keen.paid = 1.0
    compose.compose(ComposeConfig(run.path, n=1, out=tmp_path / "out", trust=True))
    assert keen.paid == 4.0
    assert run.reward_file.is_file()
    keen.paid = 1.0
    trained(dataclasses.replace(config, n_timesteps=4 * UPDATE), run.path)
    assert Run(run.path).read_metrics()[f"{SPEC}/paid"] == [2.0, 3.0, 4.0, 5.0]


def test_no_policy_is_called_the_best_under_a_reward_that_moves(config):
    run = trained(dataclasses.replace(config, eval_freq=UPDATE, eval_episodes=8))
    assert len(run.read_metrics(run.evaluations_file)["objective"]) >= 1
    assert not run.best_file.exists()


def test_a_normalised_term_on_the_command_line(config):
    run = trained(dataclasses.replace(config, reward=("leap_size=1,normalize=true", "tonic=1")))
    scale = run.read_metrics()["leap_size/scale"]
    assert len(scale) == 3
    assert np.all(np.array(scale) > 0)
    assert Run(run.path).config.terms["leap_size"] == {"weight": 1, "normalize": True}
