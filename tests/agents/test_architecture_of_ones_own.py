"""A network of another architecture, in this file alone: a prior and a policy of all voices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.utils import obs_as_tensor
from torch import nn

from agents.algorithms.q_policy import QPolicy
from agents.composing.demands import keep
from agents.composing.search import beam, masked
from agents.explaining.explainer import surprises
from agents.learning.rollout import EpisodeBuffer
from envs.composition import CompositionVectorEnv, primed
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.conformance import check_prior
from pretrained.networks.architectures import ARCHITECTURES, SumPrior
from pretrained.networks.lens import Lens
from pretrained.networks.network_prior import Network, NetworkPrior
from pretrained.networks.regrid import on_grid
from pretrained.prior import Trainable, sample
from rewards.build import build
from rewards.likelihood import Likelihood
from tests.agents.algorithms.q_learners import make as q_learner
from tests.agents.helpers import learner, make_policy, observe, weights, whole, writing_order
from tests.helpers import nats_by_steps, random_pieces, step_through

TWO = {"bars": 1, "meter": "2/4", "voices": 2}


@dataclass(frozen=True)
class BagShape:
    vocab: int
    width: int


class BagNet(Network):
    """The sum of the embeddings of all cells written, whatever voice they are in, and the place."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.token, self.place = (
            nn.Embedding(shape.vocab, shape.width),
            nn.Embedding(64, shape.width),
        )
        self.head = nn.Linear(shape.width, shape.vocab)

    def forward(self, bag, place):
        features = torch.tanh(bag + self.place(place[..., 0]))
        return self.head(features), features


@dataclass(frozen=True)
class BagState:
    lens: Lens
    voices: int
    cell: int
    bag: torch.Tensor


class BagPrior(NetworkPrior):
    format = "bag/1"

    @classmethod
    def build(cls, shape: Mapping, codec):
        return cls(BagNet(BagShape(**shape)), codec)

    def forward(self, pieces, context, bf16=False):
        lens = Lens.of(self.codec, context, pieces.shape[2])
        seen = self.net.token(lens.read(pieces)).transpose(1, 2).flatten(1, 2)
        bag = torch.cat([torch.zeros_like(seen[:, :1]), seen[:, :-1].cumsum(dim=1)], dim=1)
        place = lens.places.repeat_interleave(pieces.shape[1], dim=1).expand(len(pieces), -1, -1)
        logits, features = self.net(bag, place)
        return lens.answer(logits), features

    def begin(self, context, voices, cells):
        bag = torch.zeros(len(context), self.n_features)
        return BagState(Lens.of(self.codec, context, cells), voices, 0, bag)

    def advance(self, state, tokens):
        cell, bag = state.cell + tokens.shape[1], state.bag
        for token in state.lens.read(tokens).unbind(dim=1):
            bag = bag + self.net.token(token)
        place = state.lens.places[:, cell // state.voices]
        logits, features = self.net(bag, place.expand(len(bag), -1))
        return state.lens.answer(logits), features, replace(state, cell=cell, bag=bag)

    def pick(self, state, rows):
        return replace(state, lens=state.lens.take(rows), bag=state.bag[rows])


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, BagPrior.format, BagPrior)


@pytest.fixture
def bag():
    codec = Task().codec
    prior = BagPrior.build({"vocab": codec.vocab, "width": 12}, codec)
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in prior.net.parameters():
            weight.normal_(0.0, 0.5, generator=rng)
    return prior


# -- a prior that hears every voice ----------------------------------------------------------------


def test_it_keeps_the_protocol(bag):
    assert isinstance(bag, Trainable)
    check_prior(bag)
    check_prior(bag, Task(**TWO, key="Eb major", low="C3", high="C6"))
    check_prior(SumPrior(bag, bag))


