"""QPolicy: it starts as the prior, explores only where allowed, and leaves as one network."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3.common.utils import obs_as_tensor
from torch import nn

from agents.algorithms.q_policy import KINDS, QPolicy, state_values
from agents.learning.policy import PriorPolicy
from envs.composition import CompositionVectorEnv
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.networks.recurrent import NetShape, RecurrentNet, merge
from pretrained.prior import sample
from tests.agents.algorithms.q_learners import kinds, move
from tests.agents.helpers import observe, rows, whole, writing_order
from tests.helpers import nats_by_steps, places_of, random_pieces

TASKS = {"one bar": {"bars": 1}, "waltz": {"bars": 1, "meter": "3/4", "low": "C4", "high": "G4"}}
TASKS["two voices"] = {"bars": 1, "voices": 2}
TASKS["given"] = {"bars": 1, "given": ((-1, -1, -1, -1, 20, 1, 0, *[-1] * 8, 14),)}
tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def make(prior, task=None, seed=None, **arguments):
    """A policy; with a seed the weights of its Q-network have moved."""
    env = CompositionVectorEnv(1, reward="in_key", **(task or {"bars": 1}))
    spaces = env.single_observation_space, env.single_action_space
    policy = QPolicy(*spaces, lambda _: 1e-3, prior=prior, **({"n_quantiles": 3} | arguments))
    if seed is not None:
        move(policy.net, seed)
    return policy.train(False)


def pieces_of(task, n=5, seed=1):
    """Pieces, what was seen before each cell, and the actions in writing order."""
    pieces = random_pieces(Task(**task), n, seed=seed)
    return pieces, observe(pieces, task), torch.from_numpy(writing_order(pieces.tokens))


def priors_choices(prior, pieces, seen):
    """Log-probabilities (steps, B, vocab) of the prior's choices, given cells included."""
    return torch.stack([
        logits.masked_fill(obs["action_mask"] == 0, -1e9).log_softmax(dim=-1)
        for logits, obs in zip(nats_by_steps(prior, pieces), seen, strict=True)
    ])  # fmt: skip


# -- before the first update -----------------------------------------------------------------------


@kinds
@tasks
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_policy_starts_as_the_prior(tiny_prior, kind, task, temperature):
    policy = make(tiny_prior, task, kind=kind, temperature=temperature)
    pieces, seen, actions = pieces_of(task)
    expected = priors_choices(tiny_prior, pieces, seen)
    exact = {"atol": 0, "rtol": 0} if kind != "qrdqn" and temperature == 1 else {}
    for obs, log_p in zip(seen, expected, strict=True):
        with torch.no_grad():
            drawn, _, chosen = policy(obs)
            best, _, best_chosen = policy(obs, deterministic=True)
        torch.testing.assert_close(chosen, log_p.gather(1, drawn[:, None])[:, 0], **exact)
        torch.testing.assert_close(best_chosen, log_p.max(dim=1).values, **exact)
        assert torch.equal(best, log_p.argmax(dim=1))
    with torch.no_grad():
        _, chosen, entropy = policy.evaluate_actions(whole(pieces, seen), actions)
    by_piece = expected.transpose(0, 1).flatten(0, 1)
    at_actions = by_piece.gather(1, actions[:, None].long())[:, 0]
    torch.testing.assert_close(chosen, at_actions, atol=1e-5, rtol=1e-5)
    kl = (by_piece.exp() * by_piece).sum(dim=1)
    torch.testing.assert_close(entropy, -kl, atol=1e-5, rtol=1e-5)


@kinds
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_what_is_exported_at_the_start_is_the_prior(tiny_prior, kind, temperature):
    policy = make(tiny_prior, kind=kind, temperature=temperature)
    pieces = random_pieces(Task(bars=1), 6, seed=2)
    found = policy.as_prior().log_prob(pieces)
    np.testing.assert_allclose(found, tiny_prior.log_prob(pieces), atol=1e-5)
    if kind in ("q", "psi", "dqn") and temperature == 1:
        assert np.array_equal(found, tiny_prior.log_prob(pieces))


