"""Rules: the registry of built-in terms, and what they say to a person.

A rule gives a violation in [0, 1] for each cell; a reward sum takes its weight off. Other
registered functions are rewards of any sign, and a weight multiplies them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from envs.contract import RewardFunction
from envs.music.task import Task
from rewards.functions import cellwise

F = TypeVar("F", bound=Callable[..., Any])
REGISTRY: dict[str, RewardFunction] = {}
NOTE_NAMES = ("note", "previous", "before", "first", "lowest", "highest", "start", "turn")


def term(*bare: Any, source: str = "", says: str = "", needs: str = "") -> Callable[[F], F]:
    """Register a cell-wise reward function under its own name.

    Args:
        bare: nothing; a function here was decorated without parentheses.
        source: where the formula or rule comes from.
        says: what to tell a person where it costs; may hold what `describe` fills in, and the
            function's parameters by name, such as {min_leap}.
        needs: 'chords' or 'phrases' if it has nothing to judge in a task without.

    Raises:
        TypeError: no source, as without parentheses.
        ValueError: words that `says` does not know, or the name of a term that ships.
    """
    if bare or not source:
        raise TypeError(
            "expected a source: write @rule(source='where it comes from', says='what is wrong') "
            "above the function"
        )

    def register(fn: F) -> F:
        marked: Any = cellwise(fn)
        marked.source, marked.says, marked.needs = source, says, needs
        parameters = inspect.signature(fn).parameters.values()
        marked.defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        marked.violation = getattr(fn, "violation", False)
        _check_words(fn.__name__, says, marked.defaults)
        ships = getattr(REGISTRY.get(fn.__name__), "__module__", fn.__module__)
        if ships != fn.__module__ and ships.startswith("rewards."):
            raise ValueError(
                f"{fn.__name__!r} is the name of a term that ships ({ships}); give yours another"
            )
        REGISTRY[fn.__name__] = fn
        return fn

    return register


def _check_words(name: str, says: str, parameters: Mapping[str, object]) -> None:
    """Raise ValueError unless a message can be filled in."""
    known = [*NOTE_NAMES, "interval", "leap", "key", *parameters]
    try:
        says.format(**{**dict.fromkeys(known, ""), **parameters})
    except (LookupError, ValueError, AttributeError) as error:
        raise ValueError(
            f"rule {name!r}: its message {says!r} cannot be filled in ({error}); expected words "
            f"among {', '.join(f'{{{word}}}' for word in known)}"
        ) from None


def rule(
    *bare: Any, source: str = "", says: str = "", needs: str = "",
    lost: RewardFunction | None = None,
) -> Callable[[F], F]:  # fmt: skip
    """Register a rule: a function whose value is a violation in [0, 1].

    Args:
        bare, source, says, needs: as `term`.
        lost: for a rule that is judged later than it is broken: says of each cell, with the rule's
            own parameters, whether the rule can no longer be kept, whatever is written behind it.
            Without, that is known where the rule itself is broken.
    """

    def register(fn: F) -> F:
        marked: Any = fn
        marked.violation, marked.lost = True, lost
        return register_term(fn)

    register_term = term(*bare, source=source, says=says, needs=needs)
    return register


def has_to_judge(fn: RewardFunction, task: Task) -> bool:
    """Whether a task has what a rule judges: chords or phrases, where it needs them."""
    needs = getattr(fn, "needs", "")
    return not needs or bool(getattr(task, needs))
