"""Phrases: the parts of a form, with their letters and bars."""

from __future__ import annotations

import re
from dataclasses import dataclass

from envs.errors import quoted
from envs.music.chords import MAX_LINE


@dataclass(frozen=True)
class Phrase:
    """Bars that belong together; phrases with the same letter are variants of each other.

    A phrase without a letter is compared with no other.
    """

    letter: str
    first_bar: int
    bars: int


def parse_phrases(text: str, bars: int) -> tuple[Phrase, ...]:
    """Read the phrases of a plan: 'AABA' (equal lengths), '4+4' (bars of each), 'A4 A4 B8'.

    Raises:
        ValueError: no plan, or its phrases do not fill `bars` bars.
    """
    if len(text) > MAX_LINE:
        raise ValueError(
            f"phrases {quoted(text)}: {len(text)} characters, expected {MAX_LINE} at most"
        )
    numbered = re.search(r"\d", text)
    words = text.replace("+", " ").split() if numbered else re.findall(r"\S'*", text)
    form = r"([A-Za-z]?)'{0,2}(\d{1,2})" if numbered else r"([A-Za-z])'{0,2}()"
    matches = [re.fullmatch(form, word) for word in words]
    if not words or not all(matches):
        raise ValueError(f"phrases {quoted(text)}: expected a plan such as AABA, 4+4 or 'A4 A4 B8'")
    letters = [match[1] for match in matches if match]
    lengths = [int(match[2] or 0) for match in matches if match]
    if not any(lengths):
        if bars % len(words):
            raise ValueError(
                f"phrases {quoted(text)}: {bars} bars cannot be divided into {len(words)} equal "
                "phrases; give the bars of each, such as 'A4 B5'"
            )
        lengths = [bars // len(words)] * len(words)
    if not all(lengths) or sum(lengths) != bars:
        raise ValueError(f"phrases {quoted(text)} have {sum(lengths)} bars, the piece has {bars}")
    firsts = [sum(lengths[:number]) for number in range(len(lengths))]
    return tuple(map(Phrase, letters, firsts, lengths))
