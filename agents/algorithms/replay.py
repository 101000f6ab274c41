"""PieceMemory: the replay memory of Q-learning, a ring of whole pieces."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from envs.music.tape import Array


class Pieces(NamedTuple):
    """A minibatch of B whole pieces; steps are in writing order: time-major, then voice."""

    tokens: Tensor  # (B, V, T) int64
    context: Tensor  # (B, len(CONTEXT)) float32, of the first step
    masks: Tensor  # (B, steps, vocab) bool: the allowed tokens
    rules: Tensor  # (B, steps) float32: sum of all reward terms but the prior's
    prior: Tensor  # (B, steps) float32: the prior's term
    log_p: Tensor | None  # (B, steps, vocab) float32 nats of the fixed prior, if stored

    @property
    def actions(self) -> Tensor:
        """Tokens (B, steps), int64, in writing order."""
        return self.tokens.transpose(1, 2).flatten(1)


class PieceMemory:
    """A memory of finished pieces and their rewards; new pieces replace the oldest.

    Args:
        capacity: most cells, of all voices; the memory has as many whole pieces as fit.
        voices: number of voices of a piece.
        cells: number of cells of a voice.
        vocab: number of tokens.
        context: length of an observation's context.
        with_prior: True to store the prior's log-probabilities of all tokens too.

    Raises:
        ValueError: a capacity below one piece.
    """

    def __init__(
        self,
        capacity: int,
        voices: int,
        cells: int,
        vocab: int,
        context: int,
        with_prior: bool = False,
    ) -> None:
        self.steps = steps = voices * cells
        self.vocab = vocab
        self.pieces = capacity // steps
        if self.pieces < 1:
            raise ValueError(
                f"buffer_size={capacity} cells: expected at least the {steps} of a piece"
            )
        n = self.pieces
        kind = np.uint8 if vocab <= 256 else np.int16
        self._columns: dict[str, Array] = {
            "tokens": np.zeros((n, voices, cells), kind),
            "context": np.zeros((n, context), np.float32),
            "masks": np.zeros((n, steps, (vocab + 7) // 8), np.uint8),  # a bit for each token
            "rules": np.zeros((n, steps), np.float32),
            "prior": np.zeros((n, steps), np.float32),
        }
        if with_prior:
            self._columns["log_p"] = np.zeros((n, steps, vocab), np.float32)
        self.next = 0  # place of the next piece
        self._length = 0

    def __len__(self) -> int:
        """Return the number of pieces in the memory."""
        return self._length

    def add(self, masks: Array, **parts: Array) -> None:
        """Store finished pieces.

        Args:
            masks: (B, steps, vocab) numbers of any type, 0 for a forbidden token.
            **parts: tokens, context, rules, prior, and log_p if `with_prior`, see Pieces.

        Raises:
            ValueError: a wrong shape, or a part that is missing or not expected.
        """
        parts["masks"] = np.packbits(np.asarray(masks) != 0, axis=-1)
        if parts.keys() != self._columns.keys():
            raise ValueError(f"expected {sorted(self._columns)}, got {sorted(parts)}")
        new = len(masks)
        rows = (self.next + np.arange(new)) % self.pieces
        newest = slice(max(0, new - self.pieces), None)  # if not all fit, the last ones stay
        for name, part in parts.items():
            shape = (new, *self._columns[name].shape[1:])
            if np.shape(part) != shape:
                raise ValueError(f"{name} has shape {np.shape(part)}, expected {shape}")
            self._columns[name][rows[newest]] = part[newest]
        self.next = (self.next + new) % self.pieces
        self._length = min(self._length + new, self.pieces)

    def sample(self, count: int, device: torch.device | str = "cpu") -> Pieces:
        """Return `count` different pieces, drawn uniformly with numpy's global generator.

        SB3 seeds that generator.

        Raises:
            ValueError: there are fewer pieces.
        """
        if count > self._length:
            raise ValueError(f"{count} pieces asked for, {self._length} remembered")
        return self.take(np.random.choice(self._length, count, replace=False), device)

    @property
    def bytes(self) -> int:
        """Size of the memory when the ring is full."""
        return sum(column.nbytes for column in self._columns.values())

    def columns(self) -> dict[str, Array]:
        """Return the arrays of the stored pieces by name, in the order of the ring."""
        return {name: column[: self._length] for name, column in self._columns.items()}

    def restore(self, columns: dict[str, Array], following: int) -> None:
        """Store the `columns` and `next` of another memory; the newest, if not all fit.

        Raises:
            KeyError, ValueError: pieces of other shapes.
        """
        rows = len(columns["tokens"])
        if rows != self.pieces:  # not full, or of another size: put the oldest first
            newest = slice(max(0, rows - self.pieces), None)
            columns = {n: np.roll(c, -following, axis=0)[newest] for n, c in columns.items()}
            rows = following = min(rows, self.pieces)
        for name, column in self._columns.items():
            column[:rows] = columns[name]
        self.next, self._length = following % self.pieces, rows

    def take(self, rows: Array, device: torch.device | str = "cpu") -> Pieces:
        """Return the pieces at the places `rows` (B,) of the ring."""
        parts = {name: column[rows] for name, column in self._columns.items()}
        parts["tokens"] = parts["tokens"].astype(np.int64)
        unpacked = np.unpackbits(parts["masks"], axis=-1, count=self.vocab)
        parts["masks"] = unpacked.view(np.bool_)
        tensors = {name: torch.from_numpy(part).to(device) for name, part in parts.items()}
        return Pieces(log_p=tensors.pop("log_p", None), **tensors)
