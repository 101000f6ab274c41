"""A prior with a memory of the piece at hand: what stood at the same place of the bars before.

Pieces repeat themselves, a strain after eight bars, a figure in the next. Models of expectation
have a short-term model beside the long-term one for it, an n-gram of the piece so far (Conklin &
Witten 1995; Pearce 2005, IDyOM), and language models a cache (Grave et al. 2017). Here a context is
the run of tokens that agree with those k bars before, however long. Its weight grows with how much
the prior was surprised by them: to agree in what was likely anyway is no sign of a repeat. So a
prior that hears the repeat itself is left alone, and one set of constants does for all of them.

With p the prior's chances, x the voice's tokens, r the length of a bar in cells and e the surprise
of the run k bars back in nats,

    p'(v) = (p(v) + sum_k w_k [x(t - k r) = v]) / (1 + sum_k w_k),   w_k = c_k (1/2 + e_k) ^ POWER
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from envs.music.score import Score
from envs.music.task import MAX_BARS, Task
from pretrained.networks.network_prior import NetworkPrior, Reading
from pretrained.prior import ILLEGAL, Prior, hears_ahead, hears_one_line

# Fitted by gradient on the corpus's valid tunes, for the mean nats per token of three priors: an
# LSTM, and two LSTMs with attention, the better of which counts four times.
POWER = 2.33
AT_ONCE = 0.5  # nats that a repeat is credited with before anything agrees
MOST = 4.0  # nats that one token adds to a run
WEIGHT, NEXT_BAR, FOUR_BARS, EIGHT_BARS = -6.23, 0.58, 1.82, 0.42  # log c_k; of k = 1, 4 n and 8 n


def _log_weights() -> Tensor:
    """Return log c_k (MAX_BARS,) of k = 1, 2, ... bars."""
    log = torch.full((MAX_BARS,), WEIGHT)
    log[0] += NEXT_BAR
    log[3::4] += FOUR_BARS
    log[7::8] += EIGHT_BARS
    return log


LOG_WEIGHTS = _log_weights()


@dataclass(frozen=True)
class Recall:
    """The memory of pieces up to the cell that the prior was asked about.

    Attributes:
        inner: state of the prior.
        nats: (B, vocab) of the prior at the cell that it was last asked about.
        runs: of each voice, (B, K) nats of the run that ends with its last token and agrees with
            the tokens 1, 2, ... bars before.
    """

    inner: Any
    nats: Tensor
    runs: tuple[Tensor, ...]

    def read(self, token: Tensor, seen: Tensor, voice: int) -> Recall:
        """Return the memory when the token (B,) of a cell is written.

        Args:
            token: of the cell that the prior was last asked about.
            seen: (B, K) tokens 1, 2, ... bars before it.
            voice: of the cell.
        """
        surprise = -self.nats.gather(1, token[:, None]).clamp(min=-MOST)
        agrees = seen == token[:, None]
        runs = list(self.runs)
        runs[voice] = (_grown(runs[voice], seen) + surprise).masked_fill(~agrees, 0.0)
        return replace(self, runs=tuple(runs))

    def answer(self, seen: Tensor, voice: int) -> Tensor:
        """Return nats (B, vocab) of the cell; what the prior forbids stays ILLEGAL."""
        if not seen.shape[1]:
            return self.nats
        credit = _grown(self.runs[voice], seen) + AT_ONCE
        log = LOG_WEIGHTS[: seen.shape[1]] + POWER * credit.log()
        weights = log.exp().masked_fill(self.nats.gather(1, seen) <= ILLEGAL / 2, 0.0)
        copied = torch.zeros_like(self.nats).scatter_add(1, seen, weights)
        mixed = torch.logaddexp(self.nats, copied.log()) - weights.sum(1, keepdim=True).log1p()
        return mixed.clamp(min=ILLEGAL)


def _grown(runs: Tensor, seen: Tensor) -> Tensor:
    """Return runs (B, K) for the bars that are seen (B, K), new ones from 0."""
    return functional.pad(runs, (0, seen.shape[1] - runs.shape[1]))


def _seen(score: Score, cell: int) -> Tensor:
    """Return the tokens (B, K) of a cell's voice 1, 2, ... bars before it, as many as are."""
    bar = score.task.bar_cells * score.task.voices
    return _tokens(score, list(range(cell - bar, -1, -bar)))


def _tokens(score: Score, cells: int | list[int]) -> Tensor:
    """Return written tokens (B, ...) int64 of a cell or of several, by their numbers."""
    return torch.from_numpy(score.written_since(0)[:, cells].astype(np.int64))


