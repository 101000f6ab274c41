"""The limit of fine-tuning in a benchmark: its curve in limit.json, and how far methods are off."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agents.evaluating.limit import (
    FEWEST,
    Limit,
    TiltedPrior,
    TooFewError,
    best_of_n_kl,
    best_of_n_weights,
)
from agents.evaluating.pool import draw_pool, require_fixed
from agents.evaluating.standing import as_fact, curve
from envs.durable_files import read_facts, write_atomic
from envs.music.task import Task
from pretrained.prior import Prior
from rewards.sum import RewardSum

FILE = "limit.json"
PER_PIECE, MOST = 1024, 2**20  # of the pool: for each piece of a cell, and at most
SEED = 999  # of the pool; the cells' own draws have others
LEAST, POINTS = 0.002, 60  # of a curve: nats per token of the first point


def pool_size_for(pieces: int) -> int:
    """Return the pieces that the limit is read off in a benchmark with so many in a cell."""
    return min(PER_PIECE * pieces, MOST)


def write_limits(out: Path, prior: Prior, reward: RewardSum, task: Task, size: int) -> None:
    """Measure limit and best-of-n on a pool of the prior's pieces, and write them to limit.json.

    Where there is no limit, because a term learns or pays all pieces the same, the reason is
    written.

    Raises:
        RewardError: a term fails.
        OSError: it cannot be written.
    """
    try:
        require_fixed(reward)
        tilted = TiltedPrior(draw_pool(prior, reward, task, size, SEED))
    except ValueError as error:
        facts: dict[str, Any] = {"notes": [str(error)]}
    else:
        rows, notes = curve(tilted)
        facts = {
            "pieces": size,
            "rows": [as_fact(row) for row in rows],
            "notes": notes,
            "prior": tilted.prior_reward,
            "limit": [[at.kl, at.reward, at.c] for at in _points(tilted)],
            "best of n": _best_of(tilted),
        }
    write_atomic(out / FILE, json.dumps(facts, indent=1, allow_nan=False) + "\n")


def _points(tilted: TiltedPrior) -> list[Limit]:
    """Return limits from LEAST to where the pool ends, evenly spaced in log c."""
    last = tilted.reach(FEWEST)
    first = tilted.nearest(min(LEAST, last.kl))
    return [tilted.at(c) for c in np.geomspace(first.c, last.c, POINTS)]


def _best_of(tilted: TiltedPrior) -> list[list[float]]:
    """Return KL in nats per token and mean reward of the best of 1, 2, 4 and so on."""
    found, pool = [], tilted.pool
    for n in (2**power for power in range(pool.size.bit_length())):
        try:
            paid = float(best_of_n_weights(pool, n) @ pool.rewards)
        except TooFewError:
            break
        found.append([best_of_n_kl(n) / pool.cells, paid])
    return found


@dataclass(frozen=True)
class LimitCurve:
    """The content of limit.json.

    Attributes:
        rows: prior, limit and best-of-n at the standard budgets, as `standing.as_fact` gives them.
        notes: why something is missing.
        pieces: of the pool.
        prior: mean reward of the prior.
        limit: KL in nats per token, mean reward and c, in rows.
        best: KL and mean reward of best-of-n, in rows.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pieces: int = 0
    prior: float = math.nan
    limit: list[list[float]] = field(default_factory=list)
    best: list[list[float]] = field(default_factory=list)

    def at(self, kl: float) -> tuple[float, float]:
        """Return mean reward and c of the limit with a KL; NaN outside of the curve.

        Read between the points of the curve, on which reward over sqrt(KL) is nearly a line, as is
        log c over log KL.
        """
        if not self.limit or not self.limit[0][0] <= kl <= self.limit[-1][0]:
            return math.nan, math.nan
        spent, paid, c = np.array(self.limit).T
        reward = np.interp(kl**0.5, spent**0.5, paid)
        return float(reward), float(np.exp(np.interp(np.log(kl), np.log(spent), np.log(c))))

    def standing(self, kl: float, reward: float) -> dict[str, float]:
        """Return the gap in nats a piece and the share of the possible gain of a method.

        As `agents.evaluating.standing.Standing` has them: where the KL is the limit's own, the gap
        log Z - (E[r / c] - KL) is the difference of the rewards divided by c.
        """
        best, c = self.at(kl)
        return {"gap": (best - reward) / c, "share": (reward - self.prior) / (best - self.prior)}


def read_limits(out: Path) -> LimitCurve:
    """Return the limit of a benchmark; empty where none was measured.

    Raises:
        ValueError: limit.json is damaged.
    """
    if not (out / FILE).is_file():
        return LimitCurve()
    facts = read_facts(out / FILE)
    try:
        return LimitCurve(**{"best" if k == "best of n" else k: v for k, v in facts.items()})
    except TypeError as error:
        raise ValueError(f"{out / FILE} is damaged: {error}; remove it, it is made anew") from None
