"""An infiller that a reward guides."""

import itertools

import numpy as np
import pytest

from agents.composing import Composer, Request
from agents.composing.infilling import guidance
from agents.composing.infilling.guidance import Guidance, best_guided, guided
from envs.music.codec import FIRST_PITCH, HOLD, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.diffusion.unmasking import Way
from rewards.build import build
from rewards.functions import cellwise
from rewards.objective import Objective
from tests.pretrained.diffusion.tiny import tiny_model
from tests.pretrained.random_infiller import RandomInfiller

TASK = Task(bars=1, meter="1/4", low=60, high=61)
PAGE = Score.page(TASK, 1)
TOKENS = (0, 1, TASK.codec.token(60), TASK.codec.token(61))


@cellwise
def high(score):
    """1 for each onset of the higher pitch."""
    return (score.onset & (score.pitch == 61)).astype(np.float32)


def every_piece():
    lines = [
        line
        for line in itertools.product(TOKENS, repeat=TASK.cells)
        if all(
            token != HOLD or max(line[:at], default=0) >= FIRST_PITCH
            for at, token in enumerate(line)
        )
    ]
    return Score(np.array(lines)[:, None], TASK)


class Independent:
    """An infiller whose cells are independent of each other; so its conditionals agree."""

    def __init__(self, scores):
        self.codec, self.scores = Codec(), scores  # (cells, vocab)
        self.calls = 0

    def require(self, task):
        """Take every task."""

    def logits(self, tokens, task):
        self.calls += 1
        return np.broadcast_to(self.scores, (*tokens.shape, self.scores.shape[-1]))

    def fill(self, page, n=1, seed=0, temperature=1.0, way=None):
        start = TASK.codec.token(60)
        return Score(np.full((n, 1, TASK.cells), start), page.task)


def test_single_cells_are_drawn_from_the_model_times_exp_of_the_reward():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(TASK.cells, TASK.codec.vocab)).astype(np.float32)
    pieces, reward = every_piece(), build({high: 1.0})
    weight = scores[np.arange(TASK.cells), pieces.tokens[:, 0]].sum(axis=1) + reward(pieces).sum(
        axis=(1, 2)
    )
    chance = np.exp(weight - weight.max())
    chance /= chance.sum()
    for run in (0.0, 0.7):
        settings = Guidance(calls=30, run=run, warm=1.0, tries=8)
        drawn = guided(Independent(scores), PAGE, reward, 600, 3, settings=settings).score.tokens
        counts = (drawn[:, None, 0] == pieces.tokens[None, :, 0]).all(axis=2).sum(axis=0)
        assert counts.sum() == 600
        error = (counts - 600 * chance) / np.sqrt(600 * chance + 1)
        assert np.abs(error).max() < 5


def test_more_calls_are_paid_more_and_a_large_c_changes_little():
    model, page, reward = tiny_model(), Score.page(Task(bars=1), 1), build({"in_key": 5.0})
    few, many = (
        guided(model, page, reward, 8, 1, settings=Guidance(calls=calls)).returns.mean()
        for calls in (2, 60)
    )
    assert many > few
    idle = guided(model, page, Objective(reward, 1e6).scaled, 8, 1, settings=Guidance(calls=60))
    assert reward(idle.score).sum(axis=(1, 2)).mean() < many


def test_calls_are_bounded_and_counted():
    model, page = Independent(np.zeros((TASK.cells, TASK.codec.vocab), np.float32)), PAGE
    found = guided(model, page, build({high: 1.0}), 5, settings=Guidance(calls=30))
    assert model.calls == 30 - TASK.cells
    assert found.compute.tokens == 30 * 5 * TASK.steps


def test_given_cells_stay_and_seeds_decide():
    given = ((TOKENS[2], -1, -1, TOKENS[3]),)
    task = Task(bars=1, meter="1/4", low=60, high=61, given=given)
    page, reward, settings = Score.page(task, 1), build({high: 1.0}), Guidance(calls=20)
    one, two, other = (
        guided(tiny_model(), page, reward, 6, seed, settings=settings).score.tokens
        for seed in (1, 1, 2)
    )
    assert (one[:, 0, [0, 3]] == [TOKENS[2], TOKENS[3]]).all()
    assert (one == two).all()
    assert (one != other).any()


def test_demands_count_before_the_reward_and_are_kept():
    page = Score.page(Task(bars=1, key="D major"), 1)
    demands = build({"in_key": 1.0}).terms
    found = best_guided(
        tiny_model(), page, demands, build({"in_key": -9.0}), 2, 4, settings=Guidance(calls=80)
    )
    assert (build({"in_key": 1.0})(found.score) == 0).all()


def test_what_cannot_be_guided_is_refused():
    page = Score.page(Task(bars=1), 1)
    with pytest.raises(ValueError, match="diffusion"):
        guided(RandomInfiller(Codec()), page, build({"in_key": 1.0}), 1)
    with pytest.raises(ValueError, match="rule"):
        guided(tiny_model(), page, build({"prior": {"checkpoint": "folk"}}), 1)
    with pytest.raises(ValueError, match="calls"):
        Guidance(calls=0)
    with pytest.raises(ValueError, match="diffusion"):
        Composer("folk", {"in_key": 1.0}).compose(Request(bars=1, method="guided-infill"))


def test_a_composer_guides_by_its_reward():
    composer = Composer(tiny_model(), {"in_key": 1.0})
    request = Request(bars=1, n=2, candidates=2, calls=40, method="guided-infill", key="D major")
    melodies = composer.compose(request)
    assert len(melodies) == 2
    assert [melody.report.method for melody in melodies] == ["guided-infill"] * 2
    assert all("key D major" in melody.report.kept for melody in melodies)
    for melody in melodies:
        pitches = melody.score.pitch[melody.score.onset]
        assert {pitch % 12 for pitch in pitches.tolist()} <= {1, 2, 4, 6, 7, 9, 11}


def test_pieces_do_not_depend_on_how_many_are_led_together(monkeypatch):
    model, page, reward = tiny_model(), Score.page(Task(bars=1), 1), build({"in_key": 5.0})
    ways = {"seed": 1, "settings": Guidance(calls=20)}
    together = guided(model, page, reward, 5, **ways)
    monkeypatch.setattr(guidance, "TRIED", 1)
    alone = guided(model, page, reward, 5, **ways)
    assert (alone.score.tokens == together.score.tokens).all()
    assert alone.compute.tokens == together.compute.tokens


def test_an_infiller_tells_what_it_reads():
    model = tiny_model()
    page = Score.page(Task(bars=1), 1)
    assert model.cells_read(page) == 16 * 16
    model.way = Way(calls=4)
    assert model.cells_read(page) == 4 * 16
