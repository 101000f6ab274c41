"""Beam search against exhaustive enumeration."""

import numpy as np
import pytest
import torch

from agents.composing.search import beam, best_known
from envs.music.score import Score
from envs.music.task import Task
from envs.primer import primed
from pretrained.networks.recurrent import RecurrentPrior
from rewards.build import build
from rewards.functions import cellwise
from rewards.likelihood import Likelihood
from rewards.sum import RewardSum
from rewards.term import Term
from tests.agents.composing.searches import (
    NARROW,
    PIECES,
    TASKS,
    everything,
    page_of,
    returns_of,
    rows_of,
    rules_and_prior,
)
from tests.helpers import random_pieces


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_beam_that_holds_everything_finds_the_best(tiny_prior, task):
    reward, every = rules_and_prior(tiny_prior), everything(task)
    found = beam(page_of(task), reward, PIECES, n=PIECES)
    assert sorted(rows_of(found.score)) == sorted(rows_of(every))
    expected = np.sort(returns_of(reward, every))[::-1]
    np.testing.assert_allclose(found.returns, expected, atol=1e-4)
    np.testing.assert_allclose(found.returns, returns_of(reward, found.score), atol=1e-4)
    few = beam(page_of(task), reward, PIECES, n=5)
    np.testing.assert_allclose(few.returns, expected[:5], atol=1e-4)


def greedily(reward, score):
    """Always the token that pays best at once, the lowest of several."""
    task = score.task
    while not score.finished:
        tokens = np.flatnonzero(score.allowed()[0])
        children = score.take(np.zeros(len(tokens), np.intp)).write(tokens)
        cold = Score(children.tokens, task, children.n_written)
        best = int(np.argmax(sum(reward.newest(cold).values())))
        score = children.take([best])
    return score


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_beam_of_one_is_greedy(tiny_prior, task):
    reward = rules_and_prior(tiny_prior)
    found = beam(page_of(task), reward, 1)
    assert rows_of(found.score) == rows_of(greedily(reward, page_of(task)))


@pytest.mark.parametrize("floor", [-4.0, -1.0, -0.3])
def test_log_p_counts_as_it_does_in_the_reward(tiny_prior, floor):
    """Behind a primer that differs from voice to voice, with a floor, and with nothing else."""
    task = Task(bars=1, voices=2)
    page = primed(page_of(task), [[14, 26, 1], [0, 30, 31]])
    prior = RewardSum([Term("prior", Likelihood(checkpoint=tiny_prior, floor=floor), 2.0)])
    expected = rows_of(greedily(prior, page))
    assert rows_of(beam(page, prior, 1).score) == expected


def test_a_wider_beam_still_returns_what_the_reward_pays(tiny_prior):
    reward = rules_and_prior(tiny_prior)
    for width in (3, 30):
        found = beam(page_of(Task()), reward, width, n=width)
        assert found.score.batch == width == len(set(rows_of(found.score)))
        np.testing.assert_allclose(found.returns, returns_of(reward, found.score), atol=1e-3)
        assert (np.diff(found.returns) <= 0).all()
        again = beam(page_of(Task()), reward, width, n=width)
        np.testing.assert_array_equal(again.score.tokens, found.score.tokens)


def test_a_beam_goes_on_behind_a_primer(tiny_prior):
    task, reward = TASKS["two voices"], rules_and_prior(tiny_prior)
    page = primed(page_of(task), [[14, 0], [0, 14]])
    every = everything(task)
    begun = (every.tokens[:, :, :2] == page.tokens[:, :, :2]).all(axis=(1, 2))
    expected = np.sort(returns_of(reward, every)[begun])[::-1]
    found = beam(page, reward, PIECES, n=PIECES)
    np.testing.assert_allclose(found.returns, expected, atol=1e-4)


def test_the_first_token_can_be_forced():
    reward, every = build("rl_tuner"), everything(NARROW)
    starts = every.tokens[:, 0, 0]
    for first in (0, 14):
        found = beam(page_of(NARROW), reward, PIECES, first=first)
        assert found.score.tokens[0, 0, 0] == first
        assert found.returns[0] == pytest.approx(returns_of(reward, every)[starts == first].max())
    behind = beam(primed(page_of(NARROW), [14]), reward, 5, first=1)
    assert behind.score.tokens[0, 0, :2].tolist() == [14, 1]


