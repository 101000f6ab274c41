"""Search for runs of intervals in a corpus, by a suffix array."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

END = "\0"  # ends each tune, so that no run continues in the next one
Ints = npt.NDArray[np.int64]


class Runs:
    """Texts of tunes with a suffix array (Manber & Myers 1993), which finds words in them.

    Args:
        texts: one for each tune, without the character END.
        step: characters from one interval to the next; words begin and end with an interval.
    """

    def __init__(self, texts: Sequence[str], step: int = 1) -> None:
        self.step = step
        self.text = "".join(text + END for text in texts)
        sizes = np.array([len(text) + 1 for text in texts])
        self.starts = np.cumsum(sizes) - sizes
        self.order = suffix_array(self.text, depth=int(sizes.max()))

    def _range(self, word: str) -> tuple[int, int]:
        """Return the bounds of the suffixes in `order` that begin with a word."""

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
        """Return the places of a word: numbers of the text and of the word's first interval."""
        low, high = self._range(word)
        at = self.order[low:high]
        owner = np.searchsorted(self.starts, at, side="right") - 1
        return owner, (at - self.starts[owner]) // self.step

    def longest(self, text: str) -> tuple[int, int]:
        """Return first interval and length of a text's longest run that occurs in the tunes."""
        first = size = 0  # size in characters
        for start in range(0, len(text), self.step):
            while start + size < len(text) and text[start : start + size + 1] in self:
                first, size = start // self.step, size + 1
        return first, (size + self.step - 1) // self.step


def suffix_array(text: str, depth: int) -> Ints:
    """Return the places of a text, sorted by the suffixes that begin there, by prefix doubling.

    Suffixes that are already in their place are not sorted again (Larsson & Sadakane 1999).

    Args:
        text: at least one character.
        depth: characters that are compared; suffixes that agree in them are in any order.

    Returns:
        int64 (len(text),).
    """
    n = len(text)
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64) + 1
    base = int(codes.max()) + 1
    compared = int(63 / np.log2(base))  # characters that fit in one number
    codes = np.append(codes, np.zeros(compared, np.int64))
    key = np.zeros(n, np.int64)
    for shift in range(compared):
        key = key * base + codes[shift : shift + n]
    order = np.argsort(key)
    first = np.append(True, np.diff(key[order]) > 0)  # begins a group of equal prefixes
    rank = np.empty(n, np.int64)
    rank[order] = np.maximum.accumulate(np.where(first, np.arange(n), 0))
    while compared < depth:
        tied = np.flatnonzero(~(first & np.append(first[1:], True)))
        if not len(tied):
            break
        places = order[tied]
        then = places + compared
        key = rank[places] * (n + 1) + np.where(then < n, rank[np.minimum(then, n - 1)] + 1, 0)
        by_key = np.argsort(key)
        order[tied] = places = places[by_key]
        first[tied] = np.append(True, np.diff(key[by_key]) > 0)
        rank[places] = np.maximum.accumulate(np.where(first[tied], tied, 0))
        compared *= 2
    return order
