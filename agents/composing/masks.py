"""Rules of a request as masks and as demands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from envs.music.task import Task
from rewards.build import find, make_term
from rewards.masks import require_cellwise
from rewards.rule import as_rule
from rewards.spec import parse_term
from rewards.sum import RewardSum
from rewards.term import Term

Words = Sequence[str | Callable[..., Any]]
# Of the reward's terms those that are masked unless others are named: what they count against a
# piece shows at the token itself, and there is always a token without it.
MASKS = ("key", "in_key", "penalize_repeating", "leap_recovery")


def read_masks(words: Words, reward: RewardSum) -> RewardSum:
    """Return the terms that are to be hard masks.

    Args:
        words: functions, or names written as in a reward: name, or name=weight,parameter=value,...
            Without a weight a name stands for the reward's own term, and any other counts against
            a piece where it is above 0.
        reward: the terms of MASKS that it has, if there are no words.

    Raises:
        ValueError: an unknown term, one that is not cell-wise, one named twice, or no words and
            none of MASKS.
    """
    words = words or [name for name in MASKS if name in reward.terms]
    if not words:
        raise ValueError(
            f"the reward has none of {', '.join(MASKS)}; say what to `mask`, such as in_key"
        )
    terms = [_mask(word, reward) for word in words]
    for term in terms:
        require_cellwise(term.rule)
        if not term.weight:
            raise ValueError(
                f"mask {term.name!r} has weight 0 and would forbid nothing; give one, such as "
                f"{term.name}=-1"
            )
    return RewardSum(terms)


def _mask(word: str | Callable[..., Any], reward: RewardSum) -> Term:
    if not isinstance(word, str):
        return make_term(word, _sign(word))
    name, setting = parse_term(word)
    if "=" in word.split(",")[0]:
        return make_term(name, setting)
    if name in reward.terms and not isinstance(setting, dict):
        return reward.terms[name]
    parameters = setting if isinstance(setting, dict) else {}
    return make_term(name, {**parameters, "weight": _sign(find(name))})


def _sign(fn: Callable[..., Any]) -> float:
    """Return the weight with which a function counts against a piece where it is above 0."""
    return 1.0 if as_rule(fn).violation else -1.0


def read_demands(words: Words, reward: RewardSum, task: Task | None = None) -> dict[str, Term]:
    """Return the rules of `Request.must`, by name.

    Args:
        words: as `read_masks` takes them.
        reward: the terms that a name stands for.
        task: must have what the rules judge, where it is known.

    Raises:
        ValueError: as `read_masks`, a term that pays and so cannot be broken, or one that has
            nothing to judge.
    """
    terms = dict(read_masks(words, reward).terms) if words else {}
    for name, term in terms.items():
        if term.factor > 0:
            raise ValueError(
                f"{name} pays and cannot be broken, so it is nothing to demand; expected a rule, "
                "such as in_key, or what has a negative weight"
            )
        if task is not None and not term.rule.judges(task):
            needs = term.rule.needs
            raise ValueError(f"{name} has nothing to judge here: give {needs} (--{needs} ...)")
    return terms
