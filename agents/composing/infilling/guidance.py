"""Guidance: an infiller of masked cells, led by a reward of finished pieces without its gradient.

Every piece is filled once as the infiller draws it. Then, call by call of the network, a few cells
are masked again. What the network says of them is drawn from several times, and of the pieces that
result, and the piece as it was, one is kept by exp(reward). With one cell masked all its tokens are
weighed: that is a step of Gibbs sampling from the infiller's distribution times exp(reward), as
far as the network's conditionals agree with each other. With several cells, which do not see each
other in a call, it is iterated sampling importance resampling (Andrieu, Lee & Vihola 2018), of
which the piece as it was is one candidate. The reward is weighed less at first, so that pieces
are not caught by the first bump.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from agents.composing.compute import ComputeMeter
from agents.composing.demands import Kept
from agents.composing.infilling.filling import meeting
from agents.composing.masks import Demands, breaks
from agents.composing.ranking import choose
from agents.composing.search import SearchResult
from envs.checked import Checked, bounded
from envs.music.codec import UNWRITTEN
from envs.music.score import Score
from envs.music.task import Task
from pretrained.diffusion.masked_diffusion import generators
from pretrained.diffusion.unmasking import Array, Grammar, Ints, Way
from pretrained.infiller import Infiller
from rewards.objective import Objective
from rewards.sum import RewardSum

Reals = npt.NDArray[np.float64]
BROKEN = 1e6  # reward that a cell costs which breaks a demand
TRIED = 2**22  # cells of the pieces that are tried together: bounds memory


@runtime_checkable
class Denoising(Infiller, Protocol):
    """An infiller that tells what may stand in each masked cell, in one call."""

    def fill(
        self,
        page: Score,
        n: int = 1,
        seed: int | torch.Generator = 0,
        temperature: float = 1.0,
        way: Way | None = None,
    ) -> Score:
        """Return finished pieces, see `Infiller.fill`, with a bound on the network's calls."""

    def logits(self, tokens: Ints, task: Task) -> Array:
        """Return logits (B, V, T, vocab) of pieces (B, V, T), UNWRITTEN where masked."""


@dataclass(frozen=True)
class Guidance(Checked):
    """Settings of guidance.

    Attributes:
        calls: of the network for each piece, the first filling included.
        tries: draws from what a call says of several cells.
        run: share of the steps that mask a run of cells, not a single one.
        longest: cells of a run at most.
        warm: by how much the reward is divided more at first; at the end by 1.
        cooling: share of the calls in which that divisor falls to 1, evenly in its logarithm.
    """

    calls: int = bounded(256, 1, 1_000_000)
    tries: int = bounded(32, 1, 4096)
    run: float = bounded(0.3, 0.0, 1.0)
    longest: int = bounded(4, 2, 64)
    warm: float = bounded(4.0, 1.0, 1e6)
    cooling: float = bounded(0.6, 0.0, 1.0)

    def divisor(self, progress: float) -> float:
        """Return by how much the reward is divided at a progress from 0 to 1."""
        left = 1 - progress / self.cooling if self.cooling else 0.0
        return float(self.warm ** max(0.0, left))


