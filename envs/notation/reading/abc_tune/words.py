"""Words among the music of ABC, whose letters may be notes too."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from envs.errors import RefusedError
from envs.notation.reading.abc_tune.tokens import MEANT, scan

# What holds no letters of music.
_SIGN = re.compile(r'"[^"]*"|%.*|\[[A-Za-z]:[^\[\]]*\]|![^!|]*!|\+[^+|\s]+\+|\{[^{}]*\}')
_SOUNDS = frozenset(("note", "chord", "rest", "rests"))


def words_in(line: str, meant: Collection[str] = ()) -> str:
    """Return the first word in a line of music that can be nothing else, '' if there is none.

    A letter without a meaning is a sign of the writer's own if it stands alone before a note, and
    its line has a bar line or goes on in the next.

    Args:
        line: without the spaces around it.
        meant: letters that have a meaning beside those of the standard.
    """
    plain = _SIGN.sub("`", line).strip()
    words, letter = _patterns("".join(sorted(meant)))
    found = words.search(plain)
    if not (found or "|" in plain or "::" in plain or plain.endswith("\\")):
        found = letter.search(plain)
    if found is None:
        return ""
    before = re.search(r"[A-Za-z.]*$", plain[max(0, found.start() - 20) : found.start()])
    behind = re.match(r"[A-Za-z.]*", plain[found.end() : found.end() + 20])
    return "".join(each[0] for each in (before, found, behind) if each)


@lru_cache(64)
def _patterns(meant: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return patterns of words and of letters without a meaning."""
    free = "".join(set("HIJKLMNOPQRSTUVWhijklmnopqrstuvw") - set(MEANT + meant)) or "\0"
    words = (
        rf"[{free}]{{2}}|(?=[H-Wh-w]{{0,2}}[{free}])[H-Wh-w]{{3}}",
        rf"[A-Za-z][{free}](?=[\s|:.,;?!]|$)",  # before no note
        r"(?<![A-Za-z])(?i:coda|fine|end|segue)(?![A-Za-z])",
        r"(?:[A-Za-z]{2}|(?<![A-Za-z.])D\. ?[CS])\.(?!\S|\s*\|)",  # a point before no note
        r"(?<![A-Za-z.])D\. ?S\.|^D\.?[CS]\.?$",
    )
    return re.compile("|".join(words)), re.compile(f"[{free}]")


def may_sound(text: str, meant: Collection[str]) -> bool:
    """Return True if a text can be read as notes or rests; `meant` is as in `words_in`."""
    try:
        kinds = {kind for kind, _ in scan(text)}
    except RefusedError:
        return False
    return not (kinds.isdisjoint(_SOUNDS) or words_in(text, meant))
