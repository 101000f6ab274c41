"""A policy beside the limit of fine-tuning: its gap, and its share of the possible gain."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from agents.evaluating.limit import (
    FEWEST,
    PAIRED,
    RESAMPLES,
    TAIL,
    Interval,
    Limit,
    TiltedPrior,
    TooFewError,
    best_of_n_kl,
    best_of_n_weights,
    distance_of_drawn,
    draws_for,
)
from agents.evaluating.pool import Pool, draw_pool, mixed_pool, pay, piece_nats
from agents.evaluating.sampling import sample_many
from envs.errors import RewardError
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.prior import Prior
from rewards.measures.diversity import edit_distance
from rewards.sum import RewardSum

BUDGETS = (0.05, 0.1, 0.2)  # nats per token, at which a curve is read
MIXED = (16_000, 64_000)  # pieces of prior and agent each, where the prior's own do not reach


@dataclass(frozen=True)
class PaidRow:
    """The mean reward of one way to write pieces, at its KL.

    Attributes:
        name: of the way.
        kl: to the prior, nats per token.
        reward: mean a piece.
        interval: 95% of the reward, NaN where there is none.
        distance: mean edit distance of two pieces.
        size: effective number of pieces that it rests on.
    """

    name: str
    kl: float
    reward: float
    interval: Interval
    distance: float
    size: float


@dataclass(frozen=True)
class Written:
    """Fresh pieces of a policy at temperature 1, and what they tell of it.

    Attributes:
        tokens: (N, V, T).
        rewards: (N,) what the rules pay for each.
        ratios: (N,) log q - log p of each, whose mean is the KL, nats a piece.
    """

    tokens: Array
    rewards: Array
    ratios: Array


@dataclass(frozen=True)
class Standing:
    """A policy beside the limit with the same KL.

    Attributes:
        kl: of the policy to the prior, nats per token.
        reward: of the policy, mean a piece.
        limit: the tilted prior with that KL.
        gap: log Z - (E[r / c] - KL), the KL of the policy to that limit, nats a piece.
        share: (reward - prior's) / (limit's - prior's): 1 is the limit, 0 the prior.
        gap_interval, share_interval: 95%, over pieces of the pool and of the policy.
    """

    kl: float
    reward: float
    limit: Limit
    gap: float
    share: float
    gap_interval: Interval
    share_interval: Interval


def write(policy: Prior, prior: Prior, reward: RewardSum, pool: Pool, n: int, seed: int) -> Written:
    """Return `n` fresh pieces of a policy, drawn at temperature 1.

    Raises:
        ValueError, RewardError: as `agents.evaluating.pool.pay`.
    """
    tokens = sample_many(policy, pool.task, n, seed).tokens
    nats = [piece_nats(each, tokens, pool.task) for each in (policy, prior)]
    return Written(tokens, pay(reward, tokens, pool.task), nats[0] - nats[1])


def stand(tilted: TiltedPrior, rewards: Array, ratios: Array, seed: int = 0) -> Standing:
    """Return how a policy stands beside the limit with its own KL.

    Args:
        tilted: the limit of all c.
        rewards: (N,) what the rules pay for pieces of the policy.
        ratios: (N,) log q - log p of these pieces.
        seed: of the bootstrap.

    Raises:
        ValueError: the policy's KL is not above 0, or the pool does not reach it.
    """
    cells, paid, spent = tilted.pool.cells, float(rewards.mean()), float(ratios.mean())
    if not spent > 0:
        raise ValueError(
            f"the policy's KL to the prior is {spent / cells:.2g} nats per token, too small to be "
            "told from 0; expected one that has learned something"
        )
    limit = tilted.at_kl(spent / cells)
    rng, n = np.random.default_rng(seed), len(rewards)
    rows = rng.integers(n, size=(RESAMPLES, n))
    paid_samples, spent_samples = rewards[rows].mean(axis=1), ratios[rows].mean(axis=1)
    log_z = tilted.log_z_samples(limit.c, seed)
    best = limit.c * (spent_samples + log_z)  # as in `TiltedPrior.reward_interval`
    gap = log_z + spent_samples - paid_samples / limit.c
    start, start_samples = tilted.prior_reward, tilted.prior_reward_samples(seed)
    return Standing(
        spent / cells,
        paid,
        limit,
        limit.log_z + spent - paid / limit.c,
        (paid - start) / (limit.reward - start),
        _interval(gap),
        _interval((paid_samples - start_samples) / (best - start_samples)),
    )


def _interval(samples: Array) -> Interval:
    low, high = np.nanpercentile(samples, (TAIL, 100 - TAIL))
    return float(low), float(high)


@dataclass(frozen=True)
class Report:
    """A policy and the limit in rows.

    Attributes:
        rows: prior, limit and best-of-n at BUDGETS, then the policy, and both at its own KL.
        standing: of the policy, None where it cannot be told.
        notes: why something is missing, or estimated in another way.
    """

    rows: list[PaidRow]
    standing: Standing | None
    notes: list[str]


def against_limit(
    policy: Prior, prior: Prior, reward: RewardSum, task: Task, n: int, seed: int, size: int
) -> Report:
    """Return a policy beside the limit, on fresh pieces at temperature 1.

    Where the prior's pieces do not reach the policy's KL, some of them and of the policy's are
    weighed together, see `agents.evaluating.pool.mixed_pool`.

    Args:
        policy: fine-tuned from the prior.
        prior: the KL is measured to it.
        reward: without terms that learn, see `agents.evaluating.pool.require_fixed`.
        task: of the pieces.
        n: pieces of the policy.
        seed: of these.
        size: pieces of the prior.

    Returns:
        what can be told; where the reward has log p alone or pays all pieces the same, or the pool
        is too large for the memory, a note alone.

    Raises:
        RewardError: a term fails.
    """
    try:
        tilted = TiltedPrior(draw_pool(prior, reward, task, size))
    except RewardError:
        raise
    except ValueError as error:
        return Report([], None, [str(error)])
    rows, notes = curve(tilted)
    written = write(policy, prior, reward, tilted.pool, n, seed)
    rows.append(policy_row(written, tilted.pool))
    kl = rows[-1].kl
    try:
        try:
            standing = stand(tilted, written.rewards, written.ratios)
        except TooFewError as error:
            notes.append(f"{error}; the agent was the proposal")
            tilted, standing = _proposed(policy, prior, reward, written, task, seed)
        rows.append(limit_row(tilted, kl, "limit, at the agent's KL"))
        if tilted.pool.log_weights is None:
            rows.append(best_of_n_row(tilted.pool, kl))
    except ValueError as error:
        return Report(rows, None, [*notes, str(error)])
    return Report(rows, standing, notes)


def _proposed(
    policy: Prior, prior: Prior, reward: RewardSum, written: Written, task: Task, seed: int
) -> tuple[TiltedPrior, Standing]:
    """Return limit and standing by pieces of prior and policy, of more where a few do not do.

    Raises:
        TooFewError: the policy is so far from the limit that even many do not.
    """
    for n in MIXED:
        tilted = TiltedPrior(mixed_pool(prior, [policy], reward, task, n, seed))
        if tilted.nearest(float(written.ratios.mean()) / tilted.pool.cells).size >= FEWEST:
            break
    return tilted, stand(tilted, written.rewards, written.ratios)


# -- rows of a table -------------------------------------------------------------------------------


def prior_row(tilted: TiltedPrior) -> PaidRow:
    """Return the row of the prior, where every curve begins."""
    nowhere, even = (math.nan, math.nan), tilted.weights(math.exp(300))
    size = 1 / float(even @ even)
    distance = distance_of_drawn(tilted.pool, even)
    return PaidRow("prior", 0.0, tilted.prior_reward, nowhere, distance, size)


def limit_row(tilted: TiltedPrior, kl: float, name: str = "limit") -> PaidRow:
    """Return the row of the limit with a KL in nats per token.

    Raises:
        ValueError: the pool does not reach it, see `TiltedPrior.at_kl`.
    """
    limit = tilted.at_kl(kl)
    interval, distance = tilted.reward_interval(limit), tilted.edit_distance(limit)
    return PaidRow(name, limit.kl, limit.reward, interval, distance, limit.size)


def best_of_n_row(pool: Pool, kl: float) -> PaidRow:
    """Return the row of the best of n draws, with the n whose KL is nearest to one per token.

    Raises:
        ValueError: see `best_of_n_weights`.
    """
    n = draws_for(kl * pool.cells)
    weights = best_of_n_weights(pool, n)
    size = 1 / float(weights @ weights)
    paid, spent = float(weights @ pool.rewards), best_of_n_kl(n) / pool.cells
    error = float(weights @ (pool.rewards - paid) ** 2 / size) ** 0.5
    interval = paid - 1.96 * error, paid + 1.96 * error
    name = f"best of {n:,}"
    return PaidRow(name, spent, paid, interval, distance_of_drawn(pool, weights), size)


def policy_row(written: Written, pool: Pool, name: str = "agent") -> PaidRow:
    """Return the row of a policy's own pieces."""
    count, cells = len(written.rewards), pool.cells
    paid, error = float(written.rewards.mean()), float(written.rewards.std()) / count**0.5
    some = Pool(pool.task, written.tokens, written.rewards).take(np.arange(min(count, PAIRED)))
    distance = edit_distance(some, np.random.default_rng(0))
    interval = paid - 1.96 * error, paid + 1.96 * error
    return PaidRow(
        name, float(written.ratios.mean()) / cells, paid, interval, distance, float(count)
    )


def curve(
    tilted: TiltedPrior, budgets: Iterable[float] = BUDGETS
) -> tuple[list[PaidRow], list[str]]:
    """Return rows of prior, limit and best-of-n at some KL, and why others are left out."""
    rows, left_out = [prior_row(tilted)], []
    for kl in budgets:
        try:
            rows.append(limit_row(tilted, kl))
            rows.append(best_of_n_row(tilted.pool, kl))
        except ValueError as error:
            left_out.append(str(error))
    return rows, left_out


def as_text(report: Report) -> str:
    """Return a report as text: the table, the standing in a sentence, the notes."""
    lines = [("", "KL", "reward", "95%", "edit distance", "effective pieces")]
    for row in report.rows:
        low, high = row.interval
        between = "" if math.isnan(low) else f"{low:.2f} to {high:.2f}"
        numbers = (f"{row.kl:.4f}", f"{row.reward:.2f}", between, f"{row.distance:.3f}")
        lines.append((row.name, *numbers, f"{row.size:,.0f}"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    ]
    told = [] if report.standing is None else [in_words(report.standing)]
    return "\n".join([*table, "", *told, *report.notes]).rstrip()


def in_words(standing: Standing) -> str:
    """Return a standing as a sentence."""
    share, gap = standing.share_interval, standing.gap_interval
    return (
        f"Of the gain that a KL of {standing.kl:.4f} allows the agent has {standing.share:.1%} "
        f"({share[0]:.1%} to {share[1]:.1%}). Its gap to the limit is {standing.gap:.2f} nats a "
        f"piece ({gap[0]:.2f} to {gap[1]:.2f}) at c {standing.limit.c:.3g}."
    )


def as_facts(report: Report) -> dict[str, Any]:
    """Return a report in types that JSON has."""
    standing = None if report.standing is None else asdict(report.standing)
    rows = [as_fact(row) for row in report.rows]
    return {"rows": rows, "standing": standing, "notes": report.notes}


def as_fact(row: PaidRow) -> dict[str, Any]:
    """Return a row in types that JSON has; null for an interval that there is not."""
    return asdict(row) | {"interval": None if math.isnan(row.interval[0]) else row.interval}
