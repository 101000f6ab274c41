"""Hidden bars: windows, pages, fillers that know everything or nothing, and their figures."""

from dataclasses import replace

import numpy as np
import pytest

from envs.music.codec import FIRST_PITCH, UNWRITTEN
from pretrained.corpora.folk import load_corpus
from pretrained.prior import sample
from rewards.measures.hidden_bars import (
    FAKE_FILLERS,
    HIDDEN,
    HiddenBars,
    Joints,
    LikeliestOf,
    filled,
    held_out_bars,
    nats_beside,
    windows,
)
from tests.pretrained.random_infiller import RandomInfiller


@pytest.fixture(scope="module")
def exam():
    tunes = load_corpus().select("test")
    return HiddenBars(list(windows(tunes[:30])), Joints(tunes[30:60])).some(6)


class Oracle:
    """Writes what the tunes have."""

    def __init__(self, exam):
        self.lines = [line for group in exam.groups for line in group.score.tokens]

    def require(self, task):
        pass

    def fill(self, page, n=1, seed=0, temperature=1.0):
        known = page.tokens[0] != UNWRITTEN
        right = [line for line in self.lines if np.array_equal(line[known], page.tokens[0][known])]
        return replaced(page, right[0])


def replaced(page, line):
    score = page
    while not score.finished:
        score = score.write([line[0, score.n_written]])
    return score


def test_a_page_has_all_but_the_hidden_bars(exam):
    for group in exam.groups:
        for bars in HIDDEN:
            start, end = group.hidden(bars)
            assert end - start == 32
            for page, line in zip(group.pages(bars), group.score.tokens, strict=True):
                free = page.tokens[0, 0] == UNWRITTEN
                assert np.flatnonzero(free).tolist() == list(range(start, end))
                assert np.array_equal(page.tokens[0, 0][~free], line[0][~free])


def test_one_who_knows_the_tunes_has_their_figures(exam):
    found, tunes = exam.figures(Oracle(exam)), exam.originals()
    assert found == pytest.approx(tunes)
    assert found["3-4 right"] == found["5-6 right"] == 100


def test_one_who_knows_nothing_has_few_notes_right(exam):
    toy = exam.figures(RandomInfiller(exam.groups[0].score.task.codec))
    held = exam.figures(FAKE_FILLERS["a held note"])
    assert held["3-4 right"] == 0
    assert toy["3-4 right"] < 20
    assert toy["3-4 in"] > exam.originals()["3-4 in"] + 1
    assert "3-4 nats" not in toy


def test_copied_bars_are_those_before(exam):
    for group in exam.groups:
        start, end = group.hidden((3, 4))
        pieces = filled(FAKE_FILLERS["the bars before"], group, (3, 4), 0)
        before = group.score.tokens[:, 0, start - 32 : start]
        assert np.array_equal(pieces[:, start:end], before)


def test_a_prior_that_hears_nothing_ahead_has_the_nats_of_whole_tunes(exam, tiny_prior):
    group = exam.groups[0]
    start, end = group.hidden((5, 6))
    whole = -tiny_prior.log_prob(group.score)[:, 0, start:end].mean(axis=1)
    assert nats_beside(tiny_prior, group, (5, 6)) == pytest.approx(whole, abs=1e-5)


def test_the_likeliest_of_some_draws_is_that(exam, tiny_prior):
    page = next(exam.groups[0].pages((3, 4)))
    drawn = sample(tiny_prior, page.take(np.zeros(12, int)), 7)
    nats = tiny_prior.log_prob(drawn).sum(axis=(1, 2)).reshape(3, 4)
    best = LikeliestOf(tiny_prior, 4).fill(page, 3, 7)
    assert best.batch == 3
    assert tiny_prior.log_prob(best).sum(axis=(1, 2)) == pytest.approx(nats.max(axis=1), abs=1e-4)


def test_parts_of_the_windows_are_all_of_them(exam):
    parts = [exam.some(99, number, 4) for number in range(4)]
    lines = [tuple(line) for p in parts for g in p.groups for line in g.score.tokens[:, 0].tolist()]
    whole = [tuple(line) for group in exam.groups for line in group.score.tokens[:, 0].tolist()]
    assert sorted(lines) == sorted(whole)
    assert sum(group.score.batch for group in exam.some(2).groups) == 2


def test_the_judge_reads_what_is_filled_and_what_follows(exam):
    class Judge:
        def log_prob(self, score):
            nats = np.zeros(score.tokens.shape, np.float32)
            nats[..., score.task.pickup + 32 :] = -2.0
            return nats

    found = replace(exam, judge=Judge()).originals()
    assert found["3-4 judge"] == found["5-6 judge"] == 2.0


def test_shipped_windows_are_held_out():
    tokens = [tune.tokens for tune in load_corpus().select("train")]
    known = {t[t >= FIRST_PITCH].tobytes() for t in tokens}
    exam = held_out_bars()
    assert sum(group.score.batch for group in exam.groups) > 90
    lines = [line for group in exam.groups for line in group.score.tokens[:, 0].astype(np.int16)]
    assert not known & {line[line >= FIRST_PITCH].tobytes() for line in lines}
