"""n-gram baselines: what a model without memory beyond n - 1 tokens reaches on the same split.

Interpolated Witten-Bell smoothing (Witten & Bell 1991): the weight of an order grows with the
number of times its context was seen against the number of different continuations it had.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class NGram:
    """An n-gram model of tokens, its counts in sorted arrays.

    A gram of n tokens is one number in base vocab + 2, its last token the lowest digit. Digit
    vocab stands before the beginning of a piece; vocab + 1 is a token outside the vocabulary,
    which gets what a token never seen would get.

    Args:
        order: n; 1 is a unigram.
        vocab: number of tokens.
        grams: int64 [K], the different grams of n tokens in rising order.
        counts: int64 [K], how often each was seen.

    Raises:
        ValueError: the arrays are not that, or the order is below 1 or too high for 64 bits.
    """

    def __init__(self, order: int, vocab: int, grams: Ints, counts: Ints) -> None:
        self.order, self.vocab, self.base = order, vocab, vocab + 2
        self.grams, self.counts = grams, counts
        if order < 1 or self.base**order > np.iinfo(np.int64).max:
            raise ValueError(
                f"order {order} with {vocab} tokens: expected at least 1 and grams of 64 bits"
            )
        sound = grams.dtype == counts.dtype == np.int64 and grams.ndim == 1 and grams.size > 0
        sound = sound and grams.shape == counts.shape and counts.min() > 0
        if not sound or (np.diff(grams, prepend=-1) <= 0).any() or grams[-1] >= self.base**order:
            raise ValueError("grams and counts: expected int64 [K], grams rising, counts above 0")
        self._levels = [self._level(length) for length in range(order)]

    @classmethod
    def of(cls, order: int, vocab: int, pieces: Iterable[npt.ArrayLike]) -> NGram:
        """Return a model of the continuations in some pieces of up to n - 1 tokens."""
        codes = [_grams(np.asarray(piece)[None], order, vocab)[0] for piece in pieces]
        grams, counts = np.unique(np.concatenate(codes), return_counts=True)
        return cls(order, vocab, grams, counts.astype(np.int64))

    def _level(self, length: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Grams with `length` tokens before the last, their counts; contexts, totals, kinds."""
        grams, place = np.unique(self.grams % self.base ** (length + 1), return_inverse=True)
        counts = np.bincount(place, self.counts).astype(np.int64)
        contexts, place, kinds = np.unique(
            grams // self.base, return_inverse=True, return_counts=True
        )
        totals = np.bincount(place, counts).astype(np.int64)
        return grams, counts, contexts, totals, kinds

    def chances(self, grams: Ints) -> Floats:
        """Return the probability (N,) of the last token of each gram after those before it."""
        chance = np.full(len(grams), 1 / self.vocab)
        for before, (seen, counts, contexts, totals, kinds) in enumerate(self._levels):
            gram = grams % self.base ** (before + 1)
            total = _look_up(contexts, totals, gram // self.base)
            kind = _look_up(contexts, kinds, gram // self.base)
            count = _look_up(seen, counts, gram)
            # (count + kinds * the shorter context's chance) / (total + kinds), where it was seen
            np.divide(count + kind * chance, total + kind, out=chance, where=total > 0)
        return chance

    def log_prob(self, tokens: npt.NDArray[np.integer]) -> Floats:
        """Return nats (N, T) of each token of N pieces, 0..vocab + 1, each from its beginning."""
        # Pieces of one corpus are alike: each different gram is looked up once.
        grams, place = np.unique(_grams(tokens, self.order, self.vocab), return_inverse=True)
        nats: Floats = np.log(self.chances(grams))[place].reshape(tokens.shape)
        return nats

    def best(self, tokens: npt.NDArray[np.integer]) -> Ints:
        """Return the likeliest token (N, T) at each place of N pieces, given those before it."""
        grams, place = np.unique(
            _grams(tokens, self.order, self.vocab) // self.base, return_inverse=True
        )
        every = grams[:, None] * self.base + np.arange(self.vocab)
        likeliest = self.chances(every.reshape(-1)).reshape(every.shape).argmax(axis=1)
        best: Ints = likeliest[place].reshape(tokens.shape)
        return best


def _grams(tokens: npt.NDArray[np.integer], order: int, vocab: int) -> Ints:
    """Return the grams (N, T) that end at each token of N pieces."""
    pieces, length = tokens.shape
    padded = np.full((pieces, order - 1 + length), vocab, np.int64)
    padded[:, order - 1 :] = tokens
    grams = np.zeros((pieces, length), np.int64)
    for start in range(order):
        grams = grams * (vocab + 2) + padded[:, start : start + length]
    return grams


def _look_up(keys: Ints, values: Ints, wanted: Ints) -> Ints:
    """Return the value of each wanted key, 0 where it is not among the sorted keys."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
