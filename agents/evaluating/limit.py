"""The limit of fine-tuning: the highest mean reward that a policy can have at a KL to its prior.

Of all policies q with KL(q || p) = K the one of the highest mean reward is the tilted prior
p exp(r / c) / Z (Donsker & Varadhan 1983; Korbak et al. 2022, "RL with KL penalties is better
viewed as Bayesian inference"). Mean reward, KL and log Z are read off pieces of the prior with the
weights exp(r / c), without any training. At a fixed c the objective E[r / c] - KL of a policy is
below log Z by KL(q || limit), its gap in nats a piece.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from agents.evaluating.pool import Pool
from envs.music.score import Score
from envs.music.tape import Array
from rewards.measures.diversity import edit_distance

FEWEST = 100  # effective pieces that an estimate has to rest on
SURE = 400  # from which a guess is made beyond them
MOST_POOL = 2**22  # pieces that are worth drawing; beyond them policies reach further
RESAMPLES, TAIL = 200, 2.5  # of a bootstrap; per cent beyond each end of an interval
HALVINGS = 32  # of an interval of log c
REACH = 30.0  # ends of that interval, in logarithms from the rewards' spread
PAIRED = 2000  # pieces that are drawn for an edit distance

Interval = tuple[float, float]


class TooFewError(ValueError):
    """An estimate would rest on fewer than FEWEST effective pieces."""


@dataclass(frozen=True)
class Limit:
    """The tilted prior at one c.

    Attributes:
        c: weight of the KL, by which the reward is divided.
        reward: mean a piece.
        kl: to the prior, nats per token.
        log_z: log of the mean of exp(r / c) under the prior, nats a piece.
        size: effective number of pieces that the estimate rests on, 1 / sum of squared weights
            (Kong 1992).
    """

    c: float
    reward: float
    kl: float
    log_z: float
    size: float


class TiltedPrior:
    """Tilted priors of all c, estimated on a pool.

    Args:
        pool: pieces; with log weights it is self-normalised importance sampling.

    Raises:
        ValueError: the reward pays the same for every piece.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._base = np.zeros(pool.size) if pool.log_weights is None else pool.log_weights
        self._base = self._base - np.logaddexp.reduce(self._base)
        self.prior_reward = float(np.exp(self._base) @ pool.rewards)
        spread = float(np.exp(self._base) @ (pool.rewards - self.prior_reward) ** 2) ** 0.5
        if not spread > 1e-6 * max(1.0, abs(self.prior_reward)):
            raise ValueError(
                f"the reward pays {self.prior_reward:g} for each of {pool.size:,} pieces of the "
                "prior: no KL buys anything. Expected a term that tells pieces apart"
            )
        self.spread = spread

    def weights(self, c: float) -> Array:
        """Return the weights (N,) of the pieces at a c, which sum to 1."""
        return np.exp(self._logs(c)[0])

    def _logs(self, c: float) -> tuple[Array, float]:
        """Return the logarithms of the weights, and log Z."""
        best = float(self.pool.rewards.max())  # taken off first: a small c makes r / c large
        logs = self._base + (self.pool.rewards - best) / c
        total = _log_sum(logs)
        return logs - total, total + best / c

    def at(self, c: float) -> Limit:
        """Return the limit at a c above 0, whatever its effective number of pieces."""
        if not 0 < c < math.inf:
            raise ValueError(f"c={c}: expected a number above 0")
        logs, log_z = self._logs(c)
        weights = np.exp(logs)
        reward = float(weights @ self.pool.rewards)
        kl = max(0.0, float(weights @ (logs - self._base))) / self.pool.cells
        return Limit(c, reward, kl, log_z, 1 / float(weights @ weights))

    @cached_property
    def most(self) -> Limit:
        """The limit of the smallest c: the pieces of the highest reward alone."""
        return self.at(self.spread * math.exp(-REACH))

    @property
    def most_kl(self) -> float:
        """The highest KL that the reward can spend, nats per token; inf if it is not in sight."""
        return self.most.kl if self.most.size >= FEWEST else math.inf

    def reach(self, size: float) -> Limit:
        """Return the limit of the smallest c that rests on so many effective pieces."""
        low, high = (math.log(self.spread) + side * REACH for side in (-1, 1))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if self.at(math.exp(middle)).size < size:
                low = middle
            else:
                high = middle
        return self.at(math.exp(high))

    @cached_property
    def edge(self) -> Limit:
        """The limit from which `extended_kl` goes on."""
        return self.reach(SURE)

    def extended_kl(self, c: float) -> float:
        """Return the KL at a c, nats per token; a guess where the pieces do not reach.

        There log KL goes on as a line of log c, with the slope that it has at the `edge`: that is
        -var(r) / (c^2 KL), as the KL changes by var(r) / c with 1 / c.
        """
        edge = self.edge
        if c >= edge.c:
            return self.at(c).kl
        weights = self.weights(edge.c)
        variance = float(weights @ (self.pool.rewards - edge.reward) ** 2)
        slope = variance / (edge.c**2 * edge.kl * self.pool.cells)
        return edge.kl * (edge.c / c) ** slope

    def nearest(self, kl: float) -> Limit:
        """Return the limit with a KL, or the one of the highest KL that these pieces allow.

        The KL falls as c grows, so c is found by halving an interval of its logarithm.

        Args:
            kl: nats per token, above 0.
        """
        if not 0 < kl < math.inf:
            raise ValueError(f"a KL of {kl:g} nats per token: expected a number above 0")
        low, high = (math.log(self.spread) + side * REACH for side in (-1, 1))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if self.at(math.exp(middle)).kl > kl:
                low = middle
            else:
                high = middle
        return self.at(math.exp(high))

    def at_kl(self, kl: float) -> Limit:
        """Return the limit with a KL, in nats per token.

        Raises:
            TooFewError: it rests on fewer than FEWEST effective pieces.
            ValueError: beyond some smaller KL the reward pays no more.
        """
        found = self.nearest(kl)
        if self.most_kl < kl:
            raise ValueError(
                f"a KL of {kl:g} nats per token is more than the reward can spend: the pieces of "
                f"the highest reward, {self.most.reward:g}, are at {self.most.kl:.3g}"
            )
        if found.size < FEWEST:
            raise TooFewError(
                f"at a KL of {kl:g} nats per token {self.pool.size:,} pieces count as "
                f"{found.size:.0f}, expected at least {FEWEST} for a limit; "
                f"{self._remedy(found, kl * self.pool.cells)}"
            )
        return found

    def _remedy(self, found: Limit, nats: float) -> str:
        """Return what would give the estimate of a limit, of so many nats a piece, more pieces.

        By the pieces at hand, and at least about exp(KL) (Chatterjee & Diaconis 2018, "The sample
        size required in importance sampling").
        """
        needed = FEWEST * max(2 * self.pool.size / found.size, math.exp(min(nats, 99.0)))
        if self.pool.log_weights is None and needed <= MOST_POOL:
            return f"give a pool of about {float(f'{needed:.2g}'):,.0f} pieces (--pool)"
        return (
            "no pool of the prior reaches so far: give policies of about that KL as proposals "
            "(agents.evaluating.pool.mixed_pool)"
        )

    def edit_distance(self, limit: Limit, seed: int = 0) -> float:
        """Return the mean edit distance of two pieces of a limit, see `rewards.measures`."""
        return distance_of_drawn(self.pool, self.weights(limit.c), seed)

    def log_z_samples(self, c: float, seed: int = 0) -> Array:
        """Return log Z (RESAMPLES,) of pools that are drawn from this one with replacement.

        The Poisson bootstrap: each piece counts as often as a Poisson number of mean 1 says.
        """
        logs = self._base + self.pool.rewards / c
        top, base = float(logs.max()), np.exp(self._base)
        scaled = np.exp(logs - top)
        found = [
            math.log(counts @ scaled or math.nan) - math.log(counts @ base)
            for counts in self._counts(seed)
        ]
        return np.array(found) + top

    def prior_reward_samples(self, seed: int = 0) -> Array:
        """Return the prior's reward (RESAMPLES,) in the pools of `log_z_samples`."""
        base = np.exp(self._base)
        paid = base * self.pool.rewards
        return np.array([counts @ paid / (counts @ base) for counts in self._counts(seed)])

    def _counts(self, seed: int) -> Iterator[Array]:
        """Yield how often each piece is in each of RESAMPLES pools."""
        rng = np.random.default_rng(seed)
        for _ in range(RESAMPLES):
            yield rng.poisson(1.0, self.pool.size)

    def reward_interval(self, limit: Limit, seed: int = 0) -> Interval:
        """Return the 95% interval of the reward at a limit's KL.

        That reward is the least c (KL + log Z) over all c, so where c is the best, an error of
        log Z counts c times and one of c does not count.
        """
        errors = self.log_z_samples(limit.c, seed) - limit.log_z
        low, high = np.nanpercentile(limit.reward + limit.c * errors, (TAIL, 100 - TAIL))
        return float(low), float(high)


