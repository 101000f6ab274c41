"""Shared by the verbs: reading arguments, errors as one line, folders for output."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import TypeVar

import gymnasium.error
import tyro

from agents.settings.spellings import read_words
from envs.errors import RewardError

T = TypeVar("T")
STDERR = 2  # number of its file
LONGEST = 1000  # characters of an error; it may quote what was given
# What a person can cause and mend; anything else is a fault of ours and shows its traceback.
EXPECTED = (ValueError, TypeError, OSError, RewardError, gymnasium.error.Error)


def parse(kind: type[T], command: str, description: str | None) -> T:
    """Return a dataclass from the command line; `--help` and bad arguments end the program."""
    words = read_words(sys.argv[1:], signature(kind).parameters)
    return tyro.cli(kind, args=words, prog=f"python -m agents.{command}", description=description)


def run(action: Callable[[], int | None]) -> None:
    """Do it; errors a person can mend end the program with one line and status 2."""
    try:
        sys.exit(action() or 0)
    except EXPECTED as error:
        message = " ".join(in_words(error).split()) or type(error).__name__
    except KeyboardInterrupt:
        message = "stopped"
    message = plain(message)
    message = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def in_words(error: BaseException) -> str:
    """Return the text of an error, without the number that the system has for it."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def note(text: str) -> None:
    """Print a note beside the output of a verb."""
    print(plain(f"note: {text}"), file=sys.stderr)


def tell_changes(changed: Sequence[str]) -> None:
    """Note what a run did not begin with, where that does no more than change figures."""
    for name in changed:
        note(f"{name} is not what the run began with")


def learn_chorales(prior: object) -> None:
    """Have the prior "chorale" made if it is asked for and not there: once, in minutes.

    It shows its progress on stderr and is kept in the cache folder.

    Raises:
        OSError: it could not be made; the reason stands above.
    """
    from pretrained.checkpoint import CHORALE, CHORALE_COMMAND, locate

    if prior != CHORALE:
        return
    try:
        locate(CHORALE)
    except FileNotFoundError:
        note(
            f"the prior {CHORALE!r} is made now, once, in about four minutes; it learns Bach's "
            "chorales from the installed music21, whose encodings are not for commercial use"
        )
        words = CHORALE_COMMAND.split()[1:]
        done = subprocess.run([sys.executable, *words], stdout=STDERR, check=False)
        if done.returncode:
            raise OSError(
                f"the prior {CHORALE!r} was not made, see above; mend that, then: {CHORALE_COMMAND}"
            ) from None


def counted(n: int, voices: int) -> str:
    """Return a number of composed pieces in words, 2 melodies or 1 piece."""
    one, many = ("melody", "melodies") if voices == 1 else ("piece", "pieces")
    return f"{n} {one if n == 1 else many}"


def plain(words: str) -> str:
    """Return words as they can be shown: what a terminal would obey is spelled out, as \\x1b."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)


def check_new_directory(path: Path) -> None:
    """Raise an error if a folder for output cannot be made, or has something in it.

    Raises:
        ValueError: it holds files already, or it or a folder above it is a file.
        OSError: there is no right to write.
    """
    above = next((each for each in (path, *path.parents) if os.path.lexists(each)), Path())
    if not above.is_dir():
        raise ValueError(f"{path} cannot be made: {above} is no folder; name another")
    if above == path and any(path.iterdir()):
        raise ValueError(f"{path} exists and is not empty; nothing is overwritten, name another")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OSError(f"{path} cannot be made: nothing can be written to {above}; name another")


def new_directory(path: Path) -> Path:
    """Make a folder for output; one with something in it is refused.

    Raises:
        ValueError: it holds files already.
    """
    check_new_directory(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"{path} could not be made ({error.strerror})") from error
    return path