@kinds
def test_q_starts_as_the_priors_logits_or_at_nothing(tiny_prior, kind):
    policy = make(tiny_prior, kind=kind)
    tokens = torch.randint(0, 38, (4, 16))
    place = places_of(Task(bars=1))
    logits, _ = tiny_prior.net(tokens, place)
    for net in (policy.net, policy.target):
        q = policy.mean(net(tokens, place)[0])
        if kind == "g":
            assert (q == 0).all()
        else:
            torch.testing.assert_close(q, logits, atol=1e-5, rtol=1e-5)
    assert not any(weight.requires_grad for weight in policy.target.parameters())
    learning = {id(w) for group in policy.optimizer.param_groups for w in group["params"]}
    assert learning == {id(weight) for weight in policy.net.parameters()}


# -- values ----------------------------------------------------------------------------------------


def test_values_of_states_are_their_closed_forms():
    q = torch.tensor([[1.0, 2.0, 9.0], [0.5, -1.0, 3.0]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    log_p = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5]]))
    assert state_values(KINDS["q"], q, mask).tolist() == [2.0, 3.0]
    assert state_values(KINDS["dqn"], q, mask).tolist() == [2.0, 3.0]
    soft = [math.log(math.e + math.e**2), math.log(math.e**0.5 + math.e**-1 + math.e**3)]
    assert state_values(KINDS["psi"], q, mask).tolist() == pytest.approx(soft)
    beside = [
        math.log(0.5 * math.e + 0.25 * math.e**2),
        math.log(0.2 * math.e**0.5 + 0.3 * math.e**-1 + 0.5 * math.e**3),
    ]
    assert state_values(KINDS["g"], q, mask, log_p).tolist() == pytest.approx(beside)


@kinds
def test_values_in_acting_are_those_of_what_is_allowed(tiny_prior, kind):
    task = TASKS["waltz"]
    policy = make(tiny_prior, task, seed=3, kind=kind)
    pieces, seen, actions = pieces_of(task, 3)
    values = policy.evaluate_actions(whole(pieces, seen), actions)[0].reshape(3, -1)
    for cell, obs in enumerate(seen):
        with torch.no_grad():
            outputs = policy._encode(obs)[0]
            q = outputs.reshape(3, 38, -1).mean(dim=2).double()
            if kind == "g":
                prior = policy.reference._encode(obs)[0]
                q = q + prior.masked_fill(obs["action_mask"] == 0, -1e9).log_softmax(dim=1)
            for row in range(3):
                allowed = q[row][obs["action_mask"][row] == 1]
                soft = kind in ("psi", "g")
                expected = float(allowed.logsumexp(0) if soft else allowed.max())
                for found in (policy(obs)[1][row, 0], policy.predict_values(obs)[row, 0]):
                    assert float(found) == pytest.approx(expected, abs=1e-4)
                assert float(values[row, cell]) == pytest.approx(expected, abs=1e-4)


# -- acting ----------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("epsilon", [None, 1.0])
def test_what_the_mask_forbids_is_never_played(tiny_prior, kind, epsilon):
    """Even where the network wants nothing else."""
    policy = make(tiny_prior, TASKS["waltz"], kind=kind)
    with torch.no_grad():
        head = policy.net.head.bias.view(38, -1)
        head[[1, 2, 3, 30, 37]] += 60.0
    policy.epsilon = epsilon
    env = CompositionVectorEnv(64, reward="in_key", **TASKS["waltz"])
    obs, _ = env.reset()
    for _ in range(12):
        seen = obs_as_tensor(obs, "cpu")
        with torch.no_grad():
            for deterministic in (False, True):
                actions, values, chosen = policy(seen, deterministic)
                assert obs["action_mask"][np.arange(64), actions].all()
                assert torch.isfinite(chosen).all()
                assert values.abs().max() < 1e4
        obs, *_ = env.step(actions.numpy())


