"""Path consistency learning: the optimum in closed form, the residuals, and what is kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.algorithms import registry as algorithms
from agents.algorithms.path_consistency import _ahead
from agents.learning.rollout import observations_of
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.settings.config import TrainConfig
from agents.training.job import sighted, train
from agents.training.listener import Listener
from envs.music.score import Score
from rewards.build import build
from tests.agents.helpers import every_piece, optimum, tiny, trained

SMALL = ("bars=1", "meter=1/4", "low=C4", "high=E4")


def model_of(prior, weight, sight=False, **settings):
    config = TrainConfig().changed(
        algo="pcl",
        reward=(f"in_key={weight}", "prior=1"),
        task=SMALL,
        **{
            "n_envs": 500,
            "batch_size": 400,
            "learning_rate": 0.01,
            "max_grad_norm": 1.0,
            **settings,
        },
    )
    reward = build({"in_key": weight, "prior": {"weight": 1.0, "checkpoint": prior}})
    start = sighted(prior, reward, [config.task], Listener()) if sight else prior
    env = CompositionVecEnv(make_env(config.env, config.task, config.n_envs), sight=start.sight)
    return algorithms.make(config, env, start, reward), env.env.task


@pytest.mark.parametrize("sight", [False, True])
def test_the_policy_becomes_the_prior_times_exp_of_the_reward(tiny_prior, sight):
    model, task = model_of(tiny_prior, 1.5, sight)
    pieces = every_piece(task)
    target = optimum(tiny_prior, {"in_key": 1.5}, pieces)

    def gap():
        """KL(policy || target) in nats a piece."""
        own = model.policy.as_prior().log_prob(pieces).sum(axis=(1, 2), dtype=np.float64)
        return float((np.exp(own) * (own - np.log(target))).sum())

    before = gap()
    model.learn(16 * 500 * task.cells)
    assert before > 0.1
    assert gap() < 0.1 * before


def test_residuals_of_the_optimum_are_nothing(tiny_prior):
    # With the soft values of every beginning, from all pieces there are, each residual is 0.
    model, task = model_of(tiny_prior, 1.5, n_envs=4)
    pieces = every_piece(task)
    target, tokens = optimum(tiny_prior, {"in_key": 1.5}, pieces), pieces.tokens[:, 0]
    piece = int(target.argmax())
    line, paid = tokens[piece], build({"in_key": 1.5})(pieces)[piece, 0]
    likely = tiny_prior.log_prob(pieces)[piece, 0]
    prior = np.exp(tiny_prior.log_prob(pieces).sum(axis=(1, 2), dtype=np.float64))
    heights = build({"in_key": 1.5})(pieces)[:, 0].astype(np.float64)
    residuals, values = [], []
    for cell in range(task.cells + 1):
        same = (tokens[:, :cell] == line[:cell]).all(axis=1)
        ahead = np.exp(heights[:, cell:].sum(axis=1)) * prior
        values.append(np.log(ahead[same].sum() / prior[same].sum()))
    for cell in range(task.cells):
        same = (tokens[:, :cell] == line[:cell]).all(axis=1)
        now = same & (tokens[:, cell] == line[cell])
        nats = np.log(target[now].sum() / target[same].sum())
        lesson = {
            name: torch.tensor([[value]])
            for name, value in (("rules", paid[cell]), ("likely", likely[cell]))
        }
        one = float(model._paid(lesson, torch.tensor([[nats]])))
        residuals.append(one + values[cell + 1] - values[cell])
    assert residuals == pytest.approx([0] * task.cells, abs=1e-4)


def test_sums_ahead_are_weighted_by_powers():
    residuals = torch.tensor([[1.0, 2.0, 4.0]])
    assert _ahead(residuals, 0.5).tolist() == [[1 + 1 + 1, 2 + 2, 4]]
    assert _ahead(residuals, 1.0).tolist() == [[7, 6, 4]]


def test_values_know_the_cell_before_and_not_their_own(tiny_prior):
    model, _ = model_of(tiny_prior, 1.0, n_envs=4)
    with torch.no_grad():
        for weight in model.policy.critic.parameters():
            weight.normal_()
    features = torch.zeros(1, 3, model.policy.model.n_features)
    facts = torch.zeros(1, 3, model.policy.facts)
    other = facts.clone()
    other[0, 1] = 1
    same = model.policy.values(features, facts) == model.policy.values(features, other)
    assert same.tolist() == [[True, True, False]]


@pytest.mark.parametrize("sight", [False, True])
def test_the_last_rollouts_are_kept_and_come_back_from_a_notebook(tiny_prior, sight):
    model, task = model_of(tiny_prior, 1.0, sight, n_envs=20, rollouts=3)
    model.learn(5 * 20 * task.cells)
    assert len(model.lessons) == 3
    notebook = model.notebook()
    assert not [name for name in notebook if "seen" in name or "facts" in name]
    again, _ = model_of(tiny_prior, 1.0, sight, n_envs=20, rollouts=3)
    again.take_up(notebook)
    for (number, one), (other_number, other) in zip(model.lessons, again.lessons, strict=True):
        assert number == other_number
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert ("seen" in model.lessons[0][1]) == sight


def test_pieces_are_read_with_the_policy_of_now(tiny_prior):
    model, task = model_of(tiny_prior, 1.0, n_envs=20)
    model.learn(3 * 20 * task.cells)
    _, lesson = model.lessons[0]
    model.policy.set_training_mode(False)  # in float32
    nats, _ = model.policy.read(observations_of(lesson), lesson["actions"])
    score = Score(lesson["pieces"].numpy(), task)
    now = model.policy.as_prior().log_prob(score)[:, 0]
    assert nats.detach().numpy() == pytest.approx(now, abs=1e-4)
    assert abs(nats.detach() - lesson["nats"]).max() > 1e-3  # not the one that wrote them


def test_a_run_on_several_tasks_with_sight(tiny_checkpoint, tmp_path):
    base = tiny(tiny_checkpoint, tmp_path, algo="pcl", samples=2)
    base = replace(
        base, env="composition/Melody-v0", task=("bars=1",), reward=("in_key=1", "prior=1")
    )
    run = trained(base.changed(vary=("meter=2/4|3/4",), rollouts=2, sight=True))
    assert len(list(run.samples.glob("*.mid"))) == 2
    assert run.policy_file.is_file()


def test_a_reward_of_whole_pieces_alone_is_learned_without_sight(tiny_checkpoint, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def loudness(score):\n    return 1.0 * score.onset.sum(axis=(1, 2))\n")
    notes = []

    class Told(Listener):
        def noted(self, text):
            notes.append(text)

    base = tiny(tiny_checkpoint, tmp_path, algo="pcl", samples=0, sight=True)
    run = train(replace(base, reward=(f"{file}:loudness=0.1", "prior=1")), listener=Told())
    assert run.policy_file.is_file()
    assert [note for note in notes if "no sight" in note]
