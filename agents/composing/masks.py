"""Rules of a request as masks and as demands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rewards.spec import parse_term

if TYPE_CHECKING:
    from rewards.sum import RewardSum
    from rewards.term import Term

# Of the reward's terms those that are masked unless others are named: what they count against a
# piece shows at the token itself, and there is always a token without it.
MASKS = ("key", "in_key", "penalize_repeating", "leap_recovery")


def read_masks(words: Sequence[str], reward: RewardSum) -> RewardSum:
    """Terms that are to be hard masks, from their names.

    Args:
        words: name, or name=weight,parameter=value,... as a reward is written. Without a weight
            it is the reward's own term, and any other counts against a piece where it is above 0.
        reward: the terms of MASKS that it has, if there are no words.

    Raises:
        ValueError: an unknown term, one that is not cell-wise, one named twice, or no words and
            none of MASKS.
    """
    from rewards.build import find, make_term
    from rewards.masks import require_cellwise
    from rewards.sum import RewardSum

    words = words or [name for name in MASKS if name in reward.terms]
    if not words:
        raise ValueError(
            f"the reward has none of {', '.join(MASKS)}; say what to mask, such as --mask in_key"
        )
    terms = []
    for word in words:
        name, setting = parse_term(word)
        if "=" in word.split(",")[0]:
            terms.append(make_term(name, setting))
        elif name in reward.terms and not isinstance(setting, dict):
            terms.append(reward.terms[name])
        else:
            weight = 1.0 if find(name).violation else -1.0
            parameters = setting if isinstance(setting, dict) else {}
            terms.append(make_term(name, {**parameters, "weight": weight}))
    for term in terms:
        require_cellwise(term.rule)
        if not term.weight:
            raise ValueError(
                f"mask {term.name!r} has weight 0 and would forbid nothing; give one, such as "
                f"{term.name}=-1"
            )
    return RewardSum(terms)


def read_demands(words: Sequence[str], reward: RewardSum) -> dict[str, Term]:
    """The rules of --must, by name.

    Raises:
        ValueError: as `read_masks`, or a term that pays and so cannot be broken.
    """
    terms = dict(read_masks(words, reward).terms) if words else {}
    for name, term in terms.items():
        if term.factor > 0:
            raise ValueError(
                f"{name} pays and cannot be broken, so it is nothing to demand; expected a rule, "
                "such as in_key, or what has a negative weight"
            )
    return terms
