"""PriorPolicy before and while acting: it starts as the prior and acts as it reads."""

import copy

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecNormalize

from agents.learning.policy import PriorPolicy
from envs.composition import CompositionVectorEnv
from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.networks.recurrent import NetShape, RecurrentNet, RecurrentPrior
from tests.agents.helpers import (
    learner,
    make_policy,
    observe,
    rows,
    vec_env,
    whole,
    writing_order,
)
from tests.helpers import nats_by_steps, random_pieces

GIVEN = ((-1, -1, -1, -1, 20, 1, 0, -1, -1, -1, 0, -1, -1, -1, -1, 14),)
TASKS = {
    "one bar": {"bars": 1},
    "two bars": {},
    "waltz in a fifth": {"bars": 2, "meter": "3/4", "low": "C4", "high": "G4"},
    "compound": {"bars": 1, "meter": "6/8"},
    "two voices": {"bars": 1, "voices": 2},
}
tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


# -- before the first update -----------------------------------------------------------------------


@tasks
def test_whole_pieces_have_exactly_the_priors_log_probabilities(tiny_prior, task):
    pieces = random_pieces(Task(**task), 7, seed=1)
    policy = make_policy(tiny_prior, task)
    actions = torch.from_numpy(writing_order(pieces.tokens))
    values, chosen, _ = policy.evaluate_actions(whole(pieces, observe(pieces, task)), actions)
    assert np.array_equal(chosen.detach().numpy(), writing_order(tiny_prior.log_prob(pieces)))
    assert (values == 0).all()


@tasks
def test_acting_has_exactly_the_priors_probabilities(tiny_prior, task):
    pieces = random_pieces(Task(**task), 5, seed=2)
    policy = make_policy(tiny_prior, task)
    seen = observe(pieces, task)
    for logits, obs in zip(nats_by_steps(tiny_prior, pieces), seen, strict=True):
        expected = logits.log_softmax(dim=-1)
        with torch.no_grad():
            actions, _, chosen = policy(obs)
            best, _, best_chosen = policy(obs, deterministic=True)
        assert torch.equal(chosen, expected.gather(1, actions[:, None])[:, 0])
        assert torch.equal(best, expected.argmax(dim=1))
        assert torch.equal(best_chosen, expected.max(dim=1).values)


def test_bfloat16_is_for_learning_only(tiny_prior):
    task = {"bars": 1, "voices": 2}
    pieces = random_pieces(Task(**task), 6, seed=25)
    policy = make_policy(tiny_prior, task, bf16=True)
    actions = torch.from_numpy(writing_order(pieces.tokens))
    expected = writing_order(tiny_prior.log_prob(pieces))
    seen = whole(pieces, observe(pieces, task))
    _, acting, _ = policy.evaluate_actions(seen, actions)
    assert np.array_equal(acting.detach().numpy(), expected)
    _, learning, _ = policy.train().evaluate_actions(seen, actions)
    assert learning.dtype == torch.float32
    assert not np.array_equal(learning.detach().numpy(), expected)
    np.testing.assert_allclose(learning.detach().numpy(), expected, atol=0.1)


def test_a_prior_a_path_and_a_run_directory_make_the_same_policy(tiny_checkpoint, tmp_path):
    prior = checkpoint.load(tiny_checkpoint)
    (tmp_path / "policy.safetensors").write_bytes(tiny_checkpoint.read_bytes())
    for source in (prior, tiny_checkpoint, str(tiny_checkpoint), tmp_path):
        policy = make_policy(source, {})
        for name, weight in policy.net.state_dict().items():
            assert torch.equal(weight, prior.net.state_dict()[name])


def test_actions_are_drawn_in_proportion_to_their_probabilities(tiny_prior):
    policy = make_policy(tiny_prior, {"bars": 1})
    obs, _ = CompositionVectorEnv(20_000, reward="in_key", bars=1).reset()
    torch.manual_seed(3)
    with torch.no_grad():
        actions, _, _ = policy(obs_as_tensor(obs, "cpu"))
    page = Score.page(Task(bars=1), 1)
    logits, _ = tiny_prior.step(tiny_prior.start(page.task, 1), page)
    p = logits.softmax(dim=-1)[0].double().numpy()
    share = np.bincount(actions.numpy(), minlength=len(p)) / len(actions)
    assert (np.abs(share - p) <= 5 * np.sqrt(p * (1 - p) / len(actions))).all()
    assert p.max() < 0.9  # so that the comparison means something


def test_the_policy_is_a_copy_the_prior_never_moves(tiny_prior):
    before = copy.deepcopy(tiny_prior.net.state_dict())
    learner(PPO, tiny_prior).learn(64)
    for name, weight in tiny_prior.net.state_dict().items():
        assert torch.equal(weight, before[name])
    assert not any(weight.requires_grad for weight in tiny_prior.net.parameters())


