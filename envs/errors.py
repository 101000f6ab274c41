"""Errors that several packages raise, and helpers for their messages."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

DIGITS = 80  # most digits of a number that are printed
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = DIGITS + 1


def quoted(value: object) -> str:
    """Return the repr of a user's value for a message; long or deep ones are shortened."""
    if isinstance(value, int) and abs(value) >= 10**DIGITS:
        return f"a number of more than {DIGITS} digits"  # Python refuses to print thousands
    return _short.repr(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ' Did you mean ...?' with the name most similar to `word`, '' if none is similar."""
    near = difflib.get_close_matches(word[:80], list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """Return the error for a name that is not among those known, such as an algorithm's."""
    names = list(known)
    near = did_you_mean(str(name), names)
    return ValueError(f"unknown {kind} {quoted(name)}.{near} Known: {', '.join(names)}")


LONGEST = 500  # characters of a refusal


class RefusedError(ValueError):
    """A file that cannot be used.

    Args:
        reason: may quote the file; it is cut to LONGEST characters, unprintable ones are removed.
        name: name of the file, put before the reason; '' if it is not known yet.
        tunes: how many the file holds, if one of several has to be chosen; else 0.

    Attributes:
        reason: as it is told, without the name.
        tunes: as given.
    """

    def __init__(self, reason: str, name: str = "", tunes: int = 0) -> None:
        self.reason = "".join(c for c in reason[:LONGEST] if c.isprintable())
        self.tunes = tunes
        super().__init__(f"{name!r}: {self.reason}" if name else self.reason)


class UnreadError(RefusedError):
    """A file whose reading came to no end, so that it may be readable another time.

    It took more time or memory than is allowed, ended the process that reads, or cannot be opened.
    """


class RewardError(Exception):
    """A reward function failed or broke the protocol. The message names the term."""
