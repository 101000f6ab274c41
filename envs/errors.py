"""Errors of several rooms, and how messages show what was given."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

DIGITS = 80  # of a whole number that is printed
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = DIGITS + 1


def quoted(value: object) -> str:
    """Somebody's input in a message: its repr, what is long or deep cut short."""
    if isinstance(value, int) and abs(value) >= 10**DIGITS:
        return f"a number of more than {DIGITS} digits"  # Python prints none of thousands
    return _short.repr(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' Did you mean ...?' for the nearest of `known`, else ''."""
    near = difflib.get_close_matches(word[:80], list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


LONGEST = 500  # characters of a refusal


class RefusedError(ValueError):
    """What is wrong with a file, to be told together with its name.

    Args:
        told: may quote the file; what cannot be printed is left out, and what is long is cut.
    """

    def __init__(self, told: str) -> None:
        super().__init__("".join(c for c in told[:LONGEST] if c.isprintable()))


class RewardError(Exception):
    """A reward function failed or broke the protocol. The message names the term."""