def guided(
    network: Infiller,
    page: Score,
    reward: RewardSum,
    n: int,
    seed: int = 0,
    temperature: float = 1.0,
    settings: Guidance | None = None,
    demands: Demands | None = None,
) -> SearchResult:
    """Return `n` pieces of an infiller that a reward guides, in no order.

    The likelihood of a prior in the reward does not guide, as the network knows what is likely; it
    counts in the returns.

    Args:
        network: tells what may stand in masked cells, such as the checkpoint "diffusion".
        page: an unfinished score of one piece.
        reward: what is sought, divided by the weight of the KL, see `rewards.objective.Objective`.
        n: number of pieces.
        seed: of the draws.
        temperature: of the draws, above 0.
        settings: those of `Guidance` if None.
        demands: cellwise terms that count before the reward, by name.

    Raises:
        ValueError: an infiller that does not tell what may stand in a masked cell, a reward that
            has nothing but a likelihood, or as `fill`.
        RewardError: a term of the reward fails.
    """
    rules, settings = Objective(reward).rules, settings or Guidance()
    if not isinstance(network, Denoising):
        raise ValueError(
            "guidance needs a model that tells what may stand in each masked cell, such as the "
            "checkpoint 'diffusion'; for other models ask for the method best-of-n"
        )
    if rules is None and not demands:
        raise ValueError("guidance needs a reward with a rule; a likelihood alone does not guide")
    free = np.flatnonzero(page.tokens[0].T.reshape(-1) == UNWRITTEN)
    meter = ComputeMeter()
    first = min(len(free), max(1, settings.calls // 2))
    if rules is not None:
        rules.prepare(page.task)
    pieces = network.fill(page, n, seed, temperature, Way(first))
    meter.tokens += n * page.task.steps * first
    rngs, led = generators(seed + 1, n), []
    calls, tries = settings.calls - first, max(settings.tries, page.task.codec.vocab)
    most = max(1, TRIED // (tries * page.task.steps))
    for start in range(0, n, most):
        some = slice(start, start + most)
        chain = _Chain(network, pieces[some], rules, demands or {}, meter, temperature, settings)
        for call in range(calls):
            chain.step(free, rngs[some], settings.divisor(call / calls))
        led.append(chain.tokens)
    score = Score(np.concatenate(led), page.task)
    return SearchResult(score, meter.returns(reward, score), meter.read())


def best_guided(
    network: Infiller,
    page: Score,
    demands: Demands,
    reward: RewardSum,
    n: int,
    candidates: int,
    seed: int = 0,
    temperature: float = 1.0,
    settings: Guidance | None = None,
) -> SearchResult:
    """Return the `n` best of n * candidates guided pieces that meet all demands.

    No two of them are nearly the same. The arguments are those of `guided`.

    Raises:
        ValueError: as `guided`, or as `agents.composing.ranking.choose`.
    """
    count = n * candidates
    found = guided(network, page, reward, count, seed, temperature, settings, demands)
    kept = Kept(begun=count, compute=found.compute)
    good = meeting(found.score, demands, kept)
    if good.any():
        kept.pieces = found.score.take(np.flatnonzero(good))
    return choose(kept, page, reward, n)


class _Chain:
    """Pieces that change step by step, each for itself."""

    def __init__(
        self,
        network: Denoising,
        pieces: Score,
        rules: RewardSum | None,
        demands: Demands,
        meter: ComputeMeter,
        temperature: float,
        settings: Guidance,
    ) -> None:
        self._network, self._rules, self._demands = network, rules, demands
        self._meter, self._temperature, self._settings = meter, temperature, settings
        self.task, self.tokens = pieces.task, pieces.tokens.astype(np.int64)
        self._grammar = Grammar(pieces.task)
        self.worth: Reals = self._paid(self.tokens)

    def step(self, free: Ints, rngs: list[np.random.Generator], divisor: float) -> None:
        """Mask cells of each piece, and choose what fills them; one call of the network."""
        masked, blocks = self.tokens.copy(), []
        for piece, rng in zip(masked, rngs, strict=True):
            block = self._block(free, rng)
            time, voice = np.divmod(block, self.task.voices)
            piece[voice, time] = UNWRITTEN
            blocks.append(block)
        logits = self._network.logits(masked, self.task)
        self._meter.tokens += masked.size
        tried, owner = [], []
        for number, (block, rng) in enumerate(zip(blocks, rngs, strict=True)):
            drawn = self._tries(masked[number], block, logits[number], rng)
            tried.append(drawn)
            owner += [number] * len(drawn)
        worth = self._paid(np.concatenate(tried))
        at = 0
        for number, (block, drawn, rng) in enumerate(zip(blocks, tried, rngs, strict=True)):
            paid = worth[at : at + len(drawn)]
            at += len(drawn)
            scores = paid / divisor
            if len(block) == 1:
                cell, line = divmod(int(block[0]), self.task.voices)
                likely = logits[number, line, cell, drawn[:, line, cell]]
                scores = scores + likely / self._temperature
            else:
                drawn = np.concatenate([drawn, self.tokens[number][None]])
                paid = np.append(paid, self.worth[number])
                scores = np.append(scores, self.worth[number] / divisor)
            chosen = int((scores + rng.gumbel(size=len(scores))).argmax())
            self.tokens[number], self.worth[number] = drawn[chosen], paid[chosen]

    def _block(self, free: Ints, rng: np.random.Generator) -> Ints:
        """Return the numbers of the cells that are masked anew."""
        first, size = int(rng.integers(len(free))), 1
        if rng.random() < self._settings.run:
            size = int(rng.integers(2, self._settings.longest + 1))
        return free[first : first + size]

    def _tries(self, piece: Ints, block: Ints, logits: Array, rng: np.random.Generator) -> Ints:
        """Return pieces (N, V, T): all ways to fill one cell, or draws for several."""
        single = len(block) == 1
        count = 1 if single else self._settings.tries
        drawn = np.repeat(piece[None], count, axis=0)
        for cell in block.tolist():
            time, voice = divmod(cell, self.task.voices)
            where = np.full(count, time), np.full(count, voice)
            allowed = self._grammar.allowed(drawn[:, voice], *where)
            if single:
                tokens = np.flatnonzero(allowed[0])
                drawn = np.repeat(drawn, len(tokens), axis=0)
                drawn[:, voice, time] = tokens
            else:
                scores = np.where(allowed, logits[voice, time] / self._temperature, -np.inf)
                drawn[:, voice, time] = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
        return drawn

    def _paid(self, tokens: Ints) -> Reals:
        """Return what the rules pay for finished pieces, less what broken demands cost; (N,)."""
        score = Score(tokens, self.task)
        paid = np.zeros(len(tokens))
        if self._rules is not None:
            paid += self._meter.returns(self._rules, score)
        for term in self._demands.values():
            paid -= BROKEN * breaks(term, score).sum(axis=(1, 2))
        return paid
