"""The objective of a training or a search: reward / c + log p - log pi.

One term of a reward may be the log-likelihood under a prior. It is no rule: it is not divided by
c, and with the entropy of the policy it makes up the KL to the prior. Nothing else asks which term
that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from rewards.likelihood import Likelihood
from rewards.sum import RewardSum, total
from rewards.term import Term, Values

PRIOR = "prior"  # name of the likelihood in a reward's spec
CUT = 1e-3  # nats above its floor from which a likelihood is taken to be whole


def find_prior(terms: Iterable[Term]) -> Term | None:
    """Return the term of log p; of several the one called 'prior', else the first."""
    found = [term for term in terms if isinstance(term.rule.fn, Likelihood)]
    return next((term for term in found if term.name == PRIOR), found[0] if found else None)


@dataclass(frozen=True)
class Objective:
    """A reward, and how it is weighed against a prior and the entropy of the policy.

    Attributes:
        reward: the terms, log p among them or not.
        c: divides every term but log p.
        entropy: weight of -log pi, in nats, at every step. With log p of the same weight in the
            reward, the two are the KL to the prior.
    """

    reward: RewardSum
    c: float = 1.0
    entropy: float = 1.0

    @cached_property
    def prior(self) -> Term | None:
        """The term of log p, None if there is none."""
        return find_prior(self.reward.terms.values())

    @cached_property
    def rules(self) -> RewardSum | None:
        """All other terms, None if there are none."""
        others = [term for term in self.reward.terms.values() if term is not self.prior]
        return RewardSum(others) if others else None

    @property
    def likelihood(self) -> Likelihood | None:
        """The function behind `prior`."""
        fn = None if self.prior is None else self.prior.rule.fn
        return fn if isinstance(fn, Likelihood) else None

    @property
    def log_p_weight(self) -> float:
        """Weight of log p, 0 without a prior."""
        return 0.0 if self.prior is None else self.prior.weight

    def with_c(self, c: float) -> Objective:
        """Return the objective with another c."""
        return replace(self, c=c)

    def with_entropy(self, entropy: float) -> Objective:
        """Return the objective with another weight of the entropy."""
        return replace(self, entropy=entropy)

    @property
    def scaled(self) -> RewardSum:
        """The reward with c worked into the weights of its terms."""
        if self.c == 1.0:
            return self.reward
        terms = self.reward.terms.values()
        return RewardSum(
            [t if t is self.prior else replace(t, weight=t.weight / self.c) for t in terms]
        )

    def parts(self, score: Score) -> dict[str, Values]:
        """Return the weighted value (B, V, T) of each term on finished pieces, undivided.

        Raises:
            RewardError: a term failed.
            ValueError: the pieces are not finished.
        """
        return self.reward.breakdown(score)

    def total(self, parts: Mapping[str, Values]) -> Values:
        """Return the sum of `parts` in float32, in the terms' order, all but log p divided by c."""
        if self.c == 1.0:
            return total(parts)
        own = None if self.prior is None else self.prior.name
        return total({n: v if n == own else v / np.float32(self.c) for n, v in parts.items()})

    def split(self, parts: Mapping[str, Array]) -> tuple[Array, Array]:
        """Return the sum of the rules' parts, undivided, and the part of log p; zeros for none."""
        own = None if self.prior is None else self.prior.name
        nothing = np.zeros_like(next(iter(parts.values())))
        rules = sum((part for name, part in parts.items() if name != own), nothing)
        return rules, nothing if own is None else parts[own]

    def log_p(self, parts: Mapping[str, Values]) -> Values | None:
        """Return log p (B, V, T) from `parts`, None where weight or floor have lost it."""
        if self.prior is None or self.likelihood is None or not self.prior.weight:
            return None
        nats = (parts[self.prior.name] / self.prior.factor).astype(np.float32)
        return nats if nats.min() > self.likelihood.floor + CUT else None
