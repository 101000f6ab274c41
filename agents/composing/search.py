"""Searches, the opponents of learning, on the same reward and the same network.

best_of     draws many pieces and keeps the best
masked      draws with rules as hard masks
beam        keeps the best beginnings cell by cell; a guide says which of them look promising
best_known  the best piece that a beam finds behind each first token
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from agents.composing.compute import Compute, ComputeMeter, Reader, stepped_nats
from agents.composing.latent.points import Apart
from agents.composing.masks import Demands, keeping, permitted
from agents.composing.theme import Movement
from envs.music.score import Score
from envs.music.tape import Array
from pretrained.prior import Prior, draw, sample
from rewards.masks import children, permits
from rewards.objective import Objective
from rewards.sum import RewardSum, total

DRAWN_PIECES = 1024  # sampled at once
NONE: Demands = MappingProxyType({})


@dataclass(frozen=True)
class SearchResult:
    """Finished pieces of a search.

    Attributes:
        score: the pieces.
        returns: (B,) float64, the sum that the reward pays for each.
        compute: compute used.
        movements: of each piece from its theme or themes; empty if there is none.
    """

    score: Score
    returns: Array
    compute: Compute
    movements: tuple[Movement | Apart, ...] = ()


def _require_search(page: Score, **counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name}={value!r}: expected a whole number, at least 1")
    if page.finished:
        raise ValueError("the page is full; expected an unfinished score, as task.sample() gives")


# -- drawing ---------------------------------------------------------------------------------------


def best_of(
    prior: Prior,
    page: Score,
    reward: RewardSum,
    n: int,
    seed: int = 0,
    temperature: float = 1.0,
) -> SearchResult:
    """Return for each piece of a page the best of `n` that a prior draws.

    With n=1 these are the pieces of `pretrained.prior.sample`. The same seed with twice an n that
    is a power of 2 draws the same pieces first, while n times the pieces is at most DRAWN_PIECES.

    Args:
        prior: draws the pieces.
        page: an unfinished score.
        reward: says what is best.
        n: draws for each piece.
        seed: of the draws.
        temperature: of the draws, above 0; 1 is the prior as it is.

    Raises:
        ValueError: `n` below 1, a temperature not above 0, a full page.
    """
    _require_search(page, n=n)
    meter, rng, pieces = ComputeMeter(), torch.Generator().manual_seed(seed), np.arange(page.batch)
    tokens, returns = page.tokens, np.full(page.batch, -np.inf)
    most, done = max(1, DRAWN_PIECES // page.batch), 0
    while done < n:
        rounds = min(max(1, done), most, n - done)  # as many again: so twice the n goes on
        drawn = sample(prior, page.take(np.tile(pieces, rounds)), rng, temperature)
        meter.tokens += drawn.batch * page.task.steps
        paid = meter.returns(reward, drawn).reshape(rounds, page.batch)
        best = paid.argmax(axis=0)
        paid = paid[best, pieces]
        better = paid > returns
        tokens = np.where(better[:, None, None], drawn.tokens[best * page.batch + pieces], tokens)
        returns = np.where(better, paid, returns)
        done += rounds
    return SearchResult(Score(tokens, page.task), returns, meter.read())


def masked(
    prior: Prior,
    page: Score,
    rules: RewardSum,
    seed: int = 0,
    temperature: float = 1.0,
    reward: RewardSum | None = None,
) -> SearchResult:
    """Draw from a prior without the tokens that a rule would count against the piece.

    Where a rule leaves a piece no token it is not kept, see `rewards.masks.permits`.

    Args:
        prior: draws the pieces.
        page: an unfinished score.
        rules: cell-wise terms, the most important first; the sign of a weight says what costs.
        seed: of the draw.
        temperature: of the draw, above 0; 1 is the prior as it is.
        reward: pays the returns; the rules if None.

    Raises:
        ValueError: a term that cannot be a mask, a temperature not above 0, a full page.
    """
    _require_search(page)
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: expected a number above 0")
    if Objective(rules).prior is not None:
        raise ValueError("a prior's log p cannot be a mask; expected rules, such as in_key")
    meter, rng, score = ComputeMeter(), torch.Generator().manual_seed(seed), page
    reader = Reader(prior, page, meter)
    while not score.finished:
        tried = int(score.allowed().sum())
        meter.cells += tried + (score.batch if score.n_written else 0)
        logits = _permitted_logits(reader.logits(score) / temperature, rules, score)
        score = score.write(draw(logits, rng).numpy())
    returns = meter.returns(rules if reward is None else reward, score)
    return SearchResult(score, returns, meter.read())


def _permitted_logits(logits: Tensor, rules: RewardSum, score: Score) -> Tensor:
    """Return logits (B, vocab) of the next cell, -inf for the tokens that rules forbid."""
    masks = [(term.rule, term.factor) for term in rules.terms.values()]
    return logits.masked_fill(~torch.from_numpy(permits(masks, score)), -torch.inf)


def masked_nats(network: Prior, pieces: Score, rules: RewardSum) -> Array:
    """Return log-probabilities (B, V, T), in nats, of finished pieces under `masked`.

    At each cell they are those of the network's distribution over the permitted tokens, made to
    sum to 1 again. A given cell costs nothing.
    """
    return stepped_nats(network, pieces, lambda x, score: _permitted_logits(x, rules, score))


# -- beam search -----------------------------------------------------------------------------------


class _Judge:
    """Values each way to go on; the networks behind the values read along.

    Args:
        objective: pays; its prior is stepped.
        page: where the search begins.
        meter: counts.
        guide: a network that leads but does not pay.
    """

    def __init__(
        self, objective: Objective, page: Score, meter: ComputeMeter, guide: Prior | None
    ) -> None:
        self._rules, self._meter = objective.rules, meter
        if self._rules is not None:
            self._rules.prepare(page.task)
        likelihood, self._weight = objective.likelihood, objective.log_p_weight
        self._floor = 0.0 if likelihood is None else likelihood.floor
        self._prior = None if likelihood is None else Reader(likelihood.prior, page, meter)
        self._guide = None if guide is None else Reader(guide, page, meter)

    def paid(self, score: Score, tokens: Array) -> Array:
        """Return the reward (N,) of each token marked in (B, vocab), in order of `np.nonzero`."""
        paid = np.zeros(np.count_nonzero(tokens))
        if self._rules is not None:
            self._meter.cells += len(paid)
            if score.n_written:
                self._meter.cells += score.batch
                self._rules.newest(score)  # computed once here, not by every child
            parts = [total(self._rules.newest(child)) for _, _, child in children(score, tokens)]
            paid += np.concatenate(parts)
        if self._prior is not None:
            paid += self._weight * np.maximum(self._prior.nats(score), self._floor)[tokens]
        return paid

    def led(self, score: Score, tokens: Array) -> Array | float:
        """Return the guide's log-probability (N,) of each marked token, 0 without a guide."""
        return 0.0 if self._guide is None else self._guide.nats(score)[tokens]

    def take(self, rows: Array) -> None:
        """Go on with the pieces `rows` (N,)."""
        for reader in (self._prior, self._guide):
            if reader is not None:
                reader.take(rows)


