"""Forgetting of the shipped corpus, and the copy check against the tunes that were learned."""

import numpy as np
import pytest
import torch

from envs.music.codec import Codec
from envs.music.task import Task
from pretrained.checkpoint import load
from pretrained.corpora.folk import load_corpus
from pretrained.corpora.tunes import GridTune
from pretrained.training import side_effects
from pretrained.training.side_effects import copying, forgetting


class Scribe:
    """A prior that writes one line again and again."""

    codec = Codec()

    def __init__(self, tokens):
        self.tokens = tokens

    def start(self, task, batch):
        self.task = task
        return batch

    def step(self, state, score):
        logits = torch.full((state, self.codec.vocab), -1e9)
        logits[:, int(self.tokens[score.n_written])] = 0.0
        return logits, state


@pytest.fixture(scope="module")
def long_tunes():
    tunes = [t for t in load_corpus().select("train") if t.meter == (6, 8) and not t.offset]
    return [t for t in tunes if len(t.tokens) >= 96 and (t.tokens[:96] > 1).sum() > 30][:20]


def test_a_prior_that_copies_is_found(long_tunes):
    source = long_tunes[4]
    found = copying(Scribe(source.tokens), long_tunes)
    assert found.near == found.pieces == side_effects.PIECES
    assert found.closest.run == (source.tokens[:96] > 1).sum()
    assert source.title.rstrip(".") in found.closest.message


def test_a_prior_that_does_not_copy_is_not_accused(long_tunes):
    scale = np.where(np.arange(200) % 2, 1, 14 + np.arange(200) // 2 % 3)  # up and up again
    found = copying(Scribe(scale), long_tunes)
    assert found.near == 0
    assert found.closest.run < 10


def test_samples_are_in_the_usual_key_and_metre(long_tunes):
    scribe = Scribe(long_tunes[0].tokens)
    minor = [t for t in long_tunes if t.tonic == 9]
    major = [t for t in long_tunes if t.tonic == 0]
    copying(scribe, [*minor[:1], *major[:2]])
    assert scribe.task.key.written_mode == "major"
    copying(scribe, [*minor[:2], *major[:1]])
    assert (scribe.task.key.written_mode, str(scribe.task.meter), scribe.task.bars) == (
        "minor", "6/8", 8,
    )  # fmt: skip


def test_tunes_that_are_no_whole_pieces_are_compared_in_the_default_key(long_tunes):
    tune = long_tunes[0]
    odd = GridTune(tune.tokens, tune.position // 2, tune.meter, tune.tonic, "Odd")
    scribe = Scribe(tune.tokens)
    found = copying(scribe, [odd])
    assert scribe.task == Task(bars=8, low=Codec.low, high=Codec.high)
    assert "Odd" in found.closest.message


def test_nothing_is_forgotten_by_the_same_prior_and_known_tunes_do_not_count(monkeypatch):
    corpus = load_corpus()
    few = {"train": corpus.select("train")[:30], "test": corpus.select("test")[:9]}

    class Few:
        select = staticmethod(few.__getitem__)

    monkeypatch.setattr(side_effects, "load_corpus", lambda *path: Few)
    prior = load("folk")
    own = [few["train"][3], few["test"][2], few["test"][5]]
    lost = forgetting(prior, prior, own)
    assert lost.before == lost.after
    assert (lost.tunes, lost.known) == (7, 1)
    assert 2.0 < lost.before < 3.2
    assert forgetting(prior, prior, corpus.select("valid")[:2]).tunes == 9
