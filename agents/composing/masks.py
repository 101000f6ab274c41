"""Rules of a request as masks and as demands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.build import find, make_term
from rewards.masks import Foreseen, children, refused_next, require_cellwise, through_frame
from rewards.rule import as_rule
from rewards.spec import parse_term
from rewards.sum import RewardSum
from rewards.term import Term

Words = Sequence[str | Callable[..., Any]]
Demands = Mapping[str, Term]  # rules that every piece keeps, by name
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
    twice = [name for name, times in Counter(term.name for term in terms).items() if times > 1]
    if twice:
        raise ValueError(
            f"{twice[0]} is kept anyway, or named twice; leave it out of what is demanded (--must)"
        )
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
            more = "two voices or more" if needs == "voices" else f"{needs} (--{needs} ...)"
            raise ValueError(f"{name} has nothing to judge here: give {more}")
    return terms


# -- demands at the next cell ----------------------------------------------------------------------


def offered(score: Score, demands: Demands) -> tuple[Array, Array]:
    """Return the tokens that may be tried in the next cell of an unfinished score.

    Returns:
        the mask (B, vocab) of what the grammar allows, a single token where a demand leaves one,
        see `Rule.forced`; and True (B,) for each piece with such a token.
    """
    free, forced = score.allowed(), np.zeros(score.batch, bool)
    for term in demands.values():
        if term.rule.forced is None:
            continue
        token = np.asarray(term.rule.forced(score))
        rows = np.flatnonzero(token >= 0)
        rows = rows[free[rows, token[rows]]]  # what is given may be another token
        free[rows] = False
        free[rows, token[rows]] = True
        forced[rows] = True
    return free, forced


def judged(score: Score, tokens: Array, demands: Demands) -> Iterator[tuple[Array, Array, Array]]:
    """Yield, as `rewards.masks.children`, which demands each token would break.

    Args:
        score: unfinished.
        tokens: (B, vocab) bool: which tokens to try on which piece.
        demands: at least one.

    Yields:
        numbers (N,) of the pieces, the token (N,) tried on each, and True (demands, N) for each
        demand that is broken or lost.
    """
    if score.n_written:
        refusals(
            [Foreseen(np.arange(score.batch), score)], demands
        )  # once here, not by every child
    for rows, written, child in children(score, tokens):
        yield rows, written, refusals(list(through_frame(child)), demands)


def refusals(frame: Sequence[Foreseen], demands: Demands) -> Array:
    """Return True (demands, B) for each demand that is broken, or lost, see `refused_next`."""
    terms = demands.values()
    return np.array([refused_next(term.rule, frame, term.factor) for term in terms])


def permitted(score: Score, demands: Demands) -> Array:
    """Return the tokens (B, vocab) of the next cell that break no demand; none for some pieces."""
    free = offered(score, demands)[0]
    for rows, tokens, broken in judged(score, free.copy(), demands) if demands else ():
        bad = broken.any(axis=0)
        free[rows[bad], tokens[bad]] = False
    return free


def breaks(term: Term, score: Score) -> Array:
    """True at each cell where a demand is broken: its value times its weight is negative."""
    return np.asarray(term.rule(score)) * term.factor < 0


def keeping(score: Score, demands: Demands) -> Array:
    """Return True (B,) for each finished piece that keeps all demands, computed on a new score."""
    whole, good = Score(score.tokens, score.task), np.ones(score.batch, bool)
    for term in demands.values():
        good &= ~breaks(term, whole).any(axis=(1, 2))
    return good