def test_best_known_is_the_best_of_each_first_token():
    reward, every = build("rl_tuner"), everything(TASKS["three pitches"])
    page = page_of(every.task)
    found = best_known(page, reward, PIECES)
    assert (np.diff(found.returns) <= 0).all()
    assert sorted(found.score.tokens[:, 0, 0].tolist()) == [0, 13, 14, 15]
    starts, returns = every.tokens[:, 0, 0], returns_of(reward, every)
    expected = [returns[starts == first].max() for first in found.score.tokens[:, 0, 0]]
    np.testing.assert_allclose(found.returns, expected, atol=1e-4)
    few = best_known(page, reward, PIECES, 2)
    np.testing.assert_array_equal(few.score.tokens, found.score.tokens[:2])
    np.testing.assert_allclose(found.returns, returns_of(reward, found.score), atol=1e-4)
    alone = [beam(page_of(every.task), reward, PIECES, first=f) for f in (0, 13, 14, 15)]
    assert found.compute.cells == sum(each.compute.cells for each in alone)


# -- an idle prior, and a guide ------------------------------------------------------------------


class Refusing(RecurrentPrior):
    """A network that is not to be run."""

    def advance(self, state, tokens):
        raise AssertionError("the network was run")

    def _lines(self, pieces, context, bf16):
        raise AssertionError("the network was run")


def test_a_prior_of_no_weight_is_not_run(tiny_prior):
    silent = Refusing(tiny_prior.net, tiny_prior.codec)
    every = everything(NARROW)
    rules = RewardSum(
        [term for name, term in rules_and_prior(silent).terms.items() if name != "prior"]
    )
    best = returns_of(rules, every).max()
    found = beam(page_of(NARROW), rules_and_prior(silent, weight=0.0), PIECES)
    assert found.compute.tokens == 0
    assert found.returns[0] == pytest.approx(best, abs=1e-4)


class Loud(RecurrentPrior):
    """A network that is sure of its likeliest token."""

    def step(self, state, score):
        logits, state = super().step(state, score)
        return logits * 1e6, state


def test_a_guide_chooses_beginnings_and_not_the_end(tiny_prior):
    reward, loud = build("rl_tuner"), Loud(tiny_prior.net, tiny_prior.codec)
    everywhere = beam(page_of(NARROW), reward, PIECES, guide=loud)
    best = returns_of(reward, everything(NARROW)).max()
    assert everywhere.returns[0] == pytest.approx(best, abs=1e-4)

    led = beam(page_of(Task()), reward, 1, guide=loud)
    tokens = led.score.tokens[:, 0]
    likeliest = tiny_prior.log_probs(led.score).argmax(dim=2)
    assert likeliest[0, :-1].tolist() == tokens[0, :-1].tolist()
    ends = np.repeat(led.score.tokens, 38, axis=0)
    ends[:, 0, -1] = np.arange(38)
    assert led.returns[0] == pytest.approx(returns_of(reward, Score(ends, Task())).max(), abs=1e-4)


def test_a_guide_s_log_probabilities_add_up_along_a_piece(tiny_prior):
    task = Task(bars=1, given=((-1,) * 15 + (14,),))  # the end chooses nothing
    flat = RewardSum([Term("flat", cellwise(lambda score: np.zeros(score.tokens.shape)), 1.0)])
    guided = beam(page_of(task), flat, 7, n=7, guide=tiny_prior)
    prior = RewardSum([Term("prior", Likelihood(checkpoint=tiny_prior))])
    likely = beam(page_of(task), prior, 7, n=7)
    assert sorted(rows_of(guided.score)) == sorted(rows_of(likely.score))


def test_a_state_taken_goes_on_as_one_that_was_never_cut(tiny_prior):
    score, rows = random_pieces(Task(), 5, seed=4), np.array([4, 0, 0, 2])
    page = Score(score.tokens, Task(), written=20)
    _, state = tiny_prior.step(tiny_prior.start(Task(), 5), page)
    taken = tiny_prior.take(state, torch.from_numpy(rows))
    after = page.take(rows).write(score.tokens[rows, 0, 20])
    logits, _ = tiny_prior.step(taken, after)
    torch.testing.assert_close(logits, tiny_prior.step(tiny_prior.start(Task(), 4), after)[0])
