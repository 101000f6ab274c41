"""Values of settings, as TOML writes them."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from envs.errors import DIGITS, quoted

MAX_TOML = 100_000  # characters; a given page of the largest task fits
MAX_DOTS = 32  # in a word
MAX_DEPTH = 8  # of lists and tables in each other


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML document of what settings can be: words, numbers, truth values, lists and tables.

    Raises:
        ValueError: it is none, too long, too deep, or holds a date or a number of many digits.
    """
    if len(text) > MAX_TOML:
        raise ValueError(f"{len(text)} characters; expected at most {MAX_TOML}")
    words = re.sub(r"[ \t]+", " ", text).replace(" .", ".").replace(". ", ".")
    if any(word.count(".") > MAX_DOTS for word in re.split(r"[\s=\[\]{},]+", words)):
        raise ValueError(f"a name of more than {MAX_DOTS} parts")  # tomllib takes their square
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(error) or type(error).__name__:.200}") from None
    _check_plain(found, MAX_DEPTH)
    return found


def _check_plain(value: Any, depth: int) -> None:
    if isinstance(value, (list, dict)):
        if not depth:
            raise ValueError(f"lists or tables more than {MAX_DEPTH} deep")
        for each in value.values() if isinstance(value, dict) else value:
            _check_plain(each, depth - 1)
    elif not isinstance(value, (str, int, float)):
        raise ValueError(f"{quoted(value)}: expected a word, a number, true or false")
    elif isinstance(value, int) and abs(value) >= 10**DIGITS:
        raise ValueError(quoted(value))


def parse_value(text: str) -> Any:
    """A TOML value if it is one ('0.5', '.5', 'true', '"a"'), else the text itself."""
    if re.fullmatch(r"[+-]?(\.[0-9]+|[0-9]{1,20}\.)([eE][+-]?[0-9]{1,5})?", text):
        return float(text)
    try:
        found = parse_toml(f"value = {text}")
    except ValueError:
        return text
    return found["value"] if len(found) == 1 else text


def parse_assignment(text: str) -> tuple[str, Any]:
    """Name and value of 'name=value'.

    Raises:
        ValueError: no '=' or nothing on one of its sides.
    """
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise ValueError(f"{quoted(text)}: expected name=value, such as bars=8")
    return name, parse_value(value)
