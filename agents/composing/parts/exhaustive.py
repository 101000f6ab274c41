"""Depth-first search for pieces that keep all demands; it finds them, or proves that none is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from agents.composing.compute import Compute, ComputeMeter
from agents.composing.masks import Demands, judged, keeping, offered
from agents.composing.ranking import rank
from agents.composing.search import SearchResult
from envs.music.score import Score
from envs.music.tape import Array
from pretrained.prior import ILLEGAL, Prior
from rewards.sum import RewardSum

WIDTH = 64  # beginnings that go on together
BUDGET = 1_000_000  # tokens that a search judges at most
RESTARTS = (0.03, 0.06, 0.12, 1.0)  # of BUDGET, for a search of FEW pieces; the last has all of it
FEW = 16  # pieces
ANOTHER = 1_000_003  # between the seeds of two orders
RARE = 1e-2  # ways on that are so much less likely than the likeliest wait until all else is tried


@dataclass
class Exhausted:
    """The result of a search.

    Attributes:
        pieces: at most as many as were asked for; None if there is none.
        all: True if there are no others.
        farthest: the largest number of cells, in writing order, that a beginning had which kept all
            demands.
        broken: number of ways on from such beginnings that each demand stopped, by its name.
        compute: compute used.
    """

    pieces: Score | None = None
    all: bool = False
    farthest: int = -1
    broken: Counter[str] = field(default_factory=Counter)
    compute: Compute = field(default_factory=Compute)


@dataclass(frozen=True)
class _Ways:
    """Ways on that are not tried yet: tokens (N,) for the pieces `rows` (N,) of a score."""

    score: Score
    state: Any
    rows: Array
    tokens: Array


def exhaust(
    network: Prior,
    page: Score,
    demands: Demands,
    n: int,
    seed: int = 0,
    temperature: float = 1.0,
    budget: int = BUDGET,
) -> Exhausted:
    """Search depth-first for `n` pieces that keep all demands, in an order drawn from a network.

    WIDTH beginnings go on together. Of their ways on WIDTH are drawn, by the network's
    probabilities of what is permitted, and the others wait: a stochastic beam (Kool, van Hoof and
    Welling 2019) that turns back. A search that comes to its end has tried all that the network
    does not forbid.

    Args:
        network: says which tokens are likely; those that it forbids (ILLEGAL) are not tried.
        page: an unfinished score of one piece.
        demands: cellwise terms by name.
        n: number of pieces wanted.
        seed: of the draws.
        temperature: divides the network's logits, above 0.
        budget: most tokens to judge.
    """
    rng = np.random.default_rng(seed)
    search = _Search(network, demands, temperature, rng)
    waiting, kept, count = search.ways(page, network.start(page.task, page.batch)), [], 0
    while waiting and count < n and search.meter.cells < budget:
        ways = waiting.pop()
        score = ways.score.take(ways.rows).write(ways.tokens)
        if score.finished:
            kept.append(score.tokens[keeping(score, demands)])
            count += len(kept[-1])
        else:
            waiting += search.ways(score, network.take(ways.state, torch.from_numpy(ways.rows)))
    found, tokens = search.found, np.concatenate([page.tokens[:0], *kept])[:n]
    found.all, found.compute = not waiting, search.meter.read()
    found.pieces = Score(tokens, page.task) if len(tokens) else None
    return found


@dataclass
class _Search:
    """A search under way; arguments as `exhaust` has them."""

    network: Prior
    demands: Demands
    temperature: float
    rng: np.random.Generator
    found: Exhausted = field(default_factory=Exhausted)
    meter: ComputeMeter = field(default_factory=ComputeMeter)

    def ways(self, score: Score, state: Any) -> list[_Ways]:
        """Return the ways on from an unfinished score in portions, those drawn first last."""
        logits, state = self.network.step(state, score)
        self.meter.tokens += len(logits)
        rows, tokens = self._permitted(score, logits)
        nats = (logits / self.temperature).log_softmax(dim=1).numpy()[rows, tokens]
        drawn = _drawn(nats, rows, score.batch, self.rng)
        rare = _rare(nats, rows, score.batch)
        order = np.lexsort((-drawn, rare))  # the rare last
        likely = len(rows) - int(rare.sum())
        spans = [(first, likely) for first in range(0, likely, WIDTH)]
        spans += [(first, len(rows)) for first in range(likely, len(rows), WIDTH)]
        parts = [order[first : min(first + WIDTH, end)] for first, end in spans]
        return [_Ways(score, state, rows[part], tokens[part]) for part in reversed(parts)]

    def _permitted(self, score: Score, logits: torch.Tensor) -> tuple[Array, Array]:
        """Return pieces and tokens (N,) of the ways on that break no demand; note what stops."""
        free = offered(score, self.demands)[0]
        free &= (free.sum(axis=1, keepdims=True) == 1) | (logits.numpy() > ILLEGAL / 2)
        stopped: Counter[str] = Counter()
        tried = judged(score, free.copy(), self.demands) if self.demands else ()
        for rows, tokens, broken in tried:
            self.meter.cells += len(rows)
            bad = broken.any(axis=0)
            free[rows[bad], tokens[bad]] = False
            names = list(self.demands)
            stopped.update(names[number] for number in broken[:, bad].argmax(axis=0).tolist())
        if score.n_written > self.found.farthest:
            self.found.farthest, self.found.broken = score.n_written, Counter()
        if score.n_written == self.found.farthest:
            self.found.broken.update(stopped)
        rows, tokens = np.nonzero(free)
        return rows, tokens


def _rare(nats: Array, rows: Array, pieces: int) -> Array:
    """Return True (N,) for ways on that are unlikely, where their piece has likelier ones."""
    best = np.full(pieces, -np.inf)
    np.maximum.at(best, rows, nats)
    rare: Array = nats < best[rows] + np.log(RARE)
    return rare


def _drawn(nats: Array, rows: Array, pieces: int, rng: np.random.Generator) -> Array:
    """Return perturbed log-probabilities (N,) of ways on; each piece has the same chance in all."""
    total = np.full(pieces, -np.inf)
    np.logaddexp.at(total, rows, nats)
    return nats - total[rows] + rng.gumbel(size=len(nats))


def search_exhaustively(
    network: Prior,
    page: Score,
    demands: Demands,
    reward: RewardSum,
    n: int,
    candidates: int,
    seed: int = 0,
    temperature: float = 1.0,
) -> SearchResult:
    """Return the `n` best of n * candidates pieces that keep all demands, as `exhaust` finds them.

    A search that finds too few soon begins anew in another order, with more time: a wrong choice
    early on may cost a depth-first search any time (Gomes, Selman and Kautz 1998).

    Raises:
        ValueError: fewer pieces than `n`; says which bar and which demands are in the way, and
            whether it is proved that the prior permits no others.
    """
    wanted, spent = n * candidates, Compute()
    for number, share in enumerate(RESTARTS):
        budget = min(BUDGET, int(share * BUDGET) * (1 + wanted // FEW))
        order = seed + number * ANOTHER
        found = exhaust(network, page, demands, wanted, order, temperature, budget)
        spent = spent + found.compute
        if found.all or (found.pieces is not None and found.pieces.batch >= n):
            break
    if found.pieces is None or found.pieces.batch < n:
        raise ValueError(_refusal(found, page, n))
    meter = ComputeMeter()
    returns = meter.returns(reward, found.pieces)
    best = rank(found.pieces, returns, n)
    return SearchResult(found.pieces.take(best), returns[best], spent + meter.read())


def _refusal(found: Exhausted, page: Score, n: int) -> str:
    """Return why fewer than `n` pieces were found."""
    proof = (
        "this is proved: all ways that the prior permits were tried"
        if found.all
        else "the search was not exhausted"
    )
    if found.pieces is not None:
        return f"{found.pieces.batch} pieces keep the demands, expected {n}; {proof}. Ask for fewer"
    task = page.task
    bar = (found.farthest // task.voices - task.pickup) // task.bar_cells + 1
    rules = ", ".join(f"{name} {count:,}" for name, count in found.broken.most_common(3))
    return (
        f"no piece keeps all demands; {proof}. No beginning gets beyond bar {bar}, where these "
        f"stop it: {rules}. Change what is given there, or ask for another range or species"
    )
