"""Policies on tasks with given cells hear what is ahead alike in acting and in learning."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.utils import obs_as_tensor

from agents.learning.rollout import EpisodeBuffer, observations_of
from envs.composition import CompositionVectorEnv
from envs.music.task import Task
from tests.agents.helpers import learner, make_policy, observe, rows, whole, writing_order
from tests.helpers import nats_by_steps, random_pieces
from tests.pretrained.networks.hearing import KINDS, hearing, partly_given

BASES = {
    "one line": {"bars": 2, "meter": "2/4"},
    "two voices": {"bars": 1, "meter": "3/4", "voices": 2, "key": "D major"},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_task = pytest.mark.parametrize("base", BASES.values(), ids=BASES)


def given(base, seed=0):
    """Arguments of a task with given cells."""
    return {**base, "given": partly_given(Task(**base), seed).given}


@every_kind
@every_task
def test_before_the_first_update_it_is_the_prior_in_every_way_to_read(kind, base):
    prior, task = hearing(kind), given(base, seed=1)
    pieces = random_pieces(Task(**task), 5, seed=2)
    policy, seen = make_policy(prior, task), observe(pieces, task)
    batch = whole(pieces, seen)
    batch["given"] = torch.from_numpy(~Task(**task).free).expand_as(batch["pieces"])
    actions = torch.from_numpy(writing_order(pieces.tokens))
    nats = writing_order(prior.log_prob(pieces))
    with torch.no_grad():
        values, learned, _ = policy.evaluate_actions(batch, actions)
        for cell, (logits, obs) in enumerate(zip(nats_by_steps(prior, pieces), seen, strict=True)):
            chosen, _, acted = policy(obs)
            mask = obs["action_mask"] == 0
            expected = logits.masked_fill(mask, -1e9).log_softmax(dim=1)
            assert torch.equal(acted, expected.gather(1, chosen[:, None])[:, 0])
            now = actions[cell :: len(seen)]
            _, single, _ = policy.evaluate_actions(obs, now)
            _, again, _ = policy.evaluate_actions(rows(obs, slice(1, 2)), now[1:2])
            np.testing.assert_allclose(single, learned[cell :: len(seen)], atol=1e-5)
            np.testing.assert_allclose(again, single[1:2], atol=1e-5)
    free = writing_order(np.broadcast_to(Task(**task).free, pieces.tokens.shape))
    assert np.array_equal(learned.numpy()[free], nats[free])
    assert (values == 0).all()


@every_kind
def test_values_of_single_pages_are_those_of_whole_pieces(kind):
    task = given(BASES["one line"], seed=3)
    pieces = random_pieces(Task(**task), 4, seed=4)
    policy, seen = make_policy(hearing(kind), task, seed=5), observe(pieces, task)
    batch = whole(pieces, seen)
    batch["given"] = torch.from_numpy(~Task(**task).free).expand_as(batch["pieces"])
    actions = torch.from_numpy(writing_order(pieces.tokens))
    with torch.no_grad():
        values = policy.evaluate_actions(batch, actions)[0].reshape(4, len(seen))
        for cell, obs in enumerate(seen):
            torch.testing.assert_close(policy.predict_values(obs)[:, 0], values[:, cell])
            torch.testing.assert_close(policy(obs)[1][:, 0], values[:, cell])


def test_a_page_with_other_cells_ahead_is_not_taken_for_the_last_one():
    base, prior = BASES["one line"], hearing("lstm-attention")
    policy = make_policy(prior, base)
    pages = [{**base, "given": ((-1,) * 8 + (note, 1, 1, 1) + (-1,) * 4,)} for note in (9, 21)]
    found = []
    for task in (*pages, base, pages[0]):
        env = CompositionVectorEnv(2, reward="in_key", **task)
        obs = obs_as_tensor(env.reset()[0], "cpu")
        with torch.no_grad():
            found.append(policy._act(obs)[0])
            torch.testing.assert_close(found[-1], policy._encode(obs)[0])
    assert torch.equal(found[0], found[3])
    assert not any(torch.equal(found[a], found[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_a_batch_of_pages_at_different_cells_is_read_right():
    task = given(BASES["two voices"], seed=8)
    pieces = random_pieces(Task(**task), 3, seed=9)
    policy, seen = make_policy(hearing("transformer"), task), observe(pieces, task)
    mixed = {k: torch.stack([seen[c][k][i] for i, c in enumerate((2, 9, 5))]) for k in seen[0]}
    with torch.no_grad():
        logits, _ = policy._act(mixed)
        for piece, cell in enumerate((2, 9, 5)):
            one = policy._act(rows(seen[cell], slice(piece, piece + 1)))[0]
            torch.testing.assert_close(logits[piece : piece + 1], one)


@every_kind
def test_the_first_ratio_is_one_and_the_divergence_nothing(kind):
    prior, task = hearing(kind), given(BASES["one line"], seed=10)
    model = learner(PPO, prior, EpisodeBuffer, task=task, n=6)
    _, callback = model._setup_learn(model.n_steps)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    buffer = model.rollout_buffer
    columns = {name: torch.from_numpy(part) for name, part in buffer.columns().items()}
    assert torch.equal(columns["given"], torch.from_numpy(~Task(**task).free).expand(6, 1, 16))
    with torch.no_grad():
        part = observations_of(columns)
        nats = model.policy.evaluate_actions(part, columns["actions"].flatten())[1]
    torch.testing.assert_close(nats, columns["log_probs"].flatten(), atol=1e-5, rtol=0)
    (data,) = buffer.get(None)
    with torch.no_grad():
        nats = model.policy.evaluate_actions(data.observations, data.actions.flatten())[1]
    torch.testing.assert_close(nats, data.old_log_prob, atol=1e-5, rtol=0)
