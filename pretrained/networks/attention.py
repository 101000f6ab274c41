"""Causal self-attention over a line, with positions that know the bar, and its memory of keys.

A block is attention and a feed-forward layer side by side (Wang and Komatsuzaki 2021), on
normalised features, added to them. Queries and keys are turned as in rotary embeddings (Su et al.
2021): a third of the pairs turns with the distance in cells, a third with the phase in the bar, and
a third with the number of bars between, so that "the same place four bars ago" is one direction.
A cell sees `window` cells at most, itself included: its cost does not grow with the piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

NEAR, FAR = 4, 512  # cells in which the fastest and the slowest of the first third turn once
BLOCKED = -1e4  # added to the score of a key that is not to be seen
LEAST_ROOM = 64  # cells of a new memory
# Settings of a training that suit networks with attention, see `training.settings.PriorConfig`.
RECIPE: dict[str, Any] = {
    **{"plan": True, "epochs": 36, "dropout": 0.4, "token_dropout": 0.08, "batch_tokens": 3072},
    **{"optimizer": "muon", "learning_rate": 2e-3, "weight_decay": 0.3},
}


class Turn(NamedTuple):
    """Cosine and sine of the angles by which queries and keys are turned, (..., head size / 2)."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def at(cls, cell: Tensor, place: Tensor, bar: Tensor, head_size: int) -> Turn:
        """Return the turn of cells.

        Args:
            cell: number of the cell from the start of the line, (...) or broadcast to it.
            place: (..., 6), see `networks.inputs.PLACE`.
            bar: (...) number of bar lines up to the cell, its own included.
            head_size: even.
        """
        pairs, device = head_size // 2, place.device
        third = pairs // 3
        near = torch.logspace(math.log10(NEAR), math.log10(FAR), pairs - 2 * third, device=device)
        whole = torch.arange(1, third + 1, device=device)
        phase = place[..., 0] / place[..., 1].clamp(min=1)
        parts = [cell.expand(phase.shape)[..., None] / near, phase[..., None] * whole]
        parts.append(bar[..., None] / 2.0**whole)
        angle = 2 * math.pi * torch.cat(parts, dim=-1)
        return cls(angle.cos(), angle.sin())

    def __call__(self, x: Tensor) -> Tensor:
        """Return vectors (..., head size) turned."""
        one, two = x.chunk(2, dim=-1)
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        return torch.cat([one * cos - two * sin, one * sin + two * cos], dim=-1)


@dataclass(frozen=True)
class BlockShape:
    """The sizes of a block.

    Attributes:
        width: number of features.
        heads: of the attention.
        head_size: of a query; even, 6 at least.
        feed: units of the feed-forward layer.
        window: cells that a cell sees.
    """

    width: int
    heads: int
    head_size: int
    feed: int
    window: int


