"""Rewards in TOML files of one's own, which stand for their terms as a pack does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envs.durable_files import read_text
from envs.errors import quoted
from rewards.values import MAX_TOML, parse_toml

SUFFIX = ".toml"


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
