"""Masked (absorbing-state) diffusion over the cells of a piece, as an infiller and as a judge.

Austin et al. (2021), "Structured denoising diffusion models in discrete state-spaces"; its training
loss is that of an order-agnostic autoregressive model (Hoogeboom et al. 2022), so what is learned
can fill any cells around any others, one or several in a call.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch

from envs.errors import quoted
from envs.music.codec import UNWRITTEN, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.diffusion.denoiser import Denoiser, DenoiserShape
from pretrained.diffusion.unmasking import Array, Grammar, Ints, Way, schedule, unmask
from pretrained.networks.lens import Lens, context_of, own_tokens
from pretrained.prior import ILLEGAL
from pretrained.saved_model import Model

CHUNK = 32_768  # cells that the network reads at once
TOGETHER = 2**19  # cells of pieces that are filled or judged together: bounds memory


class MaskedDiffusion(Model):
    """A denoiser that speaks a codec and its grammar: an `Infiller` and a `Scorer`.

    The denoiser learned with the key signature of C; pieces in other keys are moved there before
    it reads them, see `pretrained.networks.lens`.

    Args:
        net: the network, put into evaluation mode.
        codec: meaning of its tokens.

    Attributes:
        way: in which pages are filled.
        judging: the way whose likelihood `log_prob` returns.
        orders: drawn by `seed`, over which `log_prob` is a mean.
        seed: of those orders.

    Raises:
        ValueError: the network's vocabulary has another size than the codec's.
    """

    format: ClassVar[str] = "diffusion/1"
    hears_ahead: ClassVar[bool] = True  # what is given on both sides
    net: Denoiser

    def __init__(self, net: Denoiser, codec: Codec) -> None:
        if net.shape.vocab != codec.vocab:
            raise ValueError(
                f"the network has {net.shape.vocab} tokens, codec {codec.fingerprint!r} has "
                f"{codec.vocab}"
            )
        self.net = net.eval().requires_grad_(False)
        self.codec = codec
        self.way, self.judging, self.orders, self.seed = Way(), Way(calls=16), 1, 0

    @property
    def one_line(self) -> bool:
        """True if no voice hears another."""
        return not self.net.shape.mix

    @property
    def shape(self) -> Mapping[str, Any]:
        """Sizes of the network, in types that JSON has."""
        return asdict(self.net.shape)

    @classmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a model with random weights.

        Raises:
            TypeError, ValueError: a shape that is no denoiser's.
        """
        return cls(Denoiser(DenoiserShape(**shape)), codec)

    def require(self, task: Task) -> None:
        """Raise ValueError unless the task's grid is the model's."""
        own_tokens(self.codec, task.key.home, task.low, task.high, task.grid)

    @torch.inference_mode()
    def logits(self, tokens: Ints, task: Task) -> Array:
        """Return logits (B, V, T, vocab of the task) of every cell, one network call.

        Args:
            tokens: (B, V, T) of the task, UNWRITTEN where a cell is masked.
            task: of the pieces.
        """
        device, (batch, voices, cells) = self.net.head.weight.device, tokens.shape
        lens = Lens.of(self.codec, context_of(task).to(device), cells)
        most, found = max(1, CHUNK // (voices * cells)), []
        for start in range(0, batch, most):
            part = torch.from_numpy(tokens[start : start + most]).to(device)
            own = lens.read(part)
            own = own.masked_fill(own < 0, self.net.mask)
            found.append(lens.answer(self.net(own, lens.places)).float().cpu())
        return np.asarray(torch.cat(found).numpy())

    # -- filling ---------------------------------------------------------------------------------

    def fill(
        self,
        page: Score,
        n: int = 1,
        seed: int | torch.Generator = 0,
        temperature: float = 1.0,
        way: Way | None = None,
    ) -> Score:
        """Return `n` finished pieces; what is given or written on the page stays.

        Every piece has random numbers of its own: with a larger `n` the first pieces are the same,
        but for the rounding of the network.

        Args:
            page: one unfinished piece.
            n: number of pieces.
            seed: of the draws.
            temperature: above 0; 1 draws from the model as it is.
            way: in which cells are filled; the model's own if None.

        Raises:
            ValueError: a page that is finished or of several pieces, or of a task that `require`
                refuses; a number out of its range.
        """
        self.require(page.task)
        if page.finished or page.batch != 1:
            raise ValueError(
                f"a page of {page.batch} pieces, {page.n_written} of {page.task.steps} cells "
                "written: expected one unfinished piece; take one with page[0:1]"
            )
        if n < 1 or not 0 < temperature < math.inf:
            raise ValueError(
                f"n={quoted(n)} and temperature={quoted(temperature)}: expected n from 1 and a "
                "temperature above 0"
            )
        rngs, most, found = generators(seed, n), max(1, TOGETHER // page.task.steps), []
        for start in range(0, n, most):
            some = rngs[start : start + most]
            pieces = np.repeat(page.tokens.astype(np.int64), len(some), axis=0)
            *_, last = self.drafts(pieces, page.task, some, temperature, way)
            found.append(last)
        return Score(np.concatenate(found), page.task)

    def cells_read(self, page: Score) -> int:
        """Return the number of cells that the network reads to fill a page once."""
        free = int((page.tokens[0] == UNWRITTEN).sum())
        return page.task.steps * max(1, self.way.calls or free)

    def drafts(
        self,
        tokens: Ints,
        task: Task,
        rngs: Sequence[np.random.Generator],
        temperature: float = 1.0,
        way: Way | None = None,
    ) -> Iterator[Ints]:
        """Yield the pieces (B, V, T) after each network call; the last ones have no masked cell.

        Args:
            tokens: (B, V, T), UNWRITTEN where a cell is to be filled, as many in each piece.
            task: of the pieces.
            rngs: of each piece.
            temperature: above 0.
            way: in which cells are filled; the model's own if None.
        """
        way = way or self.way
        tokens = tokens.copy()
        free = [np.flatnonzero(piece.T.reshape(-1) == UNWRITTEN) for piece in tokens]
        count = len(free[0])
        if count:
            calls = way.first_calls(count)
            tables = [
                schedule(cells, calls, way.order, rng)
                for cells, rng in zip(free, rngs, strict=True)
            ]
            yield from self.refill(tokens, task, tables, rngs, temperature)
            left, once = way.later_calls(count), max(1, min(LATER, count))
            while left > 0:
                tables = [
                    schedule(cells, calls, way.order, rng)[
                        rng.permutation(calls)[: min(once, left)]
                    ]
                    for cells, rng in zip(free, rngs, strict=True)
                ]
                left -= len(tables[0])
                yield from self.refill(tokens, task, tables, rngs, temperature)
        yield tokens

    def refill(
        self,
        tokens: Ints,
        task: Task,
        tables: Sequence[Ints],
        rngs: Sequence[np.random.Generator],
        temperature: float = 1.0,
    ) -> Iterator[Ints]:
        """Mask cells and fill them again, in place; yield the tokens after each call.

        Args:
            tokens: (B, V, T).
            task: of the pieces.
            tables: cells of each call (calls, n), of each piece, -1 for none.
            rngs: of each piece.
            temperature: above 0.
        """
        for piece, table in zip(tokens, tables, strict=True):
            time, voice = np.divmod(table[table >= 0], task.voices)
            piece[voice, time] = UNWRITTEN

        def draw(number: int, scores: Array) -> int:
            noise = rngs[number].gumbel(size=len(scores))
            return int((scores / temperature + noise).argmax())

        yield from unmask(tokens, task, tables, lambda now: self.logits(now, task), draw)

    # -- likelihood ------------------------------------------------------------------------------

    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return nats (B, V, T) of each token of finished pieces, by an any-order bound.

        For each of `orders` orders of the free cells, drawn by `seed`, a piece has an exact
        likelihood: that of being filled in that order in `judging.calls` calls, in each of which
        the network tells the tokens of some cells at once from those of the calls before. What is
        returned is the mean over the orders. By Jensen's inequality its sum is, but for the draw
        of the orders, at most the log-likelihood of filling in an order drawn at random. The orders
        are the same for all pieces of a task. Given cells cost 0 and are seen from the beginning.

        Raises:
            ValueError: pieces that are not finished, or of a task that `require` refuses.
        """
        if not score.finished:
            raise ValueError("log_prob needs finished pieces; expected all cells to be written")
        self.require(score.task)
        task, way = score.task, self.judging
        nats = np.zeros(score.tokens.shape, np.float32)
        free = np.flatnonzero(task.free.T.reshape(-1))
        if not len(free):
            return nats
        for number in range(self.orders):
            rng = np.random.default_rng((self.seed, number))
            table = schedule(free, way.first_calls(len(free)), way.order, rng)
            most = max(1, TOGETHER // task.steps)
            for start in range(0, score.batch, most):
                some = slice(start, start + most)
                nats[some] += self.nats_in(score[some], table)
        return nats / np.float32(self.orders)

    def nats_in(self, score: Score, table: Ints) -> npt.NDArray[np.float32]:
        """Return nats (B, V, T) of the cells of a table, filled call by call; 0 elsewhere.

        Args:
            score: finished pieces.
            table: (calls, n) cells of each call, see `schedule`; -1 for none.
        """
        task, truth = score.task, score.tokens.astype(np.int64)
        tokens, nats = truth.copy(), np.zeros(truth.shape, np.float32)
        rows, grammar = np.arange(len(truth)), Grammar(task)
        time, voice = np.divmod(table[table >= 0], task.voices)
        tokens[:, voice, time] = UNWRITTEN
        for cells in table:
            answers = self.logits(tokens, task)
            for cell in cells[cells >= 0].tolist():
                time, voice = divmod(cell, task.voices)
                where = np.full(len(truth), time), np.full(len(truth), voice)
                allowed = grammar.allowed(tokens[:, voice], *where)
                scores = np.where(allowed, answers[:, voice, time], np.float32(ILLEGAL))
                chosen = truth[:, voice, time]
                top = scores.max(axis=1)
                spread = np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top
                nats[:, voice, time] = scores[rows, chosen] - spread
                tokens[:, voice, time] = chosen
        return nats


LATER = 8  # calls in which cells that were masked anew are filled again


def generators(seed: int | torch.Generator, n: int) -> list[np.random.Generator]:
    """Return random generators of `n` pieces; those of the first pieces do not depend on `n`."""
    if isinstance(seed, torch.Generator):
        seed = int(torch.randint(2**62, (1,), generator=seed))
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]