def _first_tokens(page: Score, first: int | None, demands: Demands) -> Array:
    """Return the tokens (1, vocab) that may be written first: `first`, or any if it is None."""
    if page.batch != 1:
        raise ValueError(
            f"the page has {page.batch} pieces, expected one; take it with page.take([0])"
        )
    allowed = permitted(page, demands)
    if first is None:
        return allowed
    known = np.flatnonzero(allowed[0]).tolist()
    if first not in known:
        raise ValueError(f"first={first!r}: expected a token that is allowed there, {known}")
    return allowed & (np.arange(allowed.shape[1]) == first)


def beam(
    page: Score,
    reward: RewardSum,
    width: int,
    *,
    n: int = 1,
    guide: Prior | None = None,
    first: int | None = None,
    demands: Demands = NONE,
) -> SearchResult:
    """Search by a beam for the best pieces: after each cell the `width` best beginnings go on.

    A beginning is worth the sum that the reward has paid so far; terms of the whole piece are
    paid at its end. Of equal beginnings the one that was ahead goes first, then the lower token.

    Args:
        page: an unfinished score of one piece.
        reward: what is sought. Its prior is stepped, with its weight and floor.
        width: beginnings that are kept.
        n: pieces wanted, at most `width`; there may be fewer.
        guide: a network, such as a trained policy, whose log-probabilities are added where
            beginnings are chosen; among finished pieces the reward alone chooses.
        first: the first token to be written; free if None.
        demands: cellwise terms that every piece keeps, by name.

    Returns:
        the best pieces, best first, and what the reward pays for them.

    Raises:
        ValueError: `width` or `n` out of range, a page that is full or of several pieces, a first
            token that is not allowed, no piece that keeps the demands.
        RewardError: a term of the reward fails or looks ahead.
    """
    _require_search(page, width=width, n=n)
    if n > width:
        raise ValueError(f"width={width}: expected at least n={n}, a beam ends with no more")
    meter, allowed = ComputeMeter(), _first_tokens(page, first, demands)
    objective = Objective(reward)
    if not objective.log_p_weight and objective.rules is not None:
        objective = Objective(objective.rules)  # a prior of weight 0 need not be run
    judge = _Judge(objective, page, meter, guide)
    score = _best_ways(page, judge, allowed, width, n, demands)
    returns = meter.returns(objective.reward, score)
    order = np.argsort(-returns, kind="stable")
    return SearchResult(score.take(order), returns[order], meter.read())