class Block(nn.Module):
    """Attention and a feed-forward layer side by side; at first it adds exactly 0.

    Args:
        shape: sizes.
        dropout: share of the units behind what is added that are dropped while training; none
            are dropped before a block, whose squares would count the gaps otherwise than the rest.
    """

    def __init__(self, shape: BlockShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape, self.inner = shape, shape.heads * shape.head_size
        self.norm = nn.LayerNorm(shape.width, bias=False)
        self.enter = nn.Linear(shape.width, 3 * self.inner + shape.feed, bias=False)
        self.leave = nn.Linear(self.inner + shape.feed, shape.width, bias=False)
        nn.init.zeros_(self.leave.weight)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, turn: Turn) -> Tensor:
        """Return features (B, T, width) of whole lines."""
        query, key, value, feed = self._enter(x)
        query, key = turn(query), turn(key)
        window, size = self.shape.window, x.shape[1]
        parts: list[Tensor] = []
        for first in range(0, size, window):
            rows = slice(first, first + window)
            seen = slice(max(0, first - window + 1), first + window)
            parts.append(attend(query[:, :, rows], key[:, :, seen], value[:, :, seen], window))
        return self._leave(x, torch.cat(parts, dim=2), feed)

    def step(self, x: Tensor, turn: Turn, memory: KeyMemory, layer: int) -> Tensor:
        """Return features (B, width) of the cell behind those of a memory, which reads it.

        Args:
            x: (B, width).
            turn: of the cell, (B or 1, head size / 2).
            memory: with room for the cell.
            layer: number of this block.
        """
        query, key, value, feed = self._enter(x[:, None])
        turn = Turn(*(part[:, None, None] for part in turn))
        keys, values = memory.write(layer, turn(key), value)
        seen = attend(turn(query), keys, values, self.shape.window)
        return self._leave(x[:, None], seen, feed)[:, 0]

    def _enter(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return query, key and value (B, heads, T, head size), and the feed-forward's input."""
        sizes = [self.inner, self.inner, self.inner, self.shape.feed]
        *heads, feed = self.enter(self.norm(x)).split(sizes, dim=-1)
        query, key, value = (
            part.unflatten(-1, (self.shape.heads, -1)).transpose(1, 2) for part in heads
        )
        return query, key, value, feed

    def _leave(self, x: Tensor, seen: Tensor, feed: Tensor) -> Tensor:
        """Return features with what attention and the feed-forward layer add."""
        both = [seen.transpose(1, 2).flatten(2), functional.relu(feed).square()]
        added: Tensor = self.leave(self.dropout(torch.cat(both, dim=-1)))
        return x + added


def attend(query: Tensor, key: Tensor, value: Tensor, window: int) -> Tensor:
    """Return for each query (B, heads, n, d) the values of what it sees; the last keys are its own.

    Args:
        query: of the last n cells.
        key, value: (B, heads, m, d) of m >= n cells.
        window: cells that a query sees, its own included.
    """
    n, m = query.shape[2], key.shape[2]
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if n > 1:
        cell = torch.arange(m, device=key.device)
        back = cell[m - n :, None] - cell
        hidden = (back < 0) | (back >= window)
        blocked = torch.zeros((n, m), device=key.device).masked_fill(hidden, BLOCKED)
        scores = scores + blocked.to(scores.dtype)
    seen: Tensor = scores.softmax(dim=-1).to(value.dtype) @ value
    return seen


class KeyStore:
    """Append-only memory of keys and values (B, heads, room, d) of each layer."""

    def __init__(self, keys: list[Tensor], values: list[Tensor], written: int) -> None:
        self.keys, self.values, self.written = keys, values, written


class KeyMemory:
    """Keys and values of the cells that lines have read, at most a window of them.

    A memory never changes: `room` returns the memory to write the next cell into, which shares the
    storage where no other memory has gone on from here, and copies it otherwise, as where gradients
    flow.

    Args:
        store: shared with the memories that this one grew from.
        length: cells of the store that this memory has.
        window: cells that count.
    """

    def __init__(self, store: KeyStore, length: int, window: int) -> None:
        self._store, self._length, self._window = store, length, window

    @classmethod
    def empty(cls, batch: int, layers: int, shape: BlockShape, like: Tensor) -> KeyMemory:
        """Return a memory without cells for as many blocks of a shape."""
        size = (batch, shape.heads, 0, shape.head_size)
        keys, values = ([like.new_empty(size) for _ in range(layers)] for _ in range(2))
        return cls(KeyStore(keys, values, 0), 0, shape.window)

    def room(self) -> KeyMemory:
        """Return a memory with room for one cell more, which each layer is to write once."""
        store, length = self._store, self._length
        own = store.written == length and not torch.is_grad_enabled()  # gradients need the old one
        own &= store.keys[0].is_inference() == torch.is_inference_mode_enabled()
        if not own or length == store.keys[0].shape[2]:
            kept = min(length, self._window - 1)
            size = max(LEAST_ROOM, min(2 * kept, kept + self._window))
            store, length = self._copied(length - kept, length, size), kept
        store.written = length + 1
        return KeyMemory(store, length + 1, self._window)

    def write(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write key and value (B, heads, 1, d) of the newest cell; return all that it sees."""
        last, first = self._length, max(0, self._length - self._window)
        both = self._store.keys[layer], self._store.values[layer]
        for stored, new in zip(both, (key, value), strict=True):
            stored[:, :, last - 1 : last] = new
        return both[0][:, :, first:last], both[1][:, :, first:last]

    def take(self, rows: Tensor) -> KeyMemory:
        """Return the memory of some lines (N,)."""
        kept = min(self._length, self._window - 1)
        cells = self._length - kept, self._length
        store = self._copied(*cells, max(LEAST_ROOM, kept + LEAST_ROOM), rows)
        return KeyMemory(store, kept, self._window)

    def _copied(self, first: int, last: int, size: int, rows: Tensor | None = None) -> KeyStore:
        """Return a store with room for `size` cells that begins with some of this one's."""

        def copied(old: Tensor) -> Tensor:
            part = old[:, :, first:last]
            part = part if rows is None else part[rows]
            new = old.new_empty((*part.shape[:2], size, part.shape[3]))
            new[:, :, : last - first] = part
            return new

        keys, values = (
            [copied(old) for old in olds] for olds in (self._store.keys, self._store.values)
        )
        return KeyStore(keys, values, last - first)


class Attended(NamedTuple):
    """State between two cells of what blocks of attention have read."""

    memory: KeyMemory
    cell: int  # cells read
    bar: Tensor  # (B,) bar lines passed, int64

    def take(self, rows: Tensor) -> Attended:
        """Return the state of some lines (N,)."""
        return Attended(self.memory.take(rows), self.cell, self.bar[rows])


class Blocks(nn.ModuleList):
    """Blocks of attention, one behind the other.

    Args:
        count: of blocks.
        shape: of each.
        dropout: share of the units behind what a block adds that are dropped while training.
    """

    def __init__(self, count: int, shape: BlockShape, dropout: float) -> None:
        super().__init__(Block(shape, dropout) for _ in range(count))
        self.shape = shape

    def __iter__(self) -> Iterator[Block]:
        return cast("Iterator[Block]", super().__iter__())

    def along(self, x: Tensor, place: Tensor) -> Tensor:
        """Return features (B, T, width) of whole lines.

        Args:
            x: (B, T, width).
            place: (B, T, 6) or (1, T, 6).
        """
        cell = torch.arange(x.shape[1], device=x.device)
        bar = (place[..., 0] == 0).cumsum(dim=1)
        turn = Turn.at(cell, place, bar, self.shape.head_size)
        turn = Turn(*(part[:, None] for part in turn))  # for every head
        for block in self:
            x = block(x, turn)
        return x

    def start(self, batch: int, like: Tensor) -> Attended:
        """Return the state before the first cell; its tensors are of the type of `like`."""
        memory = KeyMemory.empty(batch, len(self), self.shape, like)
        return Attended(memory, 0, torch.zeros(batch, dtype=torch.int64, device=like.device))

    def after(self, x: Tensor, place: Tensor, state: Attended) -> tuple[Tensor, Attended]:
        """Return features (B, width) of the next cell, and the state.

        Args:
            x: (B, width).
            place: (B, 6) or (1, 6) of the cell.
            state: before the cell.
        """
        bar, cell = state.bar + (place[:, 0] == 0), torch.tensor(state.cell, device=x.device)
        turn = Turn.at(cell, place.expand(len(bar), -1), bar, self.shape.head_size)
        memory = state.memory.room()
        for layer, block in enumerate(self):
            x = block.step(x, turn, memory, layer)
        return x, Attended(memory, state.cell + 1, bar)
