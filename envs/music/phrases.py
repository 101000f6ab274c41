"""Phrases: the parts of a form, with their letters and bars."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from envs.errors import quoted
from envs.music.chords import MAX_LINE

USUAL = 4  # bars of a phrase


@dataclass(frozen=True)
class Phrase:
    """Bars that belong together; phrases with the same letter are variants of each other.

    A phrase without a letter is compared with no other. Primes, as in A', mark a varied return.
    """

    letter: str
    first_bar: int
    bars: int
    primes: int = 0


def parse_phrases(text: str, bars: int) -> tuple[Phrase, ...]:
    """Read the phrases of a plan: 'AABA' (equal lengths), '4+4' (bars of each), "A4 A'4 B8".

    Raises:
        ValueError: no plan, or its phrases do not fill `bars` bars.
    """
    if len(text) > MAX_LINE:
        raise ValueError(
            f"phrases {quoted(text)}: {len(text)} characters, expected {MAX_LINE} at most"
        )
    numbered = re.search(r"\d", text)
    words = text.replace("+", " ").split() if numbered else re.findall(r"\S'*", text)
    form = r"([A-Za-z]?)('{0,2})(\d{1,2})" if numbered else r"([A-Za-z])('{0,2})()"
    matches = [re.fullmatch(form, word) for word in words]
    if not words or not all(matches):
        raise ValueError(f"phrases {quoted(text)}: expected a plan such as AABA, 4+4 or 'A4 A4 B8'")
    letters = [match[1] for match in matches if match]
    primes = [len(match[2]) for match in matches if match]
    lengths = [int(match[3] or 0) for match in matches if match]
    if not any(lengths):
        if bars % len(words):
            raise ValueError(
                f"phrases {quoted(text)}: {bars} bars cannot be divided into {len(words)} equal "
                f"phrases; ask for a multiple of {len(words)} bars, or give the bars of each "
                "phrase, such as 'A4 B5'"
            )
        lengths = [bars // len(words)] * len(words)
    if not all(lengths) or sum(lengths) != bars:
        raise ValueError(f"phrases {quoted(text)} have {sum(lengths)} bars, the piece has {bars}")
    firsts = [sum(lengths[:number]) for number in range(len(lengths))]
    return tuple(map(Phrase, letters, firsts, lengths, primes))


def phrase_bars(text: str) -> int:
    """Return the number of bars that a plan names, 0 if it names none or cannot be read."""
    lengths = [re.search(r"\d{1,2}$", word) for word in text.replace("+", " ").split()]
    return sum(int(length[0]) for length in lengths if length) if all(lengths) else 0


def usual_bars(text: str) -> int:
    """Return four bars for each phrase of a plan that names no bars, such as AABA; 0 for others."""
    return 0 if re.search(r"\d", text) else USUAL * len(re.findall(r"[A-Za-z]'*", text))


def cells_before_ending(bars: int, bar_cells: int) -> int:
    """Return the cells of a phrase before its ending: a quarter of its bars, or half of one bar."""
    return (bars - max(1, bars // 4)) * bar_cells if bars > 1 else bar_cells // 2


def returning_cells(plan: Sequence[Phrase], bar_cells: int) -> list[int]:
    """Return for each cell the earlier cell that comes back in it, -1 for none.

    A phrase with the letter and the primes of an earlier one returns but for its ending, the last
    quarter of its bars, at least one, and the second half of a phrase of one bar. A phrase with
    the letter alone, as A' after A, begins like it: the first half of the shorter one returns.
    """
    cells = [-1] * (sum(phrase.bars for phrase in plan) * bar_cells)
    for number, phrase in enumerate(plan):
        earlier = [other for other in plan[:number] if other.letter == phrase.letter != ""]
        same = [other for other in earlier if other.primes == phrase.primes]
        for model in (same or earlier)[:1]:
            bars = min(model.bars, phrase.bars)
            count = cells_before_ending(bars, bar_cells)
            if not same and bars > 1:
                count = bars // 2 * bar_cells
            for place in range(count):
                cell = model.first_bar * bar_cells + place
                first = cell if cells[cell] < 0 else cells[cell]
                cells[phrase.first_bar * bar_cells + place] = first
    return cells