class WithMemory:
    """A prior that also expects what the piece has done so far; each voice remembers its own.

    It draws and it scores. It has no network that could be trained: the prior within has.

    Args:
        prior: any prior, which is asked as it is.

    Raises:
        TypeError: a model that cannot be asked cell by cell.
    """

    def __init__(self, prior: Prior) -> None:
        if not isinstance(prior, Prior):
            raise TypeError(
                f"a memory needs a prior that is asked cell by cell, got a {type(prior).__name__}; "
                "expected a pretrained.prior.Prior, such as pretrained.load gives"
            )
        self.prior, self.codec = prior, prior.codec

    @property
    def one_line(self) -> bool:
        """True if no voice hears another."""
        return hears_one_line(self.prior)

    @property
    def hears_ahead(self) -> bool:
        """True if the prior reads the cells that are given ahead."""
        return hears_ahead(self.prior)

    def require(self, task: Task) -> None:
        """Raise ValueError unless the prior can read pieces of a task."""
        self.prior.require(task)

    def start(self, task: Task, batch: int) -> Reading:
        """Return the state before the first cell: nothing to remember."""
        inner = self.prior.start(task, batch)
        return Reading(_nothing(inner, task, batch), -1, torch.empty(batch, 0))

    @torch.inference_mode()
    def step(self, state: Reading, score: Score) -> tuple[Tensor, Reading]:
        """Return logits (B, vocab) of the next cell of a score, and the state that read so far.

        The prior is asked about every cell, as its surprise is part of what is remembered.
        """
        if state.is_at(score):
            return state.logits, state
        recall, voices, now = state.inner, score.task.voices, score.n_written
        for cell in range(state.cell, now):
            if cell >= 0:
                recall = recall.read(_tokens(score, cell), _seen(score, cell), cell % voices)
            logits, inner = self.prior.step(recall.inner, _as_of(score, cell + 1))
            recall = replace(recall, inner=inner, nats=logits.log_softmax(dim=1))
        logits = recall.answer(_seen(score, now), now % voices)
        return logits, Reading(recall, now, logits)

    def take(self, state: Reading, rows: Tensor) -> Reading:
        """Return the state of some pieces; `rows` (N,) are their numbers and may repeat."""
        recall: Recall = state.inner
        inner, runs = self.prior.take(recall.inner, rows), tuple(run[rows] for run in recall.runs)
        return Reading(Recall(inner, recall.nats[rows], runs), state.cell, state.logits[rows])

    @torch.inference_mode()
    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return nats (B, V, T) of each token of finished pieces given the cells before it."""
        if not score.finished:
            raise ValueError("log_prob needs finished pieces; step the prior for a piece so far")
        size = max(1, NetworkPrior.most_cells // score.task.steps)
        return np.concatenate([self._log_prob(part) for part in score.chunks(size)])

    def _log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return `log_prob` of pieces that are few enough for one pass."""
        task, batch = score.task, score.batch
        recall, chosen = _nothing(None, task, batch), torch.empty(batch, task.steps)
        for cell, nats in enumerate(self._nats(score)):
            token, seen, voice = _tokens(score, cell), _seen(score, cell), cell % task.voices
            recall = replace(recall, nats=nats)
            chosen[:, cell] = recall.answer(seen, voice).gather(1, token[:, None])[:, 0]
            recall = recall.read(token, seen, voice)
        by_time = chosen.numpy().reshape(batch, task.cells, task.voices)
        return np.ascontiguousarray(by_time.transpose(0, 2, 1))

    def _nats(self, score: Score) -> Iterator[Tensor]:
        """Yield the prior's nats (B, vocab) of each cell of finished pieces, in writing order."""
        if isinstance(self.prior, NetworkPrior):  # in one pass
            yield from self.prior.log_probs(score).cpu().unbind(dim=1)
            return
        page, state = Score.page(score.task, score.batch), self.prior.start(score.task, score.batch)
        for token in score.written_since(0).T:
            logits, state = self.prior.step(state, page)
            yield logits.log_softmax(dim=1)
            page = page.write(token)


def _nothing(inner: Any, task: Task, batch: int) -> Recall:
    """Return the memory of `batch` pieces before their first cell."""
    return Recall(inner, torch.empty(batch, 0), (torch.zeros(batch, 0),) * task.voices)


def _as_of(score: Score, written: int) -> Score:
    """Return a score as it was with fewer cells written; what came since is free unless given."""
    task = score.task
    if written == score.n_written:
        return score
    number = np.arange(task.steps).reshape(-1, task.voices).T
    since = (number >= written) & (number < score.n_written)
    return Score(np.where(since, task.page, score.tokens), task, written)
