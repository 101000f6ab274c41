"""Where bars stay, the network that draws is one that hears them, and the report says which."""

from dataclasses import replace

import numpy as np
import pytest

from agents import compose
from agents.composing import Composer, Request
from agents.composing.demands import keep
from agents.composing.search import beam, best_of, masked, masked_nats
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from pretrained import checkpoint
from pretrained.prior import sample
from rewards.build import build
from tests.helpers import from_the_shell
from tests.pretrained.networks.hearing import hearing

FREE = Task(bars=2, meter="2/4", low="C4", high="E5")
GIVEN = [[14, 1, 1, 1, *[-1] * 8, 21, 1, 1, 1]]
TASK = replace(FREE, given=GIVEN)


@pytest.fixture(scope="module")
def hears():
    return hearing("lstm-attention")


def composer(prior, policy, **settings):
    return Composer(prior, {"in_key": 1.0}, policy=policy, task=FREE, chooses=False, **settings)


def drawn(composer, **asked):
    """The tokens of a melody, and what its report says of the network."""
    (melody,) = composer.compose(seed=5, candidates=1, **asked)
    return melody.score.tokens[0, 0].tolist(), melody.report.network


# -- which network ---------------------------------------------------------------------------------


def test_a_policy_that_is_deaf_says_so(hears, tiny_prior):
    by_prior = drawn(composer(hears, tiny_prior), given=GIVEN, method="prior")
    assert by_prior[1].endswith("hears what is given ahead")
    kept = drawn(composer(hears, tiny_prior), given=GIVEN)
    assert kept[0] != by_prior[0]
    assert "does not hear" in kept[1]


def test_a_policy_that_hears_draws_itself(hears, tiny_prior):
    other = hearing("lstm-attention", seed=9)
    own = drawn(composer(other, hears), given=GIVEN)
    assert own[1].endswith("hears what is given ahead")
    assert own[0] == drawn(composer(hears, tiny_prior), given=GIVEN, method="prior")[0]


def test_nothing_is_said_of_hearing_where_nothing_stays(hears, tiny_prior):
    assert "given" not in drawn(composer(hears, tiny_prior))[1]


def test_the_agent_that_ships_hears():
    (melody,) = Composer.load().compose(bars=2, meter="2/4", given=GIVEN, candidates=1)
    assert melody.report.network == "composer, which hears what is given ahead"


def test_the_masks_of_a_policy_are_not_the_prior_s(hears, tiny_prior):
    behind = composer(hears, tiny_prior, mask=("in_key",))
    free = composer(hears, tiny_prior)
    by_prior = {"given": GIVEN, "method": "prior"}
    assert drawn(behind, **by_prior) == drawn(free, **by_prior)


def test_a_request_may_still_demand_and_choose(hears, tiny_prior):
    request = Request(given=GIVEN, n=3, must=["in_key"], candidates=4, seed=2)
    found = composer(hears, tiny_prior).compose(request)
    assert len(found) == 3
    for melody in found:
        assert not build("in_key")(melody.score)[:, TASK.free].any()
        assert (melody.score.tokens[0][~TASK.free] == TASK.page[~TASK.free]).all()
        assert f"% drawn from {melody.report.network}" in melody.abc()


def test_the_verb_says_which_network_drew(hears, tmp_path, monkeypatch, capsys):
    prior = tmp_path / "mine.safetensors"
    checkpoint.save(prior, hears)
    theme = tmp_path / "theme.abc"
    theme.write_text(abc(score_from_text("C4 D4 E4 F4 G4:4 E4 D4 C4 D4 C4:4"), 0))
    words = ["--rewrite", f"{theme}:2", "-n", "1", "--no-sound", "--no-pictures"]
    call = from_the_shell(compose.main, monkeypatch, capsys)
    status, said, _ = call(*words, "--prior", prior, "--out", tmp_path / "rewritten")
    assert status == 0
    assert "network: composer, which hears what is given ahead\n" in said
    status, said, _ = call("--bars", "1", "-n", "1", *words[4:], "--out", tmp_path / "free")
    assert status == 0
    assert "network: composer\n" in said


# -- every way to search ---------------------------------------------------------------------------


def test_what_a_beam_pays_is_what_the_piece_is_worth(hears):
    reward = build({"prior": {"checkpoint": hears, "floor": -50.0}, "in_key": 0.5})
    found = beam(Score.page(TASK, 1), reward, 40, n=5)
    np.testing.assert_allclose(found.returns, reward(found.score).sum(axis=(1, 2)), atol=1e-4)
    others = reward(sample(hears, Score.page(TASK, 40), seed=1)).sum(axis=(1, 2))
    assert found.returns[0] >= others.max() - 1e-4


def test_all_searches_hear_the_same(hears):
    page, rules = Score.page(TASK, 6), build({"leap_recovery": 1.0})
    reward = build({"prior": {"checkpoint": hears, "floor": -50.0}})
    alone = sample(hears, page, seed=4)
    best = best_of(hears, page, reward, 1, seed=4)
    assert np.array_equal(best.score.tokens, alone.tokens)
    np.testing.assert_allclose(best.returns, hears.log_prob(alone).sum(axis=(1, 2)), atol=1e-3)
    behind = masked(hears, page, rules, seed=4)
    nats = masked_nats(hears, behind.score, rules)
    free = np.broadcast_to(TASK.free, nats.shape)
    assert (nats[free] >= hears.log_prob(behind.score)[free] - 1e-4).all()
    kept = keep(hears, page.take([0]), {}, 4, seed=4)
    assert kept.count >= 4
    assert (kept.pieces.tokens[:, ~TASK.free] == TASK.page[~TASK.free]).all()