# -- acting against reading ------------------------------------------------------------------------


def assert_acts_as_it_reads(policy, obs):
    """`forward`, which remembers, against `_encode`, which reads the page anew."""
    with torch.no_grad():
        actions, values, chosen = policy(obs)
        logits, features = policy._encode(obs)
    expected = logits.masked_fill(obs["action_mask"] == 0, -1e9).log_softmax(dim=-1)
    torch.testing.assert_close(chosen, expected.gather(1, actions[:, None])[:, 0], atol=1e-5,
                               rtol=1e-5)  # fmt: skip
    torch.testing.assert_close(values, policy.value(features), atol=1e-5, rtol=1e-5)


@tasks
def test_acting_cell_by_cell_equals_reading_the_page(tiny_prior, task):
    policy = make_policy(tiny_prior, task, seed=4)
    for obs in observe(random_pieces(Task(**task), 4, seed=5), task):
        assert_acts_as_it_reads(policy, obs)


@pytest.mark.parametrize("voices", [1, 2])
def test_acting_out_of_order_equals_reading_the_page(tiny_prior, voices):
    """Skips, repetitions, steps back, other pieces, other batch sizes, in any order."""
    task = {"bars": 1, "voices": voices}
    policy = make_policy(tiny_prior, task, seed=6)
    sets = [observe(random_pieces(Task(**task), 4, seed=seed), task) for seed in (7, 8)]
    rng = np.random.default_rng(9)
    cell, which, batch = 0, 0, 4
    for _ in range(120):
        move = rng.random()
        if move < 0.6:
            cell = (cell + 1) % (16 * voices)  # as in a rollout
        elif move < 0.8:
            cell = int(rng.integers(16 * voices))
        if rng.random() < 0.3:
            which = 1 - which
        if rng.random() < 0.3:
            batch = int(rng.integers(1, 5))
        assert_acts_as_it_reads(policy, rows(sets[which][cell], slice(0, batch)))


@pytest.mark.parametrize("voices", [1, 2])
def test_pieces_at_different_cells_in_one_batch(tiny_prior, voices):
    task = {"bars": 1, "voices": voices}
    policy = make_policy(tiny_prior, task, seed=10)
    seen = observe(random_pieces(Task(**task), 6, seed=11), task)
    at = [0, 3, 3, 15, 7, 16 * voices - 1]
    mixed = {
        name: torch.stack([seen[cell][name][row] for row, cell in enumerate(at)])
        for name in seen[0]
    }
    assert_acts_as_it_reads(policy, seen[2])
    assert_acts_as_it_reads(policy, mixed)
    with torch.no_grad():
        values = policy.predict_values(mixed)[:, 0]
        for row, cell in enumerate(at):
            alone = policy.predict_values(rows(seen[cell], slice(row, row + 1)))
            torch.testing.assert_close(values[row], alone[0, 0], atol=1e-5, rtol=1e-5)
    assert_acts_as_it_reads(policy, seen[3])


def test_reading_whole_pieces_equals_reading_each_cell(tiny_prior):
    task = {"bars": 1, "voices": 2, "meter": "3/4"}
    policy = make_policy(tiny_prior, task, seed=12)
    pieces = random_pieces(Task(**task), 3, seed=13)
    seen = observe(pieces, task)
    actions = torch.from_numpy(writing_order(pieces.tokens))
    with torch.no_grad():
        at_once = policy.evaluate_actions(whole(pieces, seen), actions)
        each = [
            policy.evaluate_actions(obs, step)
            for obs, step in zip(seen, actions.reshape(3, -1).T, strict=True)
        ]
    for number, name in enumerate(("values", "log-probabilities", "entropies")):
        cell_by_cell = torch.stack([part[number] for part in each], dim=1).flatten()
        torch.testing.assert_close(at_once[number], cell_by_cell, atol=1e-5, rtol=1e-5, msg=name)


def test_pieces_in_different_metres_in_one_batch(tiny_prior):
    tasks = [{"bars": 2, "meter": "3/4", "voices": 2}, {"bars": 1, "meter": "6/4", "voices": 2}]
    policy = make_policy(tiny_prior, tasks[0], seed=29)
    parts, actions, alone = [], [], []
    for task in tasks:
        pieces = random_pieces(Task(**task), 3, seed=30)
        parts.append(whole(pieces, observe(pieces, task)))
        actions.append(torch.from_numpy(writing_order(pieces.tokens)))
        alone.append(policy.evaluate_actions(parts[-1], actions[-1])[1])
    mixed = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    _, together, _ = policy.evaluate_actions(mixed, torch.cat(actions))
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_new_weights_are_not_answered_from_memory(tiny_prior):
    policy = make_policy(tiny_prior, {"bars": 1})
    seen = observe(random_pieces(Task(bars=1), 4, seed=14), {"bars": 1})
    assert_acts_as_it_reads(policy, seen[0])
    policy.load_state_dict(make_policy(tiny_prior, {"bars": 1}, seed=15).state_dict())
    assert_acts_as_it_reads(policy, seen[0])
    policy.load_state_dict(make_policy(tiny_prior, {"bars": 1}, seed=16).state_dict())
    assert_acts_as_it_reads(policy, seen[1])
    policy.set_training_mode(True)
    policy.evaluate_actions(seen[1], torch.zeros(4))[1].sum().backward()
    policy.optimizer.step()
    policy.set_training_mode(False)
    assert_acts_as_it_reads(policy, seen[1])


