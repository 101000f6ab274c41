"""n-gram baselines: what a model without memory beyond n - 1 tokens reaches on the same split.

Interpolated Witten-Bell smoothing (Witten & Bell 1991): the weight of an order grows with the
number of times its context was seen against the number of different continuations it had.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Context = tuple[int, ...]


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
            total, kinds = sum(seen.values()), len(seen)
            result = kinds * shorter
            for token, count in seen.items():
                result[token] += count
            result = result / (total + kinds)
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
