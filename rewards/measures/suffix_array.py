"""The longest run of intervals that stands in a corpus, by a suffix array."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

END = "\0"  # stands behind each tune, so that no run goes on into the next
Ints = npt.NDArray[np.int64]


class Runs:
    """Texts, one a tune, and a suffix array (Manber & Myers 1993) that finds words in them.

    Args:
        texts: without the character END.
        step: characters from one interval to the next; words begin and end with an interval.
    """

    def __init__(self, texts: Sequence[str], step: int = 1) -> None:
        self.step = step
        self.text = "".join(text + END for text in texts)
        sizes = np.array([len(text) + 1 for text in texts])
        self.starts = np.cumsum(sizes) - sizes
        self.order = suffix_array(self.text, depth=int(sizes.max()))

    def _range(self, word: str) -> tuple[int, int]:
        """Slice of `order`: the suffixes that begin with a word."""

        def begin(place: int) -> str:
            return self.text[place : place + len(word)]

        low = bisect_left(self.order, word, key=begin)
        if low == len(self.order) or begin(self.order[low]) != word:
            return low, low
        return low, bisect_right(self.order, word, low, key=begin)

    def __contains__(self, word: str) -> bool:
        low, high = self._range(word)
        return low < high

    def places(self, word: str) -> tuple[Ints, Ints]:
        """Each place of a word: number of the text, and of the interval that begins it there."""
        low, high = self._range(word)
        at = self.order[low:high]
        owner = np.searchsorted(self.starts, at, side="right") - 1
        return owner, (at - self.starts[owner]) // self.step

    def longest(self, text: str) -> tuple[int, int]:
        """The longest run of a text that stands in one of ours: first interval, intervals."""
        first = size = 0  # size in characters
        for start in range(0, len(text), self.step):
            while start + size < len(text) and text[start : start + size + 1] in self:
                first, size = start // self.step, size + 1
        return first, (size + self.step - 1) // self.step


def suffix_array(text: str, depth: int) -> Ints:
    """Places of a text in the order of what follows them, by prefix doubling.

    Those already in their place are not sorted again (Larsson & Sadakane 1999).

    Args:
        text: at least one character.
        depth: characters that count; suffixes that agree in so many may stand in any order.

    Returns:
        int64 (len(text),).
    """
    n = len(text)
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64) + 1
    base = int(codes.max()) + 1
    known = int(63 / np.log2(base))  # characters that fit in one number
    codes = np.append(codes, np.zeros(known, np.int64))
    key = np.zeros(n, np.int64)
    for shift in range(known):
        key = key * base + codes[shift : shift + n]
    order = np.argsort(key)
    first = np.append(True, np.diff(key[order]) > 0)  # begins a group that is still equal
    rank = np.empty(n, np.int64)
    rank[order] = np.maximum.accumulate(np.where(first, np.arange(n), 0))
    while known < depth:
        tied = np.flatnonzero(~(first & np.append(first[1:], True)))
        if not len(tied):
            break
        places = order[tied]
        then = places + known
        key = rank[places] * (n + 1) + np.where(then < n, rank[np.minimum(then, n - 1)] + 1, 0)
        by_key = np.argsort(key)
        order[tied] = places = places[by_key]
        first[tied] = np.append(True, np.diff(key[by_key]) > 0)
        rank[places] = np.maximum.accumulate(np.where(first[tied], tied, 0))
        known *= 2
    return order
