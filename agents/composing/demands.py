"""Search for pieces that meet all demands, by a particle filter.

At each cell the demands are computed for each likely token. A token that breaks a demand, or after
which a demand can no longer be met, is forbidden; the network draws one of the others. A piece
without any permitted token is abandoned.

Where few tokens are permitted, these draws are far from what the network would write: a forced
cadence meets the rule without being one. So each piece has a weight, the product of the shares of
probability that were permitted, given cells included. Pieces of large weight replace those of small
weight, and among the finished pieces those of larger weight are preferred. This is a particle
filter (Gordon, Salmond and Smith 1993; Doucet and Johansen 2009), which approximates the network's
distribution given the demands. At the end every demand is computed on the whole piece again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import torch

from agents.composing.asked import give_up
from agents.composing.compute import Compute, ComputeMeter, Reader
from agents.composing.masks import Demands, breaks, judged, offered
from envs.music.codec import UNWRITTEN
from envs.music.score import Score
from envs.music.tape import Array
from pretrained.prior import Prior, draw
from rewards.masks import permits, require_cellwise
from rewards.objective import find_prior
from rewards.sum import RewardSum

FEWEST = 32  # least number of pieces begun in a round
ENOUGH = 1000  # stop after so many voices of pieces that were all abandoned at given cells
HOPELESS = 5000  # stop after so many voices of pieces, none of which meets the demands
MOST_CELLS = 2**18  # of pieces begun together: bounds memory
SPARE = 2  # pieces that meet all demands for each one wanted
FEW = 0.25  # resample if the effective number is a smaller share of the pieces begun
RARE = 1e-3  # tokens of lower probability are tried only if no likelier one is permitted
BENT = 0.05  # abandon a piece whose permitted share at the last cell of a phrase is lower
LEAST = 1e-9  # lower bound of a permitted share


@dataclass
class Kept:
    """The result of a search for pieces that meet all demands.

    Attributes:
        pieces: at most as many as were asked for; None if there is none.
        begun: number of pieces begun.
        at_given: number of pieces abandoned at a given cell.
        broken: number of pieces that each demand stopped, by its name.
        bars: number of pieces that each demand stopped in each bar, by its name and the bar's
            number; a pickup is bar 0.
        compute: compute used.
    """

    pieces: Score | None = None
    begun: int = 0
    at_given: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    bars: Counter[tuple[str, int]] = field(default_factory=Counter)
    compute: Compute = field(default_factory=Compute)

    @property
    def count(self) -> int:
        """Number of pieces that meet all demands."""
        return 0 if self.pieces is None else self.pieces.batch

    def __str__(self) -> str:
        stopped = ", ".join(
            f"{name} {count:,}{self._where(name)}" for name, count in self.broken.most_common()
        )
        return f"{self.count} of {self.begun:,} pieces kept all demands" + (
            f"; stopped by {stopped}" if stopped else ""
        )

    def _where(self, name: str) -> str:
        """Return the bar in which a demand stopped most pieces, in words."""
        bars = Counter({bar: count for (each, bar), count in self.bars.items() if each == name})
        return f" (most in bar {bars.most_common(1)[0][0]})" if bars else ""


def keep(
    network: Prior,
    page: Score,
    demands: Demands,
    n: int,
    seed: int = 0,
    temperature: float = 1.0,
    budget: int = 20_000,
    masks: RewardSum | None = None,
) -> Kept:
    """Draw until `n` pieces meet all demands, or `budget` pieces have been begun.

    The search stops earlier if none of the first thousands does.

    Args:
        network: draws the pieces.
        page: an unfinished score of one piece.
        demands: cellwise terms by name, possibly none; a negative value times weight breaks one.
        n: number of pieces wanted.
        seed: seed of the draws.
        temperature: divides the network's logits, above 0.
        budget: most pieces to begin.
        masks: cellwise terms that are kept as masks where the demands leave a choice.

    Raises:
        ValueError: a prior among the demands, a full page, a number out of range.
    """
    if find_prior(demands.values()) is not None:
        raise ValueError("a prior's log p is no demand; expected rules, such as in_key")
    if n < 1 or budget < 1 or not temperature > 0 or page.finished or page.batch != 1:
        raise ValueError("expected n and budget from 1, a temperature above 0, a page to write on")
    for name, term in demands.items():
        require_cellwise(term.rule)
        if page.n_written and breaks(term, page).any():
            raise ValueError(f"the primer breaks {name} already; change it, or {give_up(name)}")
    rng, meter, found = torch.Generator().manual_seed(seed), ComputeMeter(), Kept()
    kept, weights = page.tokens[:0], np.empty(0)
    most = max(1, MOST_CELLS // page.task.steps)
    while len(kept) < n * SPARE and found.begun < budget:
        rate = max(len(kept), 1) / found.begun if found.begun else 1.0
        wanted = int(1.2 * (n * SPARE - len(kept)) / rate) + FEWEST
        size = min(wanted, most, budget - found.begun)
        pieces = page.take(np.zeros(size, int))
        draw = _Draw(network, pieces, demands, rng, temperature, found, meter, masks)
        tokens, weight = draw.finish()
        found.begun += size
        kept, weights = np.concatenate([kept, tokens]), np.concatenate([weights, weight])
        voices = page.task.voices
        if not len(kept) and (found.at_given * voices > ENOUGH or found.begun * voices >= HOPELESS):
            break  # the given cells break a demand, or nothing meets the demands
    if len(kept):
        found.pieces = Score(kept[_heaviest(weights, n, rng)], page.task)
    found.compute = meter.read()
    return found


@dataclass
class _Draw:
    """Pieces that are written together, cell by cell.

    Attributes:
        network, demands, temperature, masks: as `keep` has them.
        score: the pieces that are not abandoned.
        rng: draws.
        found: counts the pieces that are abandoned.
        meter: counts the cells that demands look at.
        shared: True if pieces were resampled, so that some have a common beginning.
        forced: True (B,) where a demand left a single token at the newest cell, as a phrase that
            comes back does.
    """

    network: Prior
    score: Score
    demands: Demands
    rng: torch.Generator
    temperature: float
    found: Kept
    meter: ComputeMeter
    masks: RewardSum | None = None
    shared: bool = False

    def __post_init__(self) -> None:
        self.reader = Reader(self.network, self.score, self.meter)
        self.size, self.weight = self.score.batch, np.zeros(self.score.batch)  # log weights
        self.forced = np.zeros(self.score.batch, bool)

    def finish(self) -> tuple[Array, Array]:
        """Write all cells; return tokens and log weights of the pieces that meet every demand."""
        while not self.score.finished:
            tokens, weight = self._next(self.reader.logits(self.score) / self.temperature)
            self.weight = self.weight + weight
            alive = np.flatnonzero(self.weight > -np.inf)
            if not len(alive):
                return self.score.tokens[:0], self.weight[:0]
            again = self._at_bar_line() and _effective(self.weight) < FEW * self.size
            if again:
                alive = self._resampled()
            if again or len(alive) < self.score.batch:
                self.score, tokens = self.score.take(alive), tokens[alive]
                self.weight, self.forced = self.weight[alive], self.forced[alive]
                self.reader.take(alive)
            self.score = self.score.write(tokens)
        return self._good()

    def _at_bar_line(self) -> bool:
        """True if the next cell is the last of a bar and not of the piece."""
        time, voice = divmod(self.score.n_written, self.score.task.voices)
        return voice == self.score.task.voices - 1 and time + 1 in self.score.task.bar_lines

    def _resampled(self) -> Array:
        """Return numbers of pieces, drawn by systematic resampling, and set equal weights."""
        share = np.exp(self.weight - self.weight.max())
        mean = share.sum() / self.size
        places = (np.arange(self.size) + torch.rand(1, generator=self.rng).item()) * mean
        rows = np.searchsorted(np.cumsum(share), places, side="right").clip(max=len(share) - 1)
        self.weight = np.full(len(share), np.log(mean) + self.weight.max())
        self.shared = True
        return rows

    def _next(self, logits: torch.Tensor) -> tuple[Array, Array]:
        """Return a permitted token for each piece, (B,), and the log of the permitted share, (B,).

        The log is -inf for a piece that is abandoned. It is 0 where a phrase goes on to come back:
        the weights of pieces do not depend on how likely the network finds a repeat, only on the
        way that leads into it.
        """
        task, at = self.score.task, self.score.n_written // self.score.task.voices
        free, forced = offered(self.score, self.demands)
        fixed = free.sum(axis=1) == 1
        chance = logits.softmax(dim=1).numpy()
        likely = free & ((chance >= RARE) | fixed[:, None])
        permitted, blame = self._permitted(likely, chance)
        none = ~permitted.any(axis=1) & ~fixed
        if none.any():
            others, more = self._permitted(free & ~likely & none[:, None], chance)
            permitted, blame = permitted | others, blame + more
        share = (chance * permitted).sum(axis=1, dtype=np.float64)
        # A forced last note of a phrase would meet the rule without being a cadence.
        bent = bool(task.phrase_ends[at]) & (share < BENT) & ~fixed
        lost = bent | ~permitted.any(axis=1)
        if lost.any():
            names = list(self.demands)
            most = blame[lost].argmax(axis=1).tolist()  # the demand that forbade most
            bar = (at - task.pickup) // task.bar_cells + 1
            self.found.broken.update(names[number] for number in most)
            self.found.bars.update((names[number], bar) for number in most)
            self.found.at_given += int((lost & (self.score.next_given != UNWRITTEN)).sum())
        goes_on, self.forced = forced & self.forced, forced
        share = np.where(goes_on & ~lost, 1.0, share)
        if self.masks is not None:
            masks = [(term.rule, term.factor) for term in self.masks.terms.values()]
            permitted = permits(masks, self.score, permitted | lost[:, None] & free)
        left = torch.from_numpy(permitted | lost[:, None])
        tokens = draw(logits.masked_fill(~left, -torch.inf), self.rng).numpy()
        return tokens, np.where(lost, -np.inf, np.log(np.maximum(share, LEAST)))

    def _permitted(self, asked: Array, chance: Array) -> tuple[Array, Array]:
        """Return the mask (B, vocab) of the tokens in the mask `asked` that break no demand.

        Returns:
            the mask, and for each demand, (B, demands), the probability of the tokens that it was
            the first to forbid.
        """
        permitted, blame = asked.copy(), np.zeros((len(asked), len(self.demands)))
        if not self.demands:
            return permitted, blame
        for rows, tokens, broken in judged(self.score, asked, self.demands):
            self.meter.cells += len(rows)
            bad = broken.any(axis=0)
            rows, tokens = rows[bad], tokens[bad]
            permitted[rows, tokens] = False
            first = broken[:, bad].argmax(axis=0)
            np.add.at(blame, (rows, first), np.maximum(chance[rows, tokens], LEAST))
        return permitted, blame

    def _good(self) -> tuple[Array, Array]:
        """Return tokens and log weights of the finished pieces that meet every demand.

        Equal pieces with a common beginning become one with the sum of their weights.
        """
        good = np.ones(self.score.batch, bool)
        for name, term in self.demands.items():
            broken = breaks(term, self.score).any(axis=(1, 2))
            self.found.broken[name] += int((good & broken).sum())
            good &= ~broken
        self.found.broken = +self.found.broken
        tokens, weight = self.score.tokens[good], self.weight[good]
        if not self.shared or not len(tokens):
            return tokens, weight
        tokens, number = np.unique(tokens, axis=0, return_inverse=True)
        together = np.full(len(tokens), -np.inf)
        np.logaddexp.at(together, number.reshape(-1), weight)
        return tokens, together


def _effective(weight: Array) -> float:
    """Return the effective number of pieces of log weights (Kong, Liu and Wong 1994)."""
    share = np.exp(weight - weight.max())
    return float(share.sum() ** 2 / (share**2).sum())


def _heaviest(weight: Array, n: int, rng: torch.Generator) -> Array:
    """Return sorted numbers of `n` pieces, drawn without replacement by their log weights."""
    noise = torch.empty(len(weight), dtype=torch.float64).exponential_(generator=rng).numpy()
    return np.sort(np.argsort(np.log(noise) - weight, kind="stable")[:n])
