"""Words of a command line as people type and paste them, turned into those that the verbs read.

Curly quotes, long dashes, musical signs and blanks of a web page are replaced, and flags of
Stable-Baselines3 and its zoo are renamed where ours mean the same, else answered.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from envs.errors import quoted

CLOSING = {"“": "”", "”": "”", "„": "“”", "«": "»", "‘": "’", "‚": "‘’"}  # of each opening quote
INVISIBLE = "\u00ad\u200b\u200e\u200f\u2060\ufeff"
BLANKS = "\u00a0\u2007\u2009\u202f"
SIGNS = str.maketrans(
    {"♯": "#", "♭": "b", "\u2011": "-", "\u2212": "-"}
    | dict.fromkeys(INVISIBLE, "")
    | dict.fromkeys(BLANKS, " ")
)
PATHS = ("--out", "--runs", "--name", "--config", "--resume", "--soundfont", "--prior", "--start")
LOCKS = ("--lock", "--rewrite")  # a path, a colon and bars
_OTHER = tomllib.loads(Path(__file__).with_name("other_flags.toml").read_text("utf-8"))
SAME: dict[str, str] = _OTHER["same"]
ANSWERS = {flag: str(each["says"]) for each in _OTHER["answer"] for flag in each["flags"]}


def read_words(words: Iterable[str], flags: Iterable[str]) -> list[str]:
    """Return the words of a command line as a verb with these flags reads them.

    The name of an existing file, before a colon too, and the path that a flag takes stay as they
    are but for quotes around them.

    Raises:
        ValueError: a quote that is not closed, or another library's flag; the message names ours.
    """
    own = {f"--{name.replace('_', '-')}" for name in flags}
    found: list[str] = []
    for word in _without_quotes(list(words)):
        path = _path_of(word, found[-1] if found else "")
        if path:
            found.append(path + _plain(word[len(path) :]))
        else:
            found += [_own_flag(each, own) for each in _parted(_plain(word))]
    return found


def _path_of(word: str, flag: str) -> str:
    """Return the beginning of a word that is a path, before the tune and bars; empty if none is."""
    name, equals, value = word.partition("=")
    if equals and name in PATHS + LOCKS:
        return name + equals + _path_of(value, name)
    if flag in PATHS or os.path.exists(word):
        return word
    path, colon, _ = word.rpartition(":")
    if flag in LOCKS:
        return path + colon or word
    files = (path, *(re.sub(r"#\d+$", "", name) for name in (path, word)))
    return next((word[: len(file)] for file in files if os.path.exists(file)), "")


def _without_quotes(words: Sequence[str]) -> list[str]:
    """Remove curly quotes; a shell parts the words between them, so they are joined again."""
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        opening = re.search(rf"(?:^|=)([{''.join(CLOSING)}])", word)
        if opening is None:
            found.append(word)
            continue
        at, closing = opening.start(1), CLOSING[opening[1]]
        inside = [word[at + 1 :]]
        while not inside[-1].endswith(tuple(closing)):
            following = next(rest, None)
            if following is None:
                raise ValueError(f"{quoted(word)}: its quote {opening[1]} is not closed")
            inside.append(following)
        found.append(word[:at] + " ".join(inside)[:-1])
    return found


def _plain(word: str) -> str:
    """Replace signs, blanks and dashes by those of a keyboard; dashes only where one is meant."""
    word = word.translate(SIGNS)
    flag = re.match(r"[-–—]*[–—][-–—]*(?=[A-Za-z])", word)
    if flag:
        word = ("-" if re.match(r"\w\b(?!-)", word[flag.end() :]) else "--") + word[flag.end() :]
    word = re.sub(r"(^|[=,|\[ ])[–—](?=\.?\d)", r"\1-", word)  # a minus
    return re.sub(r"([A-Ga-g]?[#b]?\d)\s*[–—]\s*(?=[A-Ga-g]?[#b]?-?\d)", r"\1-", word)  # a range


def _parted(word: str) -> list[str]:
    """Part a flag and its value where the blank between them was no blank to the shell."""
    return word.split(" ", 1) if re.match(r"--?[\w-]+ ", word) else [word]


def _own_flag(word: str, own: set[str]) -> str:
    """Return the word with our flag in place of another library's that means the same."""
    flag, equals, value = word.partition("=")
    name = flag.replace("_", "-") if flag.startswith("-") else ""
    if name in own or name not in (SAME.keys() | ANSWERS.keys()):
        return word
    if SAME.get(name) in own:
        return SAME[name] + equals + value
    if name in ANSWERS:
        named = set(re.findall(r"--[a-z][a-z-]+", ANSWERS[name]))
        if not named or named & own or "python -m" in ANSWERS[name]:
            raise ValueError(f"{flag}: {ANSWERS[name]}")
    return word
