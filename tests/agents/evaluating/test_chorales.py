"""Counts on the pages of chorales, with a tiny network."""

import math
from dataclasses import replace

import numpy as np
import pytest

from agents.evaluating.chorales import empty_page, write_on
from agents.evaluating.sampling import sample_many
from pretrained.corpora.chorales import CODEC, read_chorale
from rewards.build import build
from rewards.measures.voice_leading import VoiceLeading, voice_leading
from tests.pretrained.corpora.own_chorales import chorale, tune
from tests.pretrained.networks.singing import singing


@pytest.fixture(scope="module")
def page():
    return replace(empty_page(read_chorale(chorale(tune(1, 2)), "one")), bars=1, phrases="")


def test_a_page_is_that_of_the_chorale_with_a_range_for_each_voice():
    piece = read_chorale(chorale(tune(1, 4)), "one")
    page = empty_page(piece)
    assert page.spans == ((60, 81), (55, 74), (48, 69), (40, 62))
    assert replace(page, ranges="", low=piece.task.low, high=piece.task.high) == piece.task
    assert empty_page(piece, "") == piece.task


def test_counts_are_of_the_agent_s_pieces_and_its_divergence_is_measured(page):
    prior, other = singing(codec=CODEC), singing(seed=1, codec=CODEC)
    found = write_on(other, [page, page], each=2, seed=3, prior=prior)
    scores = [sample_many(other, page, 2, 3 + n) for n in (0, 1)]
    assert found.counts == sum(map(voice_leading, scores), VoiceLeading())
    nats = np.concatenate([other.log_prob(s) - prior.log_prob(s) for s in scores])
    assert found.kl == pytest.approx(float(nats.sum()) / (4 * page.cells), rel=1e-4)
    assert found.kl > 0
    assert write_on(prior, [page], prior=prior).kl == pytest.approx(0, abs=1e-5)
    assert math.isnan(write_on(prior, [page]).kl)


def test_a_mask_is_kept(page):
    prior = singing(codec=CODEC)
    free = write_on(prior, [page], each=6).counts
    held = write_on(prior, [page], each=6, mask=build({"moving_pairs": -1})).counts
    assert free.moving > 20 * held.moving