def test_exploration_is_even_greedy_or_drawn_and_prediction_does_not_explore(tiny_prior):
    policy = make(tiny_prior, seed=4)
    n = 20_000
    obs = obs_as_tensor(CompositionVectorEnv(n, reward="in_key", bars=1).reset()[0], "cpu")
    log_p = torch.log_softmax(policy._encode(rows(obs, slice(0, 1)))[0][0].detach()
                              .masked_fill(obs["action_mask"][0] == 0, -1e9), dim=0)  # fmt: skip
    p, best = log_p.exp().double().numpy(), int(log_p.argmax())
    even = obs["action_mask"][0].double().numpy() / 37
    greedy = np.eye(38)[best]
    expected = {None: p, 1.0: even, 0.0: greedy, 0.25: 0.25 * even + 0.75 * greedy}

    def check(actions, q):
        share = np.bincount(actions, minlength=38) / n
        assert (np.abs(share - q) <= 5 * np.sqrt(q * (1 - q) / n) + 1e-12).all()

    for epsilon, shares in expected.items():
        policy.epsilon = epsilon
        with torch.no_grad():
            actions, _, chosen = policy(obs)
            check(actions.numpy(), shares)
            check(policy._predict(obs).numpy(), p)
            assert (policy._predict(obs, deterministic=True) == best).all()
        torch.testing.assert_close(chosen, log_p[actions], atol=1e-5, rtol=1e-5)


