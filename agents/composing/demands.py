"""Pieces that keep every demand, or a word on which demand could not be kept.

The demands look at each token that is likely at a cell. One that breaks a demand, or after which a
demand can no longer be kept, is forbidden; of the others one is drawn as the network has them. A
piece that has no token left is given up.

Such a draw is bent where little is permitted, and a cadence that is bent keeps the letter and is
none. So each piece carries a weight, the share of the network's probability that was permitted to
it so far, cells that are given included; pieces of much weight go on in the place of those of
little, and of more pieces than are wanted those of more weight are kept. That is a particle filter
(Gordon, Salmond and Smith 1993; Doucet and Johansen 2009), which comes near to what the network
would have written had it known the demands. At the end every demand judges the whole piece once
more, so nothing comes out that was not found to keep them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from agents.composing.compute import Compute, Meter, Reader
from agents.composing.ranking import rank
from agents.composing.search import Found
from envs.music.score import Score
from envs.music.tape import Array
from pretrained.prior import AutoregressivePrior, draw
from rewards.masks import MARK, children, refused
from rewards.measures.novelty import novelty
from rewards.objective import find_prior
from rewards.sum import RewardSum
from rewards.term import Term

Demands = Mapping[str, Term]
FEWEST = 32  # pieces begun in a round
ENOUGH = 1000  # pieces, all stopped at given cells, after which to give up
HOPELESS = 5000  # pieces, none of which keeps the demands, after which to give up
MOST_CELLS = 2**18  # of pieces begun together: bounds memory
SPARE = 2  # pieces that keep all demands for each one wanted
FEW = 0.25  # of the pieces begun: with fewer effective ones, others go on in their place
RARE = 1e-3  # chance below which a token is asked about only if nothing likelier is permitted
BENT = 0.05  # share below which the last cell of a phrase is bent rather than written
LEAST = 1e-9  # share of the probability below which it makes no difference how little it is


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
    """Return True at each cell seen where a demand is broken: its value times its sign costs."""
    return np.asarray(term.rule(score)) * term.factor < 0


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

    It is given up earlier when none of the first thousands does.

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
    if find_prior(demands.values()) is not None:
        raise ValueError("a prior's log p is no demand; expected rules, such as in_key")
    if n < 1 or budget < 1 or not temperature > 0 or page.finished or page.batch != 1:
        raise ValueError("expected n and budget from 1, a temperature above 0, a page to write on")
    for name, term in demands.items():
        if not term.cellwise:
            raise ValueError(
                f"{name} cannot be demanded: expected a function marked cellwise. {MARK}"
            )
        if page.n_written and np.broadcast_to(breaks(term, page), page.tokens.shape).any():
            raise ValueError(f"the primer breaks {name} already; change it, or leave {name} out")
    rng, meter = torch.Generator().manual_seed(seed), Meter()
    found, kept, weights = Kept(None), list[Array](), list[Array]()
    most = max(1, MOST_CELLS // page.task.steps)
    while (have := sum(map(len, kept))) < n * SPARE and found.begun < budget:
        rate = max(have, 1) / found.begun if found.begun else 1.0
        wanted = int(1.2 * (n * SPARE - have) / rate) + FEWEST
        size = min(wanted, most, budget - found.begun)
        draw = _Draw(network, page.take(np.zeros(size, int)), demands, rng, temperature, found)
        draw.finish(meter)
        found.begun += size
        if len(draw.weight):
            tokens, weight = _judged(draw, demands, found)
            kept.append(tokens)
            weights.append(weight)
        if not any(map(len, kept)) and (found.at_given > ENOUGH or found.begun >= HOPELESS):
            break  # what is given breaks the demand, whatever is drawn; or nothing keeps it
    if any(map(len, kept)):
        best = _heaviest(np.concatenate(weights), n, rng)
        found.pieces = Score(np.concatenate(kept)[best], page.task)
    found.compute = meter.read()
    return found


class _Draw:
    """Pieces that are written together.

    Attributes:
        score: those that go on.
        weight: (B,) log of the share of probability that each was left; none if none goes on.
        shared: whether some of them have had one beginning.
    """

    def __init__(
        self, network: AutoregressivePrior, score: Score, demands: Demands, rng: torch.Generator,
        temperature: float, found: Kept,
    ) -> None:  # fmt: skip
        self.network, self.score, self.demands = network, score, demands
        self.rng, self.temperature, self.found = rng, temperature, found
        self.size, self.weight, self.shared = score.batch, np.zeros(score.batch), False

    def finish(self, meter: Meter) -> None:
        """Write on until all cells are written, or no piece is left."""
        reader = Reader(self.network, self.score, meter)
        while not self.score.finished:
            tokens, weight = self._next(reader.logits() / self.temperature, meter)
            self.weight = self.weight + weight
            alive = np.flatnonzero(self.weight > -np.inf)
            if not len(alive):
                self.weight = self.weight[:0]
                return
            again = self._at_bar_line() and _effective(self.weight) < FEW * self.size
            if again:
                alive = self._resampled()
            if again or len(alive) < self.score.batch:
                self.score, tokens = self.score.take(alive), tokens[alive]
                self.weight = self.weight[alive]
                reader.take(alive)
            self.score = self.score.write(tokens)
            reader.read(tokens)

    def _at_bar_line(self) -> bool:
        """Whether the next cell is the last of a bar and not of the piece."""
        task = self.score.task
        after = self.score.n_written // task.voices + 1
        last_voice = self.score.n_written % task.voices == task.voices - 1
        return last_voice and after in task.bar_lines

    def _resampled(self) -> Array:
        """Numbers of pieces that go on, each in proportion to its weight: systematic resampling."""
        share = np.exp(self.weight - self.weight.max())
        mean = share.sum() / self.size
        places = (np.arange(self.size) + torch.rand(1, generator=self.rng).item()) * mean
        rows = np.searchsorted(np.cumsum(share), places, side="right").clip(max=len(share) - 1)
        self.weight = np.full(len(share), np.log(mean) + self.weight.max())
        self.shared = True
        return rows

    def _next(self, logits: torch.Tensor, meter: Meter) -> tuple[Array, Array]:
        """A token (B,) for each piece that is permitted, and log of the share that was (B,).

        That is -inf for a piece that is given up.
        """
        task, at = self.score.task, self.score.n_written // self.score.task.voices
        free = self.score.allowed()
        fixed = free.sum(axis=1) == 1
        chance = logits.softmax(dim=1).numpy()
        likely = free & (chance >= RARE)
        likely[fixed] = free[fixed]
        permitted, blame = self._permitted(likely, chance, meter)
        none = ~permitted.any(axis=1) & ~fixed
        if none.any():
            others, more = self._permitted(free & ~likely & none[:, None], chance, meter)
            permitted, blame = permitted | others, blame + more
        share = (chance * permitted).sum(axis=1, dtype=np.float64)
        # The last note of a phrase is not bent: it would keep the letter only.
        bent = bool(task.phrase_ends[at]) & (share < BENT) & ~fixed
        lost = bent | ~permitted.any(axis=1)
        if lost.any():
            names = list(self.demands)
            why = blame[lost].argmax(axis=1).tolist()  # the demand that took most of it
            self.found.broken.update(names[number] for number in why)
            self.found.at_given += int((lost & fixed).sum())
        left = torch.from_numpy(permitted | lost[:, None])
        tokens = draw(logits.masked_fill(~left, -torch.inf), self.rng).numpy()
        return tokens, np.where(lost, -np.inf, np.log(np.maximum(share, LEAST)))

    def _permitted(self, asked: Array, chance: Array, meter: Meter) -> tuple[Array, Array]:
        """Which of the tokens asked for break nothing (B, vocab), and what each demand took.

        The second is (B, demands): the chance of tokens that a demand was the first to refuse.
        """
        permitted, blame = asked.copy(), np.zeros((len(asked), len(self.demands)))
        if not self.demands:
            return permitted, blame
        for rows, tokens, child in children(self.score, asked):
            meter.cells += len(rows)
            here = child.newest
            broken = np.array(
                [refused(term.rule, here, term.factor)[:, 0, 0] for term in self.demands.values()]
            )
            bad = broken.any(axis=0)
            permitted[rows[bad], tokens[bad]] = False
            np.add.at(
                blame,
                (rows[bad], broken[:, bad].argmax(axis=0)),
                np.maximum(chance[rows[bad], tokens[bad]], LEAST),
            )
        return permitted, blame


def _effective(weight: Array) -> float:
    """Effective number of pieces of some log weights (Kong, Liu and Wong 1994)."""
    share = np.exp(weight - weight.max())
    return float(share.sum() ** 2 / (share**2).sum())


def _heaviest(weight: Array, n: int, rng: torch.Generator) -> Array:
    """Numbers of `n` pieces drawn without replacement in proportion to their weights, in order."""
    noise = torch.empty(len(weight), dtype=torch.float64).exponential_(generator=rng).numpy()
    return np.sort(np.argsort(np.log(noise) - weight, kind="stable")[:n])


def _judged(draw: _Draw, demands: Demands, found: Kept) -> tuple[Array, Array]:
    """Tokens and weights of the finished pieces that keep every demand.

    Pieces that went on from one beginning and were written alike are one, of all their weight.
    """
    score, good = draw.score, np.ones(draw.score.batch, bool)
    for name, term in demands.items():
        broken = np.broadcast_to(breaks(term, score), score.tokens.shape).any(axis=(1, 2))
        found.broken[name] += int((good & broken).sum())
        good &= ~broken
    found.broken = +found.broken
    tokens, weight = score.tokens[good], draw.weight[good]
    if not draw.shared or not len(tokens):
        return tokens, weight
    tokens, same = np.unique(tokens, axis=0, return_inverse=True)
    together = np.full(len(tokens), -np.inf)
    np.logaddexp.at(together, same.reshape(-1), weight)
    return tokens, together


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