def _best_ways(
    score: Score, judge: _Judge, allowed: Array, width: int, n: int, demands: Demands
) -> Score:
    """Return the `n` pieces that pay best of those that a beam reaches.

    Args:
        score: an unfinished score of one piece.
        judge: values the ways to go on, and has read the score.
        allowed: (1, vocab) the tokens that may be written first.
        width: beginnings that are kept.
        n: pieces wanted, at most `width`; there may be fewer.
        demands: kept by all of them.
    """
    paid, led = np.zeros(1), np.zeros(1)
    while not score.finished:
        last = score.n_written == score.task.steps - 1
        if not allowed.any():
            raise _unmet(demands, width)
        rows, tokens = np.nonzero(allowed)
        paid, led = paid[rows] + judge.paid(score, allowed), led[rows]
        if not last:
            led = led + judge.led(score, allowed)
        hope = paid if last else paid + led
        best = np.argsort(-hope, kind="stable")[: n if last else width]
        rows, tokens, paid, led = rows[best], tokens[best], paid[best], led[best]
        score = score.take(rows).write(tokens)
        if not last:
            judge.take(rows)
            allowed = permitted(score, demands)
    good = np.flatnonzero(keeping(score, demands))
    if not len(good):
        raise _unmet(demands, width)
    return score.take(good)


def _unmet(demands: Demands, width: int) -> ValueError:
    return ValueError(
        f"no piece in a beam of width {width} meets all demands: {', '.join(demands)}; expected at "
        "least one. Ask for a larger `width`, leave a demand out, or draw with the method sample"
    )


def best_known(
    page: Score,
    reward: RewardSum,
    width: int,
    n: int | None = None,
    demands: Demands = NONE,
) -> SearchResult:
    """Return the best piece that a beam of `width` finds behind each first token.

    A beam of one page is soon filled by the first tokens that pay at once; this one is not.

    Args:
        page: an unfinished score of one piece.
        reward: all that counts.
        width: of each beam.
        n: number of pieces to return; all of them if None.
        demands: cellwise terms that every piece keeps, by name.

    Returns:
        the best pieces, best first, what the reward pays for them, and the compute of all beams.

    Raises:
        ValueError, RewardError: as `beam`.
    """
    _require_search(page, width=width)
    starts = np.flatnonzero(permitted(page, demands)[0]).tolist()
    found = [beam(page, reward, width, first=start, demands=demands) for start in starts]
    returns = np.concatenate([result.returns for result in found])
    order = np.argsort(-returns, kind="stable")[:n]
    tokens = np.concatenate([result.score.tokens for result in found])[order]
    compute = sum((result.compute for result in found), Compute())
    return SearchResult(Score(tokens, page.task), returns[order], compute)
