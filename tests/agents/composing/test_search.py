"""Drawing and masks, what searches cost, and what they refuse."""

import copy

import numpy as np
import pytest

from agents.composing import search
from agents.composing.compute import Compute
from agents.composing.search import beam, best_of, masked
from envs.errors import RewardError
from envs.music.task import Task
from envs.primer import primed
from pretrained.networks.recurrent import RecurrentPrior
from pretrained.prior import sample
from rewards.build import build
from rewards.functions import cellwise
from rewards.likelihood import Likelihood
from rewards.rule import REGISTRY
from rewards.sum import RewardSum
from rewards.term import Term
from tests.agents.composing.searches import NARROW, few_notes, page_of, returns_of, rules_and_prior
from tests.helpers import random_pieces

# -- best of n -------------------------------------------------------------------------------------


def test_the_best_of_one_is_what_the_prior_draws(tiny_prior):
    found = best_of(tiny_prior, page_of(Task(), 6), build("rl_tuner"), 1, seed=9, temperature=0.7)
    drawn = sample(tiny_prior, page_of(Task(), 6), 9, 0.7)
    np.testing.assert_array_equal(found.score.tokens, drawn.tokens)


def test_more_draws_give_better_pieces(tiny_prior):
    reward, page = rules_and_prior(tiny_prior), page_of(Task(bars=1), 5)
    before = np.full(5, -np.inf)
    for n in (1, 2, 4, 16, 64):
        found = best_of(tiny_prior, page, reward, n, seed=3)
        np.testing.assert_allclose(found.returns, returns_of(reward, found.score), atol=1e-3)
        assert (found.returns >= before).all()
        before = found.returns
    assert found.returns.mean() > best_of(tiny_prior, page, reward, 1, seed=3).returns.mean()
    again = best_of(tiny_prior, page, reward, 64, seed=3)
    np.testing.assert_array_equal(again.score.tokens, found.score.tokens)
    other = best_of(tiny_prior, page, reward, 64, seed=4)
    assert not np.array_equal(other.score.tokens, found.score.tokens)


def test_the_best_is_found_in_whichever_portion_it_is(tiny_prior, monkeypatch):
    monkeypatch.setattr(search, "DRAWN_PIECES", 6)
    seen = []

    def remember(*arguments):
        seen.append(sample(*arguments))
        return seen[-1]

    monkeypatch.setattr(search, "sample", remember)
    reward, page = build("rl_tuner"), page_of(Task(bars=1), 3)
    found = best_of(tiny_prior, page, reward, 9, seed=1)
    assert [drawn.batch for drawn in seen] == [3, 3, 6, 6, 6, 3]
    paid = np.concatenate([returns_of(reward, drawn) for drawn in seen]).reshape(9, 3)
    np.testing.assert_allclose(found.returns, paid.max(axis=0), atol=1e-4)


def test_drawn_pieces_keep_primer_and_given_cells(tiny_prior):
    task = Task(bars=1, given=((-1,) * 8 + (26,) + (-1,) * 7,))
    page = primed(page_of(task, 3), [14, 1, 16])
    key = build({"key": -1.0})
    for found in (best_of(tiny_prior, page, key, 4), masked(tiny_prior, page, key)):
        assert (found.score.tokens[:, 0, [0, 1, 2, 8]] == [14, 1, 16, 26]).all()


# -- masks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "task"),
    [
        ({"key": -1.0, "leap_recovery": 1.0}, Task()),
        ({"penalize_repeating": -100.0, "key": -1.0}, Task(low="B3", high="C#4")),
    ],
)
def test_masked_pieces_break_no_rule_that_can_be_kept(tiny_prior, rules, task):
    rules = build(rules)
    free = sample(tiny_prior, page_of(task, 50), 2)
    assert all(part.any() for part in rules.breakdown(free).values())
    found = masked(tiny_prior, page_of(task, 50), rules, seed=2)
    assert not any(part.any() for part in rules.breakdown(found.score).values())
    assert (found.returns == 0).all()
    again = masked(tiny_prior, page_of(task, 50), rules, seed=2)
    np.testing.assert_array_equal(again.score.tokens, found.score.tokens)


def test_the_sign_of_a_weight_says_what_is_masked(tiny_prior):
    page = page_of(Task(), 30)
    paid = masked(tiny_prior, page, build({"leap_up_back": 5.0}), seed=1).score
    assert (REGISTRY["leap_up_back"](paid) >= 0).all()
    assert (REGISTRY["leap_up_back"](paid) > 0).any()
    costs = masked(tiny_prior, page, build({"leap_up_back": -5.0}), seed=1).score
    assert (REGISTRY["leap_up_back"](costs) <= 0).all()


def test_rules_that_never_bite_leave_the_draw_as_it_is(tiny_prior):
    rules = build({"leap_recovery": {"weight": 1.0, "min_leap": 99}})
    task = Task(bars=1, voices=2)
    found = masked(tiny_prior, page_of(task, 8), rules, seed=5, temperature=1.3)
    np.testing.assert_array_equal(
        found.score.tokens, sample(tiny_prior, page_of(task, 8), 5, 1.3).tokens
    )


