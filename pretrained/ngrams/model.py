"""n-gram baselines: what a model without memory beyond n - 1 tokens reaches on the same split.

Interpolated Witten-Bell smoothing (Witten & Bell 1991): the weight of an order grows with the
number of times its context was seen against the number of different continuations it had.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Context = tuple[int, ...]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def witten_bell(count: Floats | Ints, total: Any, kinds: Any, shorter: Floats) -> Floats:
    """Probability of a token after a context, element by element.

    Args:
        count: how often the token came after the context.
        total: how often the context was seen.
        kinds: how many different tokens came after it.
        shorter: the token's probability after the context without its first token.
    """
    result: Floats = (count + kinds * shorter) / (total + kinds)
    return result


class NGram:
    """An n-gram model of tokens.

    Args:
        order: n; 1 is a unigram.
        vocab: number of tokens.
    """

    def __init__(self, order: int, vocab: int) -> None:
        if order < 1:
            raise ValueError(f"order {order}: expected at least 1")
        self.order = order
        self.vocab = vocab
        self.counts: dict[Context, Counter[int]] = defaultdict(Counter)
        self._cache: dict[Context, npt.NDArray[np.float64]] = {}

    def _padded(self, piece: Iterable[int]) -> list[int]:
        return [self.vocab] * (self.order - 1) + list(piece)

    def fit(self, pieces: Iterable[Sequence[int]]) -> NGram:
        """Count the continuations of every context up to n - 1 tokens."""
        for piece in pieces:
            tokens = self._padded(piece)
            for end in range(self.order - 1, len(tokens)):
                for length in range(self.order):
                    self.counts[tuple(tokens[end - length : end])][tokens[end]] += 1
        self._cache.clear()
        return self

    def probabilities(self, context: Context) -> npt.NDArray[np.float64]:
        """(vocab,) next-token probabilities after a context of at most n - 1 tokens."""
        known = self._cache.get(context)
        if known is not None:
            return known
        shorter = (
            self.probabilities(context[1:]) if context else np.full(self.vocab, 1 / self.vocab)
        )
        seen = self.counts.get(context)
        result = shorter
        if seen:
            count = np.zeros(self.vocab)
            count[list(seen)] = list(seen.values())
            result = witten_bell(count, sum(seen.values()), len(seen), shorter)
        self._cache[context] = result
        return result

    def log_prob(self, piece: Iterable[int]) -> npt.NDArray[np.float64]:
        """Nats (T,) of each token of a piece."""
        tokens = self._padded(piece)
        first = self.order - 1
        chosen = [
            self.probabilities(tuple(tokens[end - first : end]))[tokens[end]]
            for end in range(first, len(tokens))
        ]
        return np.log(chosen)

    def best(self, piece: Iterable[int]) -> list[int]:
        """The likeliest token at each place of a piece, given those before it."""
        tokens = self._padded(piece)
        first = self.order - 1
        return [
            int(self.probabilities(tuple(tokens[end - first : end])).argmax())
            for end in range(first, len(tokens))
        ]


class GramTable:
    """The counts of an n-gram model as sorted arrays: the same nats, many pieces at once.

    A gram of n tokens is one number in base vocab + 2, its last token the lowest digit. Digit
    vocab stands before the beginning of a piece; vocab + 1 is a token outside the vocabulary,
    which gets what a token never seen would get.

    Args:
        order: n.
        vocab: number of tokens.
        grams: int64 [K], the different grams of n tokens in rising order.
        counts: int64 [K], how often each was seen.

    Raises:
        ValueError: the arrays are not that, or the order is too high for 64 bits.
    """

    def __init__(self, order: int, vocab: int, grams: Ints, counts: Ints) -> None:
        self.order, self.vocab, self.base = order, vocab, vocab + 2
        self.grams, self.counts = grams, counts
        if self.base**order > np.iinfo(np.int64).max:
            raise ValueError(f"order {order} with {vocab} tokens: a gram does not fit in 64 bits")
        sound = grams.dtype == counts.dtype == np.int64 and grams.ndim == 1 and grams.size > 0
        sound = sound and grams.shape == counts.shape and counts.min() > 0
        if not sound or (np.diff(grams, prepend=-1) <= 0).any() or grams[-1] >= self.base**order:
            raise ValueError("grams and counts: expected int64 [K], grams rising, counts above 0")
        self._levels = [self._level(length) for length in range(order)]

    @classmethod
    def of(cls, model: NGram) -> GramTable:
        """The counts of a fitted model."""
        rows = [
            (*context, token, count)
            for context, following in model.counts.items()
            if len(context) == model.order - 1
            for token, count in following.items()
        ]
        table = np.array(sorted(rows), np.int64)
        digits = (model.vocab + 2) ** np.arange(model.order, dtype=np.int64)[::-1]
        return cls(model.order, model.vocab, table[:, :-1] @ digits, table[:, -1].copy())

    def _level(self, length: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Grams with `length` tokens before the last, their counts; contexts, totals, kinds."""
        grams, place = np.unique(self.grams % self.base ** (length + 1), return_inverse=True)
        counts = np.bincount(place, self.counts).astype(np.int64)
        contexts, place, kinds = np.unique(
            grams // self.base, return_inverse=True, return_counts=True
        )
        totals = np.bincount(place, counts).astype(np.int64)
        return grams, counts, contexts, totals, kinds

    def log_prob(self, tokens: npt.NDArray[np.integer]) -> Floats:
        """Nats (N, T) of each token of N pieces, 0..vocab + 1, each from its beginning."""
        pieces, length = tokens.shape
        padded = np.full((pieces, self.order - 1 + length), self.vocab, np.int64)
        padded[:, self.order - 1 :] = tokens
        code = np.zeros((pieces, length), np.int64)
        for start in range(self.order):
            code = code * self.base + padded[:, start : start + length]
        # Pieces of one corpus are alike: each different gram is looked up once.
        code, place = np.unique(code, return_inverse=True)
        chance = np.full(len(code), 1 / self.vocab)
        for before, (grams, counts, contexts, totals, kinds) in enumerate(self._levels):
            gram = code % self.base ** (before + 1)
            total = _look_up(contexts, totals, gram // self.base)
            kind = _look_up(contexts, kinds, gram // self.base)
            count = _look_up(grams, counts, gram)
            known = total > 0
            chance[known] = witten_bell(count[known], total[known], kind[known], chance[known])
        nats: npt.NDArray[np.float64] = np.log(chance)[place].reshape(pieces, length)
        return nats


def _look_up(keys: Ints, values: Ints, wanted: Ints) -> Ints:
    """The value of each wanted key, 0 where it is not among the sorted keys."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