def _log_sum(logs: Array) -> float:
    """Return the logarithm of a sum of exponentials."""
    top = float(logs.max())
    return top + math.log(np.exp(logs - top).sum())


def distance_of_drawn(pool: Pool, weights: Array, seed: int = 0) -> float:
    """Return the mean edit distance of two different pieces drawn by their weights.

    Pairs of a piece with itself, which a pool gives too often, are taken out again.
    """
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(weights), PAIRED, p=weights / weights.sum())
    counts = np.unique(rows, return_counts=True)[1]
    twice = float((counts * (counts - 1)).sum()) / (PAIRED * (PAIRED - 1))
    score: Score = pool.take(rows)
    return edit_distance(score, rng) / (1 - twice) if twice < 1 else 0.0


# -- best of n -------------------------------------------------------------------------------------


def best_of_n_kl(n: int) -> float:
    """KL in nats of the best of n draws to one draw: log n - (n - 1) / n, an upper bound.

    Stiennon et al. (2020), "Learning to summarize from human feedback"; a bound: Beirami et al.
    (2024), "Theoretical guarantees on the best-of-n alignment policy".
    """
    return math.log(n) - (n - 1) / n


def draws_for(kl: float) -> int:
    """The n whose `best_of_n_kl` is nearest to `kl` nats; a billion if that is still below."""
    above = bisect.bisect_left(range(1, 10**9), kl, key=best_of_n_kl) + 1
    return min((max(1, above - 1), above), key=lambda n: abs(best_of_n_kl(n) - kl))


