"""The plan of a form: phrases, their letters and their bars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envs.errors import quoted
from envs.music.chords import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Phrase:
    """Some bars that belong together; phrases of one letter are variants of each other.

    Without a letter a phrase is neither like nor unlike the others.
    """

    letter: str
    first_bar: int
    bars: int


def parse_phrases(text: str, bars: int) -> tuple[Phrase, ...]:
    """Phrases of a plan: 'AABA' (equal lengths), '4+4' (bars of each), 'A4 A4 B8'.

    Raises:
        ValueError: no plan, or one that does not fill the piece's bars.
    """
    if len(text) > MAX_LINE:
        raise ValueError(
            f"phrases {quoted(text)}: {len(text)} characters, expected {MAX_LINE} at most"
        )
    numbered = re.search(r"\d", text)
    words = text.replace("+", " ").split() if numbered else re.findall(r"\S'*", text)
    form = r"([A-Za-z]?)'{0,2}(\d{1,2})" if numbered else r"([A-Za-z])'{0,2}()"
    found = [re.fullmatch(form, word) for word in words]
    if not words or not all(found):
        raise ValueError(f"phrases {quoted(text)}: expected a plan such as AABA, 4+4 or 'A4 A4 B8'")
    letters = [match[1] for match in found if match]
    lengths = [int(match[2] or 0) for match in found if match]
    if not any(lengths):
        if bars % len(words):
            raise ValueError(
                f"phrases {quoted(text)}: {bars} bars do not fall into {len(words)} equal "
                "phrases; say how many each has, such as 'A4 B5'"
            )
        lengths = [bars // len(words)] * len(words)
    if not all(lengths) or sum(lengths) != bars:
        raise ValueError(f"phrases {quoted(text)} have {sum(lengths)} bars, the piece has {bars}")
    return tuple(_laid_out(letters, lengths))


def _laid_out(letters: Sequence[str], lengths: Sequence[int]) -> list[Phrase]:
    """Phrases one after another."""
    firsts = [sum(lengths[:number]) for number in range(len(lengths))]
    return [Phrase(*each) for each in zip(letters, firsts, lengths, strict=True)]
