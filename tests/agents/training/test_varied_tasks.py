"""Learning on several tasks: drawn anew, each with pieces of its own length."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from agents.algorithms import registry as algorithms
from agents.evaluating.task_report import report_on
from agents.learning.rollout import EpisodeBuffer
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.settings.algorithm import names_with
from agents.settings.config import TrainConfig
from agents.settings.tasks import variants
from agents.training.job import train
from agents.training.varied_tasks import learn_on, make_envs
from pretrained import checkpoint
from rewards import build
from tests.agents.helpers import settings_of, tiny, trained

VARY = ("meter=3/4|2/4", "bars=1|2")


def test_all_combinations_are_made():
    assert variants(VARY) == [
        *(("meter=3/4", "bars=1"), ("meter=3/4", "bars=2")),
        *(("meter=2/4", "bars=1"), ("meter=2/4", "bars=2")),
    ]
    assert variants(()) == [()]


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        (("bars",), "expected name=value"),
        (("bars=1|2", "bars=3"), "bars is given twice"),
        (
            ("bars=1|2|3|4|5|6|7|8|9", "grid=1|2|3|4|5|6|7|8", "pickup=0|1|2|3"),
            "288 tasks, expected at most 256",
        ),
    ],
)
def test_words_that_are_no_tasks(vary, message):
    with pytest.raises(ValueError, match=message):
        variants(vary)


def test_tasks_that_one_policy_cannot_serve():
    with pytest.raises(ValueError, match="different vocabularies"):
        _ = TrainConfig(n_envs=2, vary=("high=C6|C5",)).tasks
    with pytest.raises(ValueError, match="dqn learns on one task"):
        algorithms.check_settings(TrainConfig(algo="dqn", vary=VARY))


@pytest.mark.parametrize("algo", names_with("tasks"))
def test_each_rollout_has_a_task_of_its_own(tiny_prior, algo):
    config = TrainConfig().changed(
        algo=algo, n_envs=8, bf16=False, reward=("in_key=1",), vary=VARY,
        env="composition/Melody-v0", **settings_of(algo, group_size=4, batch_size=64, n_epochs=1),
    )  # fmt: skip
    model = algorithms.make(
        config,
        CompositionVecEnv(make_env(config.env, config.task, 8)),
        tiny_prior,
        build(config.reward_spec),
    )
    learn_on(model, make_envs(config)[1])
    lengths = []
    learn = model.train

    def train():
        buffer = model.rollout_buffer
        assert isinstance(buffer, EpisodeBuffer)
        score = buffer.score()
        assert score.task.cells == score.tokens.shape[2] == buffer.buffer_size
        own = model.policy.as_prior().log_prob(score)
        np.testing.assert_allclose(buffer.by_piece(buffer.log_probs), own[:, 0], atol=2e-4)
        lengths.append(score.task.cells)
        learn()

    model.train = train
    model.learn(2000)
    assert set(lengths) == {12, 24, 8, 16}


def test_a_run_on_several_tasks_is_repeated_by_its_settings(tiny_checkpoint, tmp_path):
    base = tiny(tiny_checkpoint, tmp_path, n_timesteps=600, samples=0, algo="ppo", vary=VARY)
    base = replace(base, env="composition/Melody-v0", task=("bars=1",), reward=("in_key=1",))
    first, second = (trained(replace(base, name=name)) for name in "ab")
    assert first.read_metrics()["return"] == second.read_metrics()["return"]
    assert first.config.vary == VARY
    with pytest.raises(ValueError, match="was begun with another vary"):
        train(replace(first.config, vary=(), n_timesteps=1200), first.path)


def test_a_run_is_reported_on_all_its_tasks_and_writes_a_melody_of_each(tiny_checkpoint, tmp_path):
    vary = ("meter=3/4|2/4", "key=C major|G major|A minor")
    run = trained(
        tiny(
            tiny_checkpoint, tmp_path, n_timesteps=300, samples=3, eval_pieces=12, vary=vary,
            env="composition/Melody-v0", task=("bars=1", "low=C4"), eval_freq=256, eval_episodes=7,
        )
    )  # fmt: skip
    tasks = run.config.tasks
    agent, prior = (checkpoint.load(each) for each in (run.path, run.config.prior))
    expected = report_on(agent, prior, tasks, 12, 1, build(run.config.reward_spec))
    assert (run.path / "report.txt").read_text() == str(expected) + "\n"
    assert json.loads((run.path / "report.json").read_text())["columns"] == expected.columns
    headers = [(run.samples / f"melody-0{n}.abc").read_text() for n in (1, 2, 3)]
    assert len({re.search("^K:.*", text, re.M)[0] for text in headers}) == 3
    assert len({re.search("^M:.*", text, re.M)[0] for text in headers}) == 2
    assert [re.search("^X:(.*)", text, re.M)[1].strip() for text in headers] == ["1", "2", "3"]
    assert run.read_metrics(run.evaluations_file)["steps"]