def test_a_rule_is_broken_only_where_it_must_be(tiny_prior):
    rules = build("in_key")
    task = Task(bars=1, given=((-1,) * 5 + (15,) + (-1,) * 10,))  # C#
    found = masked(tiny_prior, page_of(task, 10), rules, reward=build("tonic"))
    broken = np.argwhere(REGISTRY["in_key"](found.score))
    assert broken[:, 2].tolist() == [5] * 10
    tonic = REGISTRY["tonic"](found.score).sum(axis=(1, 2))
    np.testing.assert_array_equal(found.returns, tonic)


# -- what it cost ----------------------------------------------------------------------------------


class Counting(RecurrentPrior):
    """A network that counts the tokens it evaluates."""

    tokens = 0

    def __init__(self, net, codec):
        super().__init__(copy.deepcopy(net), codec)
        step, forward = self.net.step, self.net.forward
        self.net.step = lambda token, *others: self._count(token) or step(token, *others)
        self.net.forward = lambda tokens, *others, **named: (
            self._count(tokens) or forward(tokens, *others, **named)
        )

    def _count(self, tokens):
        self.tokens += tokens.numel()


def methods(prior, page, reward):
    mask = RewardSum([term for name, term in reward.terms.items() if name == "counted"])
    yield lambda: best_of(prior, page, reward, 5)
    yield lambda: masked(prior, page, mask, reward=reward)
    yield lambda: beam(page.take([0]), reward, 6, n=3)
    yield lambda: beam(page.take([0]), reward, 6, n=3, guide=prior, first=0)


@pytest.mark.parametrize("method", range(4), ids=["best of n", "masked", "beam", "guided beam"])
@pytest.mark.parametrize("primer", [0, 3])
def test_costs_are_what_was_asked(tiny_prior, method, primer):
    cells = []

    @cellwise
    def counted(score):
        cells.append(score.tokens.size)
        return (score.tokens == 14) * 1.0

    prior = Counting(tiny_prior.net, tiny_prior.codec)
    likelihood = Term("prior", Likelihood(checkpoint=prior), 0.5)
    reward = RewardSum([Term("counted", counted, 1.0), likelihood])
    task = Task(bars=1, meter="2/4", voices=2)
    page = page_of(task, 2)
    if primer:
        page = primed(page, [[14] * primer] * 2)
    reward.prepare(task)
    cells.clear()
    prior.tokens = 0
    found = list(methods(prior, page, reward))[method]()
    assert (found.compute.cells, found.compute.tokens) == (sum(cells), prior.tokens)
    assert found.compute.wall_seconds > 0
    assert found.compute.cpu_seconds > 0


def test_costs_add_up_and_can_be_read():
    cost = Compute(1000, 20, 1.5, 1.0) + Compute(234, 3, 0.5, 0.25)
    assert cost == Compute(1234, 23, 2.0, 1.25)
    assert str(cost) == "1,234 tokens of networks, 23 cells scored, 2.0 s (1.2 s of processor)"


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2", None])
def test_counts_that_are_none(tiny_prior, value):
    page, reward = page_of(NARROW), build("tonic")
    with pytest.raises(ValueError, match="expected a whole number, at least 1"):
        best_of(tiny_prior, page, reward, value)
    with pytest.raises(ValueError, match="width=.*expected a whole number, at least 1"):
        beam(page, reward, value)
    with pytest.raises(ValueError, match="n=.*expected a whole number, at least 1"):
        beam(page, reward, 5, n=value)


MISTAKES = {
    "n": ({"n": 9}, "width=8: expected at least n=9"),
    "first": ({"first": 1}, r"first=1: expected a token that is allowed there, \[0, 14\]"),
    "first of another kind": ({"first": "C4"}, "first='C4': expected a token"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_beam_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        beam(page_of(NARROW), build("tonic"), 8, **arguments)


def test_pages_that_cannot_be_searched(tiny_prior):
    full, rules = random_pieces(NARROW, 1), build("tonic")
    for method in (
        lambda page: best_of(tiny_prior, page, rules, 1),
        lambda page: masked(tiny_prior, page, rules),
        lambda page: beam(page, rules, 1),
    ):
        with pytest.raises(ValueError, match="the page is full; expected an unfinished score"):
            method(full)
    with pytest.raises(ValueError, match=r"the page has 2 pieces, expected one.*take\(\[0\]\)"):
        beam(page_of(NARROW, 2), rules, 1)
    other = Task(grid=2)
    with pytest.raises(ValueError, match="the prior knows 4 cells"):
        beam(page_of(other), rules_and_prior(tiny_prior), 1)


def test_masks_and_rewards_that_cannot_be(tiny_prior):
    page = page_of(NARROW)
    with pytest.raises(ValueError, match="a prior's log p cannot be a mask"):
        masked(tiny_prior, page, rules_and_prior(tiny_prior))
    with pytest.raises(ValueError, match="'few_notes' cannot be a mask"):
        masked(tiny_prior, page, build({few_notes: 1.0}))
    for temperature in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="expected a number above 0"):
            masked(tiny_prior, page, build("in_key"), temperature=temperature)
        with pytest.raises(ValueError, match="expected a number above 0"):
            best_of(tiny_prior, page, build("in_key"), 1, temperature=temperature)

    @cellwise
    def looks_ahead(score):
        return np.repeat((score.tokens[..., -1:] == 14) * 1.0, score.task.cells, axis=2)

    with pytest.raises(RewardError, match="'looks_ahead' is not causal"):
        beam(page, build({looks_ahead: 1.0}), 2)
