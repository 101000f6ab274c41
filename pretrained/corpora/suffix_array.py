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
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.text = "".join(text + END for text in texts)
        sizes = np.array([len(text) + 1 for text in texts])
        self.starts = np.cumsum(sizes) - sizes
        self.order = suffix_array(self.text, depth=int(sizes.max()))

    def _range(self, word: str) -> tuple[int, int]:
        """Return the bounds of the suffixes in `order` that begin with a word."""

        def begin(place: int) -> str:
            return self.text[place : place + len(word)]

        low = bisect_left(self.order, word, key=begin)
        return low, bisect_right(self.order, word, low, key=begin)

    def __contains__(self, word: str) -> bool:
        low, high = self._range(word)
        return low < high

    def places(self, word: str) -> tuple[Ints, Ints]:
        """Return the places of a word: numbers of the text and of the word's first character."""
        low, high = self._range(word)
        at = self.order[low:high]
        owner = np.searchsorted(self.starts, at, side="right") - 1
        return owner, at - self.starts[owner]

    def longest(self, text: str) -> tuple[int, int]:
        """Return first character and length of a text's longest run that occurs in the tunes."""
        first = size = 0
        for start in range(len(text)):
            while start + size < len(text) and text[start : start + size + 1] in self:
                first, size = start, size + 1
        return first, size


def suffix_array(text: str, depth: int) -> Ints:
    """Return the places of a text, sorted by the suffixes that begin there, by prefix doubling.

    Args:
        text: at least one character.
        depth: characters that are compared; suffixes that agree in them are in any order.

    Returns:
        int64 (len(text),).
    """
    size, compared = len(text), 1
    rank = np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64) + 1
    while compared < depth:
        behind = np.append(rank[compared:], np.zeros(compared, np.int64))[:size]
        kinds, rank = np.unique(rank * (rank.max() + 1) + behind, return_inverse=True)
        if len(kinds) == size:
            break
        rank, compared = rank + 1, 2 * compared
    return np.argsort(rank)