def test_a_page_written_over_is_not_answered_from_memory(tiny_prior):
    policy = make_policy(tiny_prior, {"bars": 1}, seed=27)
    obs = observe(random_pieces(Task(bars=1), 4, seed=28), {"bars": 1})[6]
    obs["tokens"] = obs["tokens"].long()
    assert_acts_as_it_reads(policy, obs)
    obs["tokens"][:, 0, 3] = 9
    assert_acts_as_it_reads(policy, obs)


# -- what may be written ---------------------------------------------------------------------------


def test_what_the_mask_forbids_is_never_drawn():
    """Even where the network wants nothing else."""
    net = RecurrentNet(NetShape(Codec().vocab, hidden=4, embed=4))
    forbidden = [1, 2, 3, 30, 37]  # a hold at the start, and pitches outside C4-C5
    with torch.no_grad():
        net.head.bias[forbidden] += 60.0
    prior = RecurrentPrior(net, Codec())
    policy = make_policy(prior, {"bars": 1, "low": "C4", "high": "C5"})
    env = CompositionVectorEnv(64, reward="in_key", bars=1, low="C4", high="C5")
    obs, _ = env.reset()
    for _ in range(16):
        seen = obs_as_tensor(obs, "cpu")
        with torch.no_grad():
            for deterministic in (False, True):
                actions, _, chosen = policy(seen, deterministic)
                assert obs["action_mask"][np.arange(64), actions].all()
                assert torch.isfinite(chosen).all()
        _, _, entropy = policy.evaluate_actions(seen, actions)
        assert torch.isfinite(entropy).all()
        assert (entropy >= 0).all()
        obs, *_ = env.step(actions.numpy())


def test_cells_given_in_advance_are_played(tiny_prior):
    task = {"bars": 1, "given": GIVEN}
    policy = make_policy(tiny_prior, task)
    env = CompositionVectorEnv(32, reward="in_key", autoreset_mode="Disabled", **task)
    obs, _ = env.reset()
    for given in GIVEN[0]:
        with torch.no_grad():
            actions, _, chosen = policy(obs_as_tensor(obs, "cpu"))
        if given >= 0:
            assert (actions == given).all()
            assert (chosen == 0).all()  # there is no choice
        obs, *_ = env.step(actions.numpy())
    page = np.array(GIVEN[0])
    assert (env.score.tokens[:, 0, page >= 0] == page[page >= 0]).all()


def test_entropy_is_that_of_the_allowed_tokens(tiny_prior):
    task = {"bars": 1, "low": "G3", "high": "F4", "voices": 2}
    policy = make_policy(tiny_prior, task, seed=17)
    pieces = random_pieces(Task(**task), 3, seed=18)
    seen = observe(pieces, task)
    actions = torch.from_numpy(writing_order(pieces.tokens))
    _, _, entropy = policy.evaluate_actions(whole(pieces, seen), actions)
    expected = []
    for row in range(3):
        for obs in seen:
            logits = policy._encode(rows(obs, slice(row, row + 1)))[0][0].detach().double()
            logits = logits[obs["action_mask"][row] == 1]
            expected.append(torch.distributions.Categorical(logits=logits).entropy())
    torch.testing.assert_close(entropy.double(), torch.stack(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("keys", [["tokens"], ["context"], ["tokens", "context"]])
def test_observations_that_were_normalised_are_refused(tiny_prior, keys):
    env = VecNormalize(vec_env(), norm_obs_keys=keys)
    model = PPO(PriorPolicy, env, n_steps=16, policy_kwargs={"prior": tiny_prior}, device="cpu")
    with pytest.raises(ValueError, match=r"VecNormalize\(env, norm_obs=False\)"):
        model.learn(64)
    env = VecNormalize(vec_env(), norm_obs=False)  # of rewards alone
    PPO(PriorPolicy, env, n_steps=16, policy_kwargs={"prior": tiny_prior}, device="cpu").learn(64)


def test_a_prior_without_a_network_is_refused():
    class Even:
        codec = Codec()

    with pytest.raises(TypeError, match="Even.*no network to train"):
        make_policy(Even(), {"bars": 1})
