"""Pieces that keep every demand, or a word on which demand could not be kept.

A token is drawn, the demands look at it, and one that breaks a demand is drawn again without it:
the same as drawing from the network's distribution over what is permitted. A piece that has no
token left is given up. So is one whose phrase ends wrongly: a last short note bent to what is asked
would keep the letter of a cadence, and be none; pieces that ended it well go on in its place, as
in a particle filter. At the end every demand judges the whole piece once more, so nothing comes out
that was not found to keep them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from agents.compute import Compute, Meter, Reader
from agents.ranking import rank
from agents.search import Found
from envs.score import Score
from envs.tape import Array
from pretrained.prior import AutoregressivePrior, draw
from rewards.likelihood import Likelihood
from rewards.novelty import novelty
from rewards.total import RewardSum, Term

Demands = Mapping[str, Term]

FEWEST = 32  # pieces begun in a round
ENOUGH = 1000  # pieces, all stopped at given cells, after which to give up
MOST_CELLS = 2**18  # of pieces begun together: bounds memory


@dataclass
class Kept:
    """What a search for pieces that keep all demands found.

    Attributes:
        pieces: those that do, at most as many as were asked for; None if there is none.
        begun: pieces that were begun.
        at_given: those of them that a given cell stopped.
        broken: how often each demand stopped a piece, by its name.
        compute: what it cost.
    """

    pieces: Score | None
    begun: int = 0
    at_given: int = 0  # pieces that were given up at a cell that nobody can choose
    broken: Counter[str] = field(default_factory=Counter)
    compute: Compute = field(default_factory=Compute)

    @property
    def count(self) -> int:
        """How many pieces were found."""
        return 0 if self.pieces is None else self.pieces.batch

    def __str__(self) -> str:
        told = ", ".join(f"{name} {count:,}" for name, count in self.broken.most_common())
        return f"{self.count} of {self.begun:,} pieces kept all demands" + (
            f"; stopped by {told}" if told else ""
        )


def breaks(term: Term, score: Score) -> Array:
    """Whether a demand is broken at each cell seen, bool: where its value times its sign costs."""
    return np.asarray(term.fn(score)) * term.factor < 0


def keep(
    network: AutoregressivePrior,
    page: Score,
    demands: Demands,
    n: int,
    seed: int = 0,
    temperature: float = 1.0,
    budget: int = 20_000,
) -> Kept:
    """Draw until `n` pieces keep all demands, or `budget` pieces have been begun.

    Args:
        network: draws the pieces.
        page: an unfinished score of one piece.
        demands: cell-wise terms by name, none of them for any piece; the sign of a weight says
            what breaks them.
        n: pieces wanted.
        seed: of the draw.
        temperature: of the draw, above 0.
        budget: pieces to begin at most.

    Raises:
        ValueError: a prior among the demands, a full page, a number out of range.
    """
    if any(isinstance(term.fn, Likelihood) for term in demands.values()):
        raise ValueError("a prior's log p is no demand; expected rules, such as in_key")
    if n < 1 or budget < 1 or not temperature > 0 or page.finished or page.batch != 1:
        raise ValueError("expected n and budget from 1, a temperature above 0, a page to write on")
    for name, term in demands.items():
        if page.n_written and np.broadcast_to(breaks(term, page), page.tokens.shape).any():
            raise ValueError(f"the primer breaks {name} already; change it, or leave {name} out")
    rng, meter = torch.Generator().manual_seed(seed), Meter()
    found, kept = Kept(None), list[Array]()
    most = max(1, MOST_CELLS // page.task.steps)
    while sum(map(len, kept)) < n and found.begun < budget:
        have = sum(map(len, kept))
        rate = max(have, 1) / max(found.begun, 1) if found.begun else 1.0
        wanted = int(1.2 * (n - have) / rate) + FEWEST
        size = min(wanted, most, budget - found.begun)
        whole = _round(
            network, page.take(np.zeros(size, int)), demands, rng, temperature, found, meter
        )
        found.begun += size
        if found.at_given == found.begun > ENOUGH:
            break  # what is given breaks the demand, whatever is drawn
        if whole is not None:
            kept.append(_judged(whole, demands, found))
    tokens = np.concatenate(kept)[:n] if kept else np.empty((0,))
    found.pieces = Score(tokens, page.task) if len(tokens) else None
    found.compute = meter.read()
    return found


def _round(
    network: AutoregressivePrior, score: Score, demands: Demands, rng: torch.Generator,
    temperature: float, found: Kept, meter: Meter,
) -> Score | None:  # fmt: skip
    """The pieces of a page that could be written to the end."""
    reader = Reader(network, score, meter)
    while not score.finished:
        logits = reader.logits() / temperature
        tokens, alive = _next(score, logits, demands, rng, found, meter)
        if not len(alive):
            return None
        if len(alive) < score.batch:
            time = score.n_written // score.task.voices
            if score.task.phrase_ends[time] and time < score.task.cells - 1:
                # Those that ended a phrase well go on in several ways, as many as there were.
                alive = np.resize(alive, score.batch)
            score, tokens = score.take(alive), tokens[alive]
            reader.take(alive)
        score = score.write(tokens)
        reader.read(tokens)
    return score


def _next(
    score: Score, logits: torch.Tensor, demands: Demands, rng: torch.Generator, found: Kept,
    meter: Meter,
) -> tuple[Array, Array]:  # fmt: skip
    """A token (B,) for each piece that breaks nothing, and the numbers of those that have one."""
    free = score.task.codec.allowed(score)
    fixed = bool((free.sum(axis=1) == 1).all())
    ending = bool(score.task.phrase_ends[score.n_written // score.task.voices])
    names = list(demands)
    chosen, open_rows = np.zeros(score.batch, np.int64), np.arange(score.batch)
    lost = np.zeros(score.batch, bool)
    while len(open_rows):
        left = torch.from_numpy(free[open_rows])
        tokens = draw(logits[open_rows].masked_fill(~left, -torch.inf), rng).numpy()
        chosen[open_rows] = tokens
        child = score.take(open_rows).write(tokens)
        meter.cells += len(open_rows)
        broken = np.array([breaks(term, child.newest)[:, 0, 0] for term in demands.values()])
        bad = broken.any(axis=0) if names else np.zeros(len(open_rows), bool)
        free[open_rows[bad], tokens[bad]] = False
        hopeless = bad & (ending | ~free[open_rows].any(axis=1))
        if hopeless.any():
            why = broken[:, hopeless].argmax(axis=0)  # the first demand that a piece broke
            found.broken.update(names[number] for number in why.tolist())
            found.at_given += fixed * int(hopeless.sum())
            lost[open_rows[hopeless]] = True
        open_rows = open_rows[bad & ~hopeless]
    return chosen, np.flatnonzero(~lost)


def _judged(score: Score, demands: Demands, found: Kept) -> Array:
    """Tokens of the finished pieces that keep every demand."""
    good = np.ones(score.batch, bool)
    for name, term in demands.items():
        broken = np.broadcast_to(breaks(term, score), score.tokens.shape).any(axis=(1, 2))
        found.broken[name] += int((good & broken).sum())
        good &= ~broken
    found.broken = +found.broken
    kept = score.tokens[good]
    if not score.task.phrase_ends[:-1].any():
        return kept
    _, first = np.unique(kept, axis=0, return_index=True)  # of two that went on alike, one
    return kept[np.sort(first)]


def best_kept(
    network: AutoregressivePrior, page: Score, demands: Demands, reward: RewardSum, n: int,
    candidates: int, seed: int = 0, temperature: float = 1.0,
) -> Found:  # fmt: skip
    """The `n` best of n * candidates pieces that keep all demands, no two nearly the same.

    Raises:
        ValueError: fewer than asked for were found, or are no near-copies of what the prior
            learned from; says what stood in the way.
    """
    found = keep(network, page, demands, n * candidates, seed, temperature)
    if found.pieces is None or found.count < n:
        raise ValueError(
            f"the demands cannot be met: {found}; expected {n}. Leave one out, or ask for more "
            "bars or a wider range"
        )
    meter, pieces = Meter(), found.pieces
    returns = meter.returns(reward, pieces)

    own = bool(page.task.free.all()) and not page.n_written  # what is given may be any tune

    def copied(row: int) -> bool:
        return own and novelty(pieces[row : row + 1])[0].near_copy

    best = rank(pieces, returns, n, refuse=copied)
    if len(best) < n:
        raise ValueError(
            f"of {pieces.batch} candidates only {len(best)} are no near-copies of tunes that the "
            f"prior learned from; expected {n}. Ask for more --candidates or another --seed"
        )
    return Found(pieces.take(best), returns[best], found.compute + meter.read())
