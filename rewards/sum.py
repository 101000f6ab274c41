"""The weighted sum of reward terms."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from envs.errors import RewardError
from envs.music.noise import noise
from envs.music.score import Score
from envs.music.task import Task
from rewards.checking.probes import Trial, is_causal
from rewards.term import Term, Values

PROBED_CELLS = 2**13  # written anew to look for look-ahead before a run


class RewardSum:
    """Terms by name, and their sum: itself a reward function.

    Args:
        terms: the summands; names must differ.
    """

    def __init__(self, terms: list[Term]) -> None:
        names = [term.name for term in terms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"reward term {twice[0]!r} is given twice; expected it once")
        if not terms:
            raise ValueError("a reward needs at least one term, such as rl_tuner=1")
        hidden = [name for name in names if name.startswith("_")]
        if hidden:
            raise ValueError(f"reward term {hidden[0]!r}: a name may not begin with '_'")
        self.terms: Mapping[str, Term] = MappingProxyType({term.name: term for term in terms})

    def __getstate__(self) -> list[Term]:
        return list(self.terms.values())

    def __setstate__(self, terms: list[Term]) -> None:
        self.terms = MappingProxyType({term.name: term for term in terms})

    def __call__(self, score: Score) -> Values:
        """Return the sum (B, V, T) of the weighted terms on finished pieces."""
        return total(self.breakdown(score))

    def prepare(self, task: Task) -> None:
        """Try every term on two pieces of noise, so that a fault shows before the work begins.

        Raises:
            RewardError: a term fails, breaks the protocol, or looks ahead.
            ValueError: a prior of another codec.
        """
        pieces = noise(task, 0)  # of all terms, which share what is found out about them
        for term in self.terms.values():
            if term.rule.require is not None:
                term.rule.require(task)
            if term.is_per_piece(task, pieces) or term.rule.ships or task in term.causal_on:
                continue
            if fault := is_causal(Trial(term, task, PROBED_CELLS)):
                raise RewardError(f"reward term {term.name!r} {fault}")
            term.causal_on.add(task)

    def breakdown(self, score: Score) -> dict[str, Values]:
        """Return the weighted value (B, V, T) of each term on finished pieces.

        Raises:
            RewardError: a term failed.
            ValueError: the pieces are not finished.
        """
        if not score.finished:
            raise ValueError("only finished pieces are scored whole; use newest() step by step")
        return {name: term.whole(score) for name, term in self.terms.items()}

    def newest(self, score: Score) -> dict[str, Values]:
        """Return the weighted value (B,) of each term at the last written cell.

        Raises:
            RewardError: a term failed.
        """
        return {name: term.newest(score) for name, term in self.terms.items()}


def total(parts: Mapping[str, Values]) -> Values:
    """Return the sum of the terms' values, in their order, in float32."""
    return functools.reduce(np.add, parts.values())
