"""QLearning: what it remembers, how it learns and what it finds, how it is saved."""

import json
import math
import zipfile

import numpy as np
import pytest
import torch

from agents.algorithms.own_settings import Memory
from agents.algorithms.q_learning import QLearning
from agents.algorithms.q_policy import QPolicy
from agents.learning.vec_env import CompositionVecEnv, Deferred
from agents.runs.state import Saved, pack
from envs.composition import CompositionVectorEnv
from envs.music.score import Score
from envs.music.task import Task
from pretrained.networks.recurrent import NetShape, RecurrentNet, RecurrentPrior
from rewards.build import build
from rewards.objective import Objective
from tests.agents.algorithms.q_learners import colour, filled, kinds, make, move, state
from tests.agents.helpers import observe, writing_order
from tests.pretrained.networks.hearing import hearing, partly_given

# -- memory and rewards ----------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("task", [{}, {"voices": 2}], ids=["one voice", "two voices"])
def test_the_finished_pieces_are_remembered_with_their_rewards(tiny_prior, kind, task):
    given = ((-1, 14, -1, 1, *[-1] * 12),) if not task else ()
    model = filled(tiny_prior, kind, task={"bars": 1, "given": given} | task, n=6)
    score = model.rollout_buffer.score()
    pieces = model.memory.take(np.arange(6))
    assert np.array_equal(pieces.tokens.numpy(), score.tokens)
    assert torch.gather(pieces.masks, 2, pieces.actions[..., None]).all()
    np.testing.assert_allclose(pieces.rules.flatten(), writing_order(colour(score)), atol=1e-6)
    nats = writing_order(tiny_prior.log_prob(score))
    np.testing.assert_allclose(pieces.prior.flatten(), np.maximum(nats, -20), atol=1e-5)
    if kind == "g":
        chosen = pieces.log_p.gather(2, pieces.actions[..., None])
        np.testing.assert_allclose(chosen.flatten(), nats, atol=1e-5)
        torch.testing.assert_close(pieces.log_p.exp().sum(dim=2), torch.ones(6, model.memory.steps))


# -- learning --------------------------------------------------------------------------------------


@kinds
def test_what_is_given_ahead_is_heard_in_learning_as_in_acting(kind):
    task = {"bars": 1, "given": partly_given(Task(bars=1), seed=1).given}
    model = filled(hearing("lstm-attention"), kind, task=task, n=6)
    seen, pieces = observe(model.rollout_buffer.score(), task), model.memory.take(np.arange(6))
    with torch.no_grad():
        learned = model._read(model.policy.model, pieces)
        for cell, obs in enumerate(seen):
            acted = model.policy._act(obs)[0]
            torch.testing.assert_close(acted, learned[:, cell], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(("n", "batch", "ratio"), [(4, 32, 6.4), (8, 16, 1.0), (6, 64, 0.7)])
def test_as_many_cells_are_replayed_as_asked_for(tiny_prior, n, batch, ratio):
    model = make(tiny_prior, n=n, batch_size=batch, replay_ratio=ratio).learn(10 * n * 16)
    owed = 10 * n * 16 * ratio
    assert owed - batch - 1e-6 <= model._n_updates * batch <= owed + 1e-6


def test_nothing_is_learned_before_a_minibatch_is_remembered(tiny_prior):
    model = make(tiny_prior, n=2, batch_size=5 * 16, replay_ratio=5)
    for rollouts, updates in ((1, 0), (2, 0), (3, 2), (4, 4)):
        model.learn(rollouts * 32 - model.num_timesteps, reset_num_timesteps=False)
        assert (len(model.memory), model._n_updates) == (2 * rollouts, updates)


@kinds
def test_the_seed_decides_everything(tiny_prior, kind):
    def trained(seed):
        how = {"exploration": "egreedy", "learning_rate": 1e-2, "replay_ratio": 1}
        return state(
            make(tiny_prior, kind, seed=seed, task={"bars": 1, "voices": 2}, **how).learn(300)
        )

    first, again, other = trained(1), trained(1), trained(2)
    for name, weight in first.items():
        assert torch.equal(weight, again[name]), name
        assert torch.isfinite(weight).all()
    assert not torch.equal(first["net.head.weight"], other["net.head.weight"])


def test_epsilon_falls_along_the_run_also_when_it_is_resumed(tiny_prior):
    how = {"exploration": "egreedy", "exploration_fraction": 0.5, "exploration_final_eps": 0.2}
    model, seen = make(tiny_prior, **how), []

    def note(local, _):
        seen.append(model.policy.epsilon)
        return True

    model.learn(10 * 64, callback=note)
    assert seen[::16] == pytest.approx([1.0, 0.84, 0.68, 0.52, 0.36, *[0.2] * 5])
    again = make(tiny_prior, **how)
    again.num_timesteps = 3 * 64
    seen.clear()
    model = again
    again.learn(7 * 64, callback=note, reset_num_timesteps=False)
    assert seen[::16] == pytest.approx([0.52, 0.36, *[0.2] * 5])
    assert make(
        tiny_prior, exploration="egreedy", exploration_fraction=0.0
    ).epsilon == pytest.approx(0.05)
    assert make(tiny_prior).epsilon is None


def every_piece(task):
    """All pieces of a task that the grammar allows."""
    rows = [()]
    for _ in range(task.cells):
        grown = []
        for row in rows:
            started = np.array(any(token > 1 for token in row))
            allowed = np.flatnonzero(task.codec.legal(started, task.low, task.high))
            grown += [(*row, int(token)) for token in allowed]
        rows = grown
    return Score(np.array(rows, np.int16)[:, None], task)


@pytest.mark.parametrize("kind", ["psi", "g"])
def test_soft_values_come_to_the_prior_tilted_by_the_rules(kind):
    """With gamma 1 the policy that maximises rules / c + log p - log pi: p(x) exp(rules(x) / c)."""
    task = {"bars": 1, "meter": "3/16", "low": "C4", "high": "D4"}
    torch.manual_seed(0)
    net = RecurrentNet(NetShape(38, hidden=48, embed=16))
    move(net, 3)
    prior, page = RecurrentPrior(net, Task(**task).codec), Task(**task)
    model = make(
        prior, kind, n=64, task=task, c=0.5, gamma=1.0,
        learning_rate=lambda left: 1e-2 * left + 1e-4, batch_size=64 * 3, replay_ratio=4, tau=0.05,
        buffer_size=64 * 3 * 20,
    ).learn(64 * 3 * 150)  # fmt: skip
    pieces = every_piece(page)
    start = prior.log_prob(pieces).sum(axis=(1, 2)).astype(np.float64)
    best = start + colour(pieces).sum(axis=(1, 2)) / 0.5
    best = np.exp(best - best.max())
    best /= best.sum()
    found = np.exp(model.policy.as_prior().log_prob(pieces).sum(axis=(1, 2)))
    assert found.sum() == pytest.approx(1.0, abs=1e-4)
    assert np.abs(found - best).sum() / 2 < 0.06
    assert np.abs(np.exp(start) - best).sum() / 2 > 0.3  # so that the comparison means something


# -- saving ----------------------------------------------------------------------------------------


@kinds
def test_networks_optimiser_and_memory_are_saved(tiny_prior, tmp_path, kind):
    model = make(tiny_prior, kind, learning_rate=1e-2).learn(256)
    assert model._n_updates > 10
    (tmp_path / "state.zip").write_bytes(pack(model))
    other = make(tiny_prior, kind, learning_rate=1e-2, seed=5)
    saved = Saved(tmp_path / "state.zip")
    saved.restore(other)
    for name, weight in state(model).items():
        assert torch.equal(weight, state(other)[name]), name
    assert not torch.equal(state(model)["net.head.bias"], state(model)["target.head.bias"])
    states = [m.policy.optimizer.state_dict()["state"] for m in (model, other)]
    assert states[0].keys() == states[1].keys() != set()
    for number, values in states[0].items():
        for name, value in values.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(states[1][number][name]))
    assert len(other.memory) == len(model.memory) > 0
    for learner in (model, other):
        saved.generators.restore(learner)
        learner.learn(128, reset_num_timesteps=False)
    for name, weight in state(model).items():
        assert torch.equal(weight, state(other)[name]), name


