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
    """A file that is not read.

    Args:
        reason: may quote the file; characters that cannot be printed are left out, and a long
            reason is cut.
        name: of the file, put before the reason; empty if it is not known yet.
    """

    def __init__(self, reason: str, name: str = "") -> None:
        line = "".join(c for c in reason[:LONGEST] if c.isprintable())
        super().__init__(f"{name!r}: {line}" if name else line)


class RewardError(Exception):
    """A reward function failed or broke the protocol. The message names the term."""
