"""The syntax of a reward: name=weight,parameter=value on the command line, and files of terms."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from envs.durable_files import read_text
from envs.errors import quoted
from envs.values import MAX_TOML, parse_assignment, parse_toml, parse_value

MAX_TERM = 10_000  # characters
SUFFIX = ".toml"  # of a file of terms, which stands for them as a pack does


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


# -- files of terms --------------------------------------------------------------------------------


def is_file_name(name: Any) -> bool:
    """True if a term's name is that of a file of terms, such as taste.toml."""
    return isinstance(name, str) and name.endswith(SUFFIX) and ":" not in name


def read_reward_file(path: str | Path) -> dict[str, Any]:
    """Return the terms of a file's table [reward], as {spec: weight or {"weight": w, ...}}.

    Raises:
        ValueError: there is no such file or table, it names code or another file, or it is no TOML.
    """
    file = Path(path)
    try:
        values = parse_toml(read_text(file, MAX_TOML))
    except ValueError as error:
        raise ValueError(f"reward {str(file)!r}: {error}") from None
    terms = values.get("reward")
    if not isinstance(terms, Mapping) or not terms:
        raise ValueError(
            f"reward {str(file)!r}: it has no table [reward] of terms and weights, such as "
            "in_key = 2.0; python -m agents.prefer --fit writes one"
        )
    for name in terms:
        if ":" in name or is_file_name(name):
            raise ValueError(
                f"reward {str(file)!r}: {quoted(name)} is code or a file of its own; expected "
                "names of terms that ship. Name it beside the file, in --reward"
            )
    return dict(terms)


def scaled(setting: Any, factor: float) -> Any:
    """Return a term's weight, or its table with one, multiplied by a factor.

    Raises:
        ValueError: the weight is no number.
    """
    table = dict(setting) if isinstance(setting, Mapping) else {"weight": setting}
    weight = table.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ValueError(f"weight {quoted(weight)}: expected a finite number")
    product = float(weight) * factor
    return {**table, "weight": product} if isinstance(setting, Mapping) else product


def with_files_read(spec: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the terms of a reward with those of each file in the file's place, times its weight.

    A term that is named beside a file takes the place of the file's.

    Raises:
        ValueError: as `read_reward_file`, or a term that two files have.
    """
    found: dict[Any, Any] = {}
    for name, setting in spec.items():
        if not is_file_name(name):
            found[name] = setting
            continue
        if isinstance(setting, bool) or not isinstance(setting, int | float):
            raise ValueError(f"reward {name!r} takes a weight only, got {quoted(setting)}")
        for inner, value in read_reward_file(name).items():
            if inner in spec:
                continue
            if inner in found:
                raise ValueError(f"reward term {inner!r} is given twice; expected it once")
            found[inner] = scaled(value, float(setting))
    return found
