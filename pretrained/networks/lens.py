"""Lens: how a network sees a task, in its own tokens and key, and where in the plan a cell is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from envs.music.codec import HOLD, UNWRITTEN, Codec
from envs.music.task import BARS_TO_A_NUMBER, CONTEXT, MAX_BARS, Task
from pretrained.prior import ILLEGAL

_CELL, _IN_BAR = (CONTEXT.index(name) for name in ("cell", "cell_in_bar"))
_WHERE = [CONTEXT.index(name) for name in ("home", "low", "high")]
_PLAN = [CONTEXT.index(name) for name in ("bar_cells", "beat_cells", "tonic", "home", "cells")]
_PLAN += [n for n, name in enumerate(CONTEXT) if name.startswith("phrase_ends")]


@dataclass(frozen=True)
class Lens:
    """Pieces as a network sees them that learned with the key signature of C.

    Attributes:
        vocab: of the network.
        own: (B, vocab of the task) int64, see `own_tokens`; (1, ...) if all pieces share it.
        places: (B or 1, T, 6) int64, see `places`.
    """

    vocab: int
    own: Tensor
    places: Tensor

    @classmethod
    def of(cls, codec: Codec, context: Tensor, cells: int) -> Lens:
        """Return the lens of a codec for pieces of a context (B, len(CONTEXT))."""
        where = context[:, _WHERE].long()
        rows = where[:1] if (where == where[0]).all() else where
        own = torch.stack([own_tokens(codec, *row) for row in rows.tolist()])
        return cls(codec.vocab, own.to(context.device), places(context, cells))

    @cached_property
    def is_plain(self) -> bool:
        """True if the tokens of the task are the network's own."""
        return torch.equal(self.own, torch.arange(self.vocab, device=self.own.device)[None])

    def read(self, tokens: Tensor) -> Tensor:
        """Return tokens (B, ...) of the task as the network's own; UNWRITTEN stays so."""
        flat = tokens.reshape(len(tokens), -1).clamp(min=0)
        read = self.own.expand(len(tokens), -1).gather(1, flat).reshape(tokens.shape)
        return torch.where(read < 0, -1 - read, read).masked_fill(tokens < 0, UNWRITTEN)

    def answer(self, outputs: Tensor) -> Tensor:
        """Return outputs (B, ..., vocab * n) of the network, n for each token, for the task's.

        Returns:
            (B, ..., vocab of the task * n); ILLEGAL for tokens that the network does not have.
        """
        if self.is_plain:
            return outputs
        by_token = outputs.unflatten(-1, (self.vocab, -1))
        if len(self.own) == 1:
            picked: Tensor = by_token.index_select(-2, self.own[0].clamp(min=0))
            return picked.masked_fill(self.own[0, :, None] < 0, ILLEGAL).flatten(-2)
        inner, n = by_token.shape[1:-2], by_token.shape[-1]
        index = self.own.reshape(len(self.own), *(1,) * len(inner), -1, 1)
        index = index.expand(len(by_token), *inner, -1, n)
        chosen: Tensor = by_token.gather(-2, index.clamp(min=0))
        return chosen.masked_fill(index < 0, ILLEGAL).flatten(-2)

    def repeated(self, times: int) -> Lens:
        """Return the lens of a batch in which each piece stands `times` times in a row."""
        return Lens(self.vocab, _repeated(self.own, times), _repeated(self.places, times))

    def take(self, rows: Tensor) -> Lens:
        """Return the lens of some pieces (N,)."""
        own, places = (x if len(x) == 1 else x[rows] for x in (self.own, self.places))
        return Lens(self.vocab, own, places)


def _repeated(values: Tensor, times: int) -> Tensor:
    return values if len(values) == 1 else values.repeat_interleave(times, dim=0)


def context_of(task: Task, batch: int = 1) -> Tensor:
    """Return the context (B, len(CONTEXT)) of `batch` pieces at their first cell."""
    return torch.from_numpy(task.context(0)).expand(batch, -1)


def places(context: Tensor, cells: int) -> Tensor:
    """Return places (B, cells, 6) int64 of the first cells of each piece, see `inputs.PLACE`.

    (1, cells, 6) if all pieces have one plan.

    Args:
        context: (B, len(CONTEXT)) of observations, see `envs.music.task.CONTEXT`.
        cells: of one voice.
    """
    plan = context[:, _PLAN].long()
    bar = plan[:, 0]
    before = (context[:, _IN_BAR] - context[:, _CELL]).long() % bar  # of the bar, at the first cell
    kinds = torch.cat([before[:, None], plan], dim=1)
    if (kinds == kinds[0]).all():
        kinds = kinds[:1]
    before, bar, beat, tonic, home, length = kinds[:, :6, None].unbind(dim=1)
    cell, spread = torch.arange(cells, device=context.device), (len(kinds), cells)
    passed = (cell // bar).clamp(max=MAX_BARS - 1)  # bars, counted from the first cell
    left = phrase_ends(kinds[:, 6:]).gather(1, passed) - passed
    mode, rest = ((tonic - home) % 12).expand(spread), ((length - 1 - cell) // bar).clamp(min=0)
    return torch.stack(
        [(cell + before) % bar, bar.expand(spread), beat.expand(spread), mode, left, rest], dim=2
    )


def phrase_ends(bits: Tensor) -> Tensor:
    """Return (B, 64) int64, the bar that ends the phrase of each bar; 64 if none does.

    Args:
        bits: (B, 4) int64, the context's numbers of phrase ends.
    """
    bar = torch.arange(MAX_BARS, device=bits.device)
    ends = (bits[:, bar // BARS_TO_A_NUMBER] >> bar % BARS_TO_A_NUMBER & 1).bool()
    at = torch.where(ends, bar, MAX_BARS)
    return at.flip(1).cummin(dim=1).values.flip(1)


@lru_cache(maxsize=256)
def own_tokens(codec: Codec, home: int, low: int, high: int, grid: int = 0) -> Tensor:
    """Return a codec's token for each of a task's, (vocab of the task,) int64.

    Where the pitch is beyond the vocabulary it is negative, see `Codec.tokens_of`.

    Args:
        codec: of a network that learned with the key signature of C.
        home: pitch class of the major key with the task's signature.
        low, high: range of the task, MIDI.
        grid: of the task; the codec's if 0.

    Raises:
        ValueError: another grid.
    """
    theirs = Codec.around(low, high, grid or codec.grid)
    return torch.from_numpy(codec.tokens_of(theirs, codec.shift_for(home, low, high)))


def shifts(codec: Codec, context: Tensor) -> Tensor:
    """Return the semitones (B,) int64 by which a codec's network sees pieces of a context higher.

    (1,) if all pieces share them.
    """
    where = context[:, _WHERE].long()
    rows = where[:1] if (where == where[0]).all() else where
    return torch.tensor([_shift(codec, *row) for row in rows.tolist()], device=context.device)


@lru_cache(maxsize=256)
def _shift(codec: Codec, home: int, low: int, high: int) -> int:
    return codec.shift_for(home, low, high)


def has_started(tokens: Tensor) -> Tensor:
    """Return (..., T) bool, True where a note began before a cell of the lines tokens (..., T)."""
    onset = tokens > HOLD
    before = torch.zeros_like(onset)
    before[..., 1:] = onset.cummax(dim=-1).values[..., :-1]
    return before
