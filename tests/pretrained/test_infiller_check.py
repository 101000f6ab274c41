"""Infillers that break a promise are caught by `check_infiller`."""

import numpy as np
import pytest

from envs.music.codec import HOLD, Codec
from envs.music.score import Score
from pretrained.infiller_check import InfillerError, check_infiller
from tests.pretrained.random_infiller import RandomInfiller


class Wrapped(RandomInfiller):
    """An infiller whose finished pieces are changed."""

    def changed(self, tokens, page):
        return tokens

    def fill(self, page, n=1, seed=0, temperature=1.0):
        if n < 1 or not temperature > 0 or page.batch != 1 or page.finished:
            raise ValueError("expected a page, n from 1 and a temperature above 0")
        tokens = super().fill(page, n, seed, temperature).tokens.copy()
        return Score(self.changed(tokens, page), page.task)


class ChangesGiven(Wrapped):
    def changed(self, tokens, page):
        given = page.tokens[0] != -1
        tokens[:, given] = np.where(tokens[:, given] == 0, 5, 0)
        return tokens


class HoldsNothing(Wrapped):
    def changed(self, tokens, page):
        return np.where(page.tokens == -1, HOLD, tokens)


class GoesTooLow(Wrapped):
    def changed(self, tokens, page):
        return np.where((page.tokens == -1) & (tokens > HOLD), 2, tokens)


class IsDeafToSeeds(Wrapped):
    def fill(self, page, n=1, seed=0, temperature=1.0):
        return super().fill(page, n, 1, temperature)


class TakesAll(RandomInfiller):
    def fill(self, page, n=1, seed=0, temperature=1.0):
        return super().fill(page[0:1], max(n, 1), seed, temperature if temperature > 0 else 1.0)


def test_one_that_keeps_the_protocol_passes():
    check_infiller(Wrapped(Codec()))


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (ChangesGiven, "given"),
        (HoldsNothing, "hold"),
        (GoesTooLow, "range"),
        (IsDeafToSeeds, "seed"),
        (TakesAll, "took"),
    ],
)
def test_broken_promises_are_named(kind, word):
    with pytest.raises(InfillerError, match=word):
        check_infiller(kind(Codec()))


def test_what_is_no_infiller_is_named():
    with pytest.raises(InfillerError, match="fill"):
        check_infiller(object())
