"""How a network sees a task: its own tokens, its own key, and where in the plan a cell is."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from envs.music.codec import HOLD, Codec
from envs.music.task import BARS_TO_A_NUMBER, CONTEXT, MAX_BARS, Task
from pretrained.prior import ILLEGAL

_CELL, _IN_BAR = (CONTEXT.index(name) for name in ("cell", "cell_in_bar"))
_PLAN = [CONTEXT.index(name) for name in ("bar_cells", "beat_cells", "tonic", "home", "cells")]
_PLAN += [n for n, name in enumerate(CONTEXT) if name.startswith("phrase_ends")]


def places(context: Tensor, cells: int) -> Tensor:
    """(B, cells, 6) int64: what `recurrent.PLACE` names, of the first cells of each piece.

    (1, cells, 6) if all pieces have one plan: what is the same is looked up once.

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
    """(B, 64) int64: the bar that ends the phrase of each bar; 64 if none does.

    Args:
        bits: (B, 4) int64, the context's numbers of phrase ends.
    """
    bar = torch.arange(MAX_BARS, device=bits.device)
    ends = (bits[:, bar // BARS_TO_A_NUMBER] >> bar % BARS_TO_A_NUMBER & 1).bool()
    found = torch.where(ends, bar, MAX_BARS)
    return found.flip(1).cummin(dim=1).values.flip(1)


def places_of(task: Task) -> Tensor:
    """(1, T, 6) int64: see `places`."""
    return places(torch.from_numpy(task.context(0))[None], task.cells)


def legal_tokens(task: Task, started: Tensor) -> Tensor:
    """(..., vocab) bool: what grammar and range allow where a note has or has not begun."""
    both = task.codec.legal(np.array([False, True]), task.low, task.high)
    return torch.from_numpy(both).to(started.device)[started.long()]


@lru_cache(maxsize=256)
def own_tokens(codec: Codec, home: int, low: int, high: int, grid: int = 0) -> Tensor:
    """(vocab of the task,) int64: a codec's token for each of a task's, see `Codec.tokens_of`.

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


def moved(tokens: Tensor, own: Tensor) -> Tensor:
    """Tokens (N, ...) of a task as the network's own; `own` (N or 1, vocab of the task)."""
    flat = tokens.reshape(len(tokens), -1)
    read = own.expand(len(tokens), -1).gather(1, flat).reshape(tokens.shape)
    return torch.where(read < 0, -1 - read, read)


def moved_back(outputs: Tensor, own: Tensor, vocab: int) -> Tensor:
    """Outputs (N, ..., vocab * n) of a network, n for each token, for the tokens of a task.

    Returns:
        (N, ..., vocab of the task * n); ILLEGAL for tokens that the network does not have.
    """
    each = outputs.unflatten(-1, (vocab, -1))
    inner, n = each.shape[1:-2], each.shape[-1]
    index = own.reshape(len(own), *(1,) * len(inner), -1, 1).expand(len(each), *inner, -1, n)
    found: Tensor = each.gather(-2, index.clamp(min=0)).masked_fill(index < 0, ILLEGAL)
    return found.flatten(-2)


def has_started(tokens: Tensor) -> Tensor:
    """(N, T) bool: whether a note began before each cell of tokens (N, T)."""
    onset = tokens > HOLD
    before = torch.zeros_like(onset)
    before[:, 1:] = onset.cummax(dim=1).values[:, :-1]
    return before