def test_stable_baselines_saves_and_loads_the_whole(tiny_prior, tmp_path):
    model = make(tiny_prior, "g", tau=0.3, c=0.5).learn(128)
    model.save(tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert "memory" not in json.loads(archive.read("data"))
    loaded = QLearning.load(tmp_path / "model.zip", device="cpu")
    for name, weight in state(model).items():
        assert torch.equal(weight, state(loaded)[name])
    assert (loaded.settings.tau, loaded.c, len(loaded.memory)) == (0.3, 0.5, 0)
    loaded.set_env(model.get_env())
    loaded.learn(64)


# -- what does not fit -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "sarsa"}, "unknown kind of Q-learning 'sarsa'"),
        ({"tau": 0.0}, "tau=0.0: expected a number from 1e-09 to 1"),
        ({"replay_ratio": math.nan}, "replay_ratio=nan: expected a number from 0.001"),
        ({"batch_size": 0}, "batch_size=0: expected a number from 2"),
        ({"exploration_final_eps": -0.1}, "exploration_final_eps=-0.1: expected a number from 0"),
        ({"exploration": "egredy"}, r"unknown exploration 'egredy'. Did you mean 'egreedy'\?"),
        ({"batch_size": 64, "buffer_size": 63}, "batch_size=64: expected at most the 63 cells"),
        ({"buffer_size": 15, "batch_size": 2}, "buffer_size=15 cells: expected at least the 16"),
        ({"kind": "g", "weight": 0.5}, "is the reward prior=1; got prior=0.5. Leave prior at 1"),
    ],
    ids=str,
)
def test_bad_settings_are_named(tiny_prior, settings, message):
    with pytest.raises(ValueError, match=message):
        make(tiny_prior, **settings)


def test_without_a_reward_there_is_nothing_to_learn_from(tiny_prior):
    env = CompositionVecEnv(CompositionVectorEnv(2, reward="in_key", bars=1))
    with pytest.raises(ValueError, match="expected rollout_buffer_kwargs with 'objective'"):
        QLearning(QPolicy, env, n_steps=16, policy_kwargs={"prior": tiny_prior})


def test_rules_alone_or_the_prior_alone_will_do(tiny_prior):
    for reward in (build("tonic"), build({"prior": {"checkpoint": tiny_prior}})):
        env = CompositionVecEnv(CompositionVectorEnv(4, reward=Deferred(), bars=1))
        how = {"objective": Objective(reward, entropy=0.0), "task": env.env.task}
        model = QLearning(
            QPolicy, env, kind="g", n_steps=16, settings=Memory(batch_size=16), device="cpu",
            rollout_buffer_kwargs=how, policy_kwargs={"prior": tiny_prior},
        ).learn(128)  # fmt: skip
        paid = model.memory.take(np.arange(len(model.memory)))
        assert paid.rules.any() == ("tonic" in reward.terms)
        assert paid.prior.any() == ("prior" in reward.terms)