def test_a_voice_depends_on_what_the_others_have_written(bag, tiny_prior):
    task = Task(**TWO)
    score = random_pieces(task, 6, seed=1)
    other = score.tokens.copy()
    other[:, 0, 3] = np.where(other[:, 0, 3] == 20, 21, 20)
    before, after = (bag.log_prob(each) for each in (score, Score(other, task)))
    assert (np.abs(before - after)[:, 1, 3] > 1e-3).all()  # voice 1 is written after voice 0
    np.testing.assert_array_equal(before[:, :, :3], after[:, :, :3])
    deaf = [tiny_prior.log_prob(each) for each in (score, Score(other, task))]
    np.testing.assert_array_equal(deaf[0][:, 1], deaf[1][:, 1])


def test_steps_are_teacher_forcing_for_the_likelihood_too(bag):
    score = random_pieces(Task(**TWO), 5, seed=3)
    nats = bag.log_prob(score)
    reward = build({"prior": {"checkpoint": bag, "floor": -50.0}})
    np.testing.assert_allclose(step_through(reward, score)["prior"], nats, atol=1e-4)
    page = Score(score.tokens, score.task, written=7)  # begun elsewhere
    newest = Likelihood(checkpoint=bag, floor=-50.0)(page.newest)
    np.testing.assert_allclose(newest[:, 0, 0], nats[:, 0, 3], atol=1e-4)


def test_a_sample_is_drawn_from_what_is_heard(bag):
    task = Task(bars=1, meter="1/4", voices=2, low="C4", high="C#4")
    score = sample(bag, Score.page(task, 4000), seed=4)
    rest, note = (score.tokens[:, 0, 0] == t for t in (0, 14))
    chances = []
    for begun in (rest, note):
        page = Score(score.tokens[begun], task, written=1)
        logits, _ = bag.step(bag.start(task, page.batch), page)
        chance = logits.softmax(1)[0, 0].item()
        assert (score.tokens[begun, 1, 0] == 0).mean() == pytest.approx(chance, abs=0.05)
        chances.append(chance)
    assert abs(chances[0] - chances[1]) > 0.02


def test_other_ways_to_ask_it(bag):
    score = random_pieces(Task(**TWO), 1, seed=5)
    np.testing.assert_allclose(surprises(bag, score), -bag.log_prob(score)[0], atol=1e-5)
    triplets = Task(**TWO, grid=12)
    drawn = sample(on_grid(bag, triplets), Score.page(triplets, 3), seed=1)
    assert on_grid(bag, triplets).log_prob(drawn).min() > -60


# -- a checkpoint ----------------------------------------------------------------------------------


def test_it_is_saved_and_loaded(bag, tmp_path, monkeypatch):
    path = tmp_path / "bag.safetensors"
    checkpoint.save(path, bag, notes={"a": 1})
    again, score = checkpoint.load(path, Task(**TWO)), random_pieces(Task(**TWO), 3)
    assert (type(again), checkpoint.notes(path)) == (BagPrior, {"a": 1})
    np.testing.assert_array_equal(again.log_prob(score), bag.log_prob(score))
    monkeypatch.delitem(ARCHITECTURES, BagPrior.format)
    with pytest.raises(ValueError, match=r"format 'bag/1', .*\(recurrent/1, .*sum/1"):
        checkpoint.load(path)