@kinds
@pytest.mark.parametrize("task", [TASKS["one bar"], TASKS["two voices"]], ids=["one", "two"])
def test_acting_cell_by_cell_equals_reading_whole_pieces(tiny_prior, kind, task):
    policy = make(tiny_prior, task, seed=5, kind=kind, temperature=1.3)
    pieces, seen, actions = pieces_of(task, 4)
    with torch.no_grad():
        values, chosen, _ = policy.evaluate_actions(whole(pieces, seen), actions)
        for cell, obs in enumerate(seen):
            at = torch.arange(4) * len(seen) + cell
            _, found, _ = policy(obs)
            again = policy.evaluate_actions(obs, actions[at])
            torch.testing.assert_close(found[:, 0], values[at], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(again[1], chosen[at], atol=1e-4, rtol=1e-4)


# -- exchange --------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("task", [TASKS["one bar"], TASKS["two voices"]], ids=["one", "two"])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_what_is_exported_is_the_softmax_policy(tiny_prior, tmp_path, kind, task, temperature):
    policy = make(tiny_prior, task, seed=6, kind=kind, temperature=temperature)
    path = tmp_path / "policy.safetensors"
    policy.export(path, {"steps": 3})
    loaded, copied = checkpoint.load(path), policy.as_prior()
    assert checkpoint.notes(path) == {"steps": 3}
    pieces, seen, actions = pieces_of(task, 6)
    with torch.no_grad():
        _, chosen, _ = policy.evaluate_actions(whole(pieces, seen), actions)
    for prior in (loaded, copied):
        np.testing.assert_allclose(writing_order(prior.log_prob(pieces)), chosen, atol=1e-4)
    page = Score.page(Task(**task), 5)
    assert np.array_equal(sample(loaded, page, 1).tokens, sample(copied, page, 1).tokens)
    move(policy.net, 7)
    assert np.array_equal(loaded.log_prob(pieces), copied.log_prob(pieces))
    again = make(path, task, kind=kind)
    assert again.net.shape.hidden == (32 if kind == "g" else 16)


@kinds
def test_a_policy_saved_by_itself_is_the_same_policy(tiny_prior, tmp_path, kind):
    policy = make(tiny_prior, seed=8, kind=kind, temperature=0.8)
    policy.save(tmp_path / "policy.pt")
    loaded = QPolicy.load(tmp_path / "policy.pt", device="cpu")
    assert loaded.kind_name == kind
    obs = observe(random_pieces(Task(bars=1), 3, seed=9), {"bars": 1})[4]
    actions = torch.tensor([5, 6, 0])
    for one, two in zip(
        policy.evaluate_actions(obs, actions), loaded.evaluate_actions(obs, actions), strict=True
    ):
        assert torch.equal(one, two)


def test_new_weights_are_not_answered_from_memory(tiny_prior):
    first, other = make(tiny_prior, kind="g"), make(tiny_prior, seed=10, kind="g")
    move(other.reference.net, 11)
    seen = observe(random_pieces(Task(bars=1), 3, seed=12), {"bars": 1})
    with torch.no_grad():
        first(seen[3])
        first.load_state_dict(other.state_dict())
        for obs in seen[3:5]:
            assert torch.equal(first(obs, True)[2], other(obs, True)[2])


# -- two networks as one ---------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("lookback", [0, 2])
def test_merged_networks_add_their_logits(layers, lookback):
    task = Task(bars=4, meter="2/4")
    place, tokens = places_of(task), torch.randint(0, 38, (5, task.cells))
    nets = []
    for number, (hidden, embed) in enumerate([(7, 5), (4, 6)]):
        nets.append(RecurrentNet(NetShape(38, hidden, layers, embed, lookback=lookback)).eval())
        move(nets[-1], number)
    one = merge(*nets).eval()
    assert one.shape == NetShape(38, 11, layers, 11, lookback=lookback)
    with torch.no_grad():
        expected = sum(net(tokens, place)[0] for net in nets)
        torch.testing.assert_close(one(tokens, place)[0], expected, atol=1e-5, rtol=1e-5)
        state, last = one.start(5), torch.full((5,), one.start_token)
        for cell in range(task.cells):
            logits, _, state = one.step(last, place[:, cell], state)
            torch.testing.assert_close(logits, expected[:, cell], atol=1e-5, rtol=1e-5)
            last = tokens[:, cell]


def test_networks_that_do_not_fit_are_not_merged():
    shape = NetShape(38, 4, 1, 3)
    for other in (replace(shape, layers=2), replace(shape, vocab=30), replace(shape, lookback=1)):
        with pytest.raises(ValueError, match=r"cannot be merged; expected the same but for hidden"):
            merge(RecurrentNet(shape), RecurrentNet(other))


def test_a_layer_that_merge_does_not_know_is_named(monkeypatch):
    def grown(self, shape, dropout=0.0):
        before(self, shape, dropout)
        self.norm = nn.LayerNorm(shape.hidden)

    before = RecurrentNet.__init__
    monkeypatch.setattr(RecurrentNet, "__init__", grown)
    net = RecurrentNet(NetShape(38, 4, 1, 3))
    with pytest.raises(ValueError, match="a LayerNorm with 'weight' is no layer that merge knows"):
        merge(net, copy.deepcopy(net))


# -- what does not fit -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "ps"}, r"unknown kind of Q-learning 'ps'. Did you mean 'psi'\?.* Known: q, psi"),
        ({"temperature": 0.0}, "temperature=0.0: expected a number above 0"),
        ({"temperature": math.nan}, "temperature=nan: expected a number above 0"),
        ({"n_quantiles": 0}, "n_quantiles=0: expected at least 1"),
    ],
)
def test_bad_settings_are_named(tiny_prior, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(tiny_prior, **arguments)


def test_the_fixed_prior_is_a_copy_that_never_learns(tiny_prior):
    policy = make(tiny_prior, kind="g")
    assert isinstance(policy.reference, PriorPolicy)
    assert not any(weight.requires_grad for weight in policy.reference.parameters())
    assert policy.reference.net is not tiny_prior.net
    assert make(tiny_prior, kind="psi").reference is None
