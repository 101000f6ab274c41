"""Settings as dataclasses: fields with bounds, and how they are read from words."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import Field, field, fields
from numbers import Integral, Real
from typing import Any, Self

import numpy as np

from envs.errors import did_you_mean, quoted, unknown
from envs.values import parse_assignment


def bounded(default: Any, low: float, high: float, or_else: float | None = None) -> Any:
    """Return a dataclass field whose value lies from `low` to `high`, or is `or_else`."""
    return field(default=default, metadata={"low": low, "high": high, "or_else": or_else})


def one_of(default: str, *names: str) -> Any:
    """Return a dataclass field whose value is one of several names."""
    return field(default=default, metadata={"names": (default, *names)})


# Types of a field's values, by that of its default.
KINDS: Mapping[type, tuple[Any, str]] = {
    bool: (bool | np.bool_, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str | os.PathLike, "a word"),
    tuple: (tuple | list, "a list"),
}


def check_field(setting: Field[Any], value: Any) -> None:
    """Raise an error if a value is none that its field may have, see `bounded` and `one_of`.

    Raises:
        TypeError: a type other than that of the default.
        ValueError: another value.
    """
    name, limits = setting.name, setting.metadata
    kinds, expected = KINDS.get(type(setting.default), (object, ""))
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds in (Integral, Real)):
        raise TypeError(f"{name}={quoted(value)}: expected {expected}")
    if "names" in limits and value not in limits["names"]:
        raise unknown(name, value, limits["names"])
    if "low" not in limits or limits["low"] <= value <= limits["high"]:  # NaN is refused
        return
    if limits["or_else"] is None or value != limits["or_else"]:
        low, high = (
            f"{x:,}" if isinstance(x, int) else f"{x:g}" for x in (limits["low"], limits["high"])
        )
        other = "" if limits["or_else"] is None else f", or {limits['or_else']:g}"
        raise ValueError(f"{name}={quoted(value)}: expected a number from {low} to {high}{other}")


class Checked:
    """Base of a dataclass of settings, which refuses unknown names and values that cannot be."""

    def __new__(cls, *args: Any, **values: Any) -> Self:
        """Return settings that are not filled in yet; TypeError if one is unknown."""
        known = [each.name for each in fields(cls)]  # type: ignore[arg-type]
        for name in values:
            if name not in known:
                raise TypeError(
                    f"{cls.__name__} has no setting {quoted(name)}.{did_you_mean(name, known)}"
                )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for setting in fields(self):  # type: ignore[arg-type]
            check_field(setting, getattr(self, setting.name))

    @classmethod
    def read(cls, words: Iterable[str]) -> Self:
        """Return settings of words such as "beta=.2"; those left out have their defaults.

        Raises:
            ValueError: a word that is no name=value, a name twice, or a value that cannot be.
            TypeError: an unknown name, or a value of another type.
        """
        values: dict[str, Any] = {}
        for word in words:
            name, value = parse_assignment(word)
            if name in values:
                raise ValueError(f"{name} is set twice; leave one of them out")
            values[name] = value
        return cls(**values)