# -- a policy --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [{"bars": 1}, TWO], ids=["one voice", "two voices"])
def test_a_policy_begins_as_the_prior_exactly(bag, task):
    policy, pieces = make_policy(bag, task), random_pieces(Task(**task), 5, seed=6)
    seen, actions = observe(pieces, task), torch.from_numpy(writing_order(pieces.tokens))
    with torch.no_grad():
        _, chosen, _ = policy.evaluate_actions(whole(pieces, seen), actions)
        assert np.array_equal(chosen.numpy(), writing_order(bag.log_prob(pieces)))  # KL is 0
        for logits, obs in zip(nats_by_steps(bag, pieces), seen, strict=True):
            drawn, _, nats = policy(obs)
            assert torch.equal(nats, logits.log_softmax(1).gather(1, drawn[:, None])[:, 0])
            anew = policy.evaluate_actions(obs, drawn)[1]
            torch.testing.assert_close(anew, nats, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("buffer", [None, EpisodeBuffer], ids=["sb3", "pieces"])
def test_it_learns_under_ppo_and_leaves_as_a_checkpoint(bag, buffer, tmp_path):
    model = learner(PPO, bag, buffer, task=TWO, learning_rate=1e-2, n=8)
    before = weights(model)
    model.learn(3 * model.n_steps * 8)
    after = weights(model)
    assert all(not torch.equal(before[name], after[name]) for name in after if "place" not in name)
    model.policy.export(tmp_path / "policy.safetensors")
    agent, score = checkpoint.load(tmp_path), random_pieces(Task(**TWO), 4)
    np.testing.assert_array_equal(agent.log_prob(score), model.policy.as_prior().log_prob(score))
    assert (agent.log_prob(score) != bag.log_prob(score)).any()


@pytest.mark.parametrize("kind", ["q", "g", "qrdqn"])
def test_q_learning_with_it_leaves_as_a_checkpoint(bag, kind, tmp_path):
    model = q_learner(bag, kind, task=TWO, learning_rate=1e-2).learn(4 * 16 * 4)
    policy = model.policy.train(False)
    policy.export(tmp_path / "policy.safetensors")
    agent, pieces = checkpoint.load(tmp_path), random_pieces(Task(**TWO), 4)
    assert type(agent) is (SumPrior if kind == "g" else BagPrior)
    seen, actions = observe(pieces, TWO), torch.from_numpy(writing_order(pieces.tokens))
    with torch.no_grad():
        _, chosen, _ = policy.evaluate_actions(whole(pieces, seen), actions)
    np.testing.assert_allclose(writing_order(agent.log_prob(pieces)), chosen, atol=1e-4)
    make_policy(agent, TWO)
    if kind == "g":
        env = CompositionVectorEnv(1, reward="in_key", **TWO)
        spaces = env.single_observation_space, env.single_action_space
        with pytest.raises(ValueError, match="net.head .* 'sum/1' has none"):
            QPolicy(*spaces, lambda _: 1e-3, prior=agent)


# -- composing -------------------------------------------------------------------------------------


def test_it_composes_in_a_beam_and_under_masks(bag):
    task = Task(**TWO)
    page = primed(Score.page(task, 1), [[14, 1], [21, 1]])
    reward = build({"prior": {"checkpoint": bag, "floor": -50.0}, "in_key": 0.5})
    found = beam(page, reward, 30, n=3, guide=bag)
    paid = reward(found.score).sum(axis=(1, 2))
    np.testing.assert_allclose(found.returns, paid, atol=1e-3)
    greedy = beam(page, build({"prior": {"checkpoint": bag, "floor": -50.0}}), 1)
    for cell, logits in enumerate(nats_by_steps(bag, greedy.score)):
        if cell >= page.n_written:
            time, voice = divmod(cell, 2)
            assert logits.argmax(1).item() == greedy.score.tokens[0, voice, time]
    rules = build("in_key")
    drawn = masked(bag, Score.page(task, 20), rules, seed=1)
    assert not rules(drawn.score).any()
    kept = keep(bag, Score.page(task, 1), rules.terms, 5, seed=2)
    assert not rules(kept.pieces).any()


def test_observations_it_cannot_be_are_refused(bag):
    task = {"bars": 1}
    policy = make_policy(bag, task)
    obs = obs_as_tensor(CompositionVectorEnv(3, reward="in_key", **task).reset()[0], "cpu")
    with pytest.raises(ValueError, match=r"VecNormalize\(env, norm_obs=False\)"):
        policy({**obs, "tokens": obs["tokens"] * 0.3})
