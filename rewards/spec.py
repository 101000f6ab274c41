"""The syntax of a reward on the command line: name=weight,parameter=value."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from envs.errors import quoted
from envs.values import parse_assignment, parse_value

MAX_TERM = 10_000  # characters


def parse_term(text: str) -> tuple[str, Any]:
    """Name and setting of 'name', 'name=weight' or 'name=weight,parameter=value,...'.

    A weight that is left out is 1.
    """
    if len(text) > MAX_TERM:
        raise ValueError(f"{quoted(text)}: expected name=weight, such as in_key=2")
    head, *params = re.split(r",(?=\w+=)", text)
    name, equals, weight = head.partition("=")
    if not name or (equals and not weight):
        raise ValueError(f"{quoted(text)}: expected name=weight, such as in_key=2")
    value = parse_value(weight or "1")
    if not params:
        return name, value
    return name, {"weight": value} | dict(parse_assignment(param) for param in params)


def with_checkpoint(spec: Mapping[Any, Any], checkpoint: Any) -> dict[Any, Any]:
    """Return a reward's spec with a checkpoint for its likelihood, unless it names one."""
    setting = spec.get("prior")
    if setting is None:
        return dict(spec)
    named = setting if isinstance(setting, Mapping) else {"weight": setting}
    return {**spec, "prior": {"checkpoint": checkpoint, **named}}


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return each term's name without its file or module, as tables and legends show it.

    Where two would be shown alike, both keep their whole names.
    """
    last = {name: name.rpartition(":")[2] or name for name in names}
    shown = Counter(last.values())
    return {name: word if shown[word] == 1 else name for name, word in last.items()}


def as_text(name: str, value: Any) -> str:
    """'name=value' of a TOML table's entry, the other way round."""

    def plain(item: Any) -> str:
        if isinstance(item, str) and item and parse_value(item) == item:
            return item
        if isinstance(item, (str, bool, list)):  # words that would be read as something else
            return json.dumps(item, ensure_ascii=False)
        return str(item)

    if re.search(r",\w+$", name):  # on a line it would be a term and its parameter
        raise ValueError(f"{quoted(name)}: expected a name that does not end in a comma and a word")
    if isinstance(value, Mapping):
        params = [f"{k}={plain(v)}" for k, v in value.items() if k != "weight"]
        return ",".join([f"{name}={plain(value.get('weight', 1.0))}", *params])
    return f"{name}={plain(value)}"