def best_of_n_weights(pool: Pool, n: int) -> Array:
    """Return the probability (N,) of each piece to be the best of n drawn without replacement.

    The piece of rank k of N is it with C(k - 1, n - 1) / C(N, n). Its mean is the unbiased estimate
    of the mean over the best of n fresh draws.

    Raises:
        TooFewError: fewer than FEWEST effective pieces.
        ValueError: n below 1 or above N, or a pool that is weighed.
    """
    if pool.log_weights is not None:
        raise ValueError("the best of n needs pieces of the prior itself, not of a mixed pool")
    if not 1 <= n <= pool.size:
        raise TooFewError(f"the best of {n:,} from {pool.size:,} pieces: expected 1 to that number")
    rank = np.arange(pool.size, 0, -1)  # of the best first
    steps = np.maximum(rank[:-1] - n, 0) / (rank[:-1] - 1)
    chance = n / pool.size * np.concatenate([[1.0], np.cumprod(steps)])
    weights = np.empty(pool.size)
    weights[np.argsort(-pool.rewards, kind="stable")] = chance
    size = 1 / float(weights @ weights)
    if size < FEWEST:
        raise TooFewError(
            f"the best of {n:,} from {pool.size:,} pieces counts as {size:.0f} pieces, expected at "
            f"least {FEWEST}; give a pool of about {FEWEST * n:,} pieces (--pool)"
        )
    return weights
