"""Networks as priors: the protocol of `pretrained.prior` from what an architecture computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.networks.lens import context_of, has_started, own_tokens
from pretrained.prior import ILLEGAL, Trainable

CHUNK = 65_536  # cells: bounds memory, loses no speed


@dataclass(frozen=True)
class Reading:
    """State of a prior that reads along.

    Attributes:
        inner: the architecture's state, which has read the cells before `cell`.
        cell: number, in writing order, of the cell it was last asked about; -1 before the first.
        logits: (B, vocab) of that cell.
    """

    inner: Any
    cell: int
    logits: Tensor

    def is_at(self, score: Score) -> bool:
        """True if the state was asked about the next cell of a score already.

        Raises:
            ValueError: the score has fewer cells than the state has read, or none to write.
        """
        if score.finished or score.n_written < self.cell:
            raise ValueError(
                f"the state has read {max(self.cell, 0)} cells, the score has {score.n_written} of "
                f"{score.task.steps}; expected as many or more and one left to write: start anew"
            )
        return score.n_written == self.cell


class Network(nn.Module):
    """A network of logits that are read from features.

    Attributes:
        shape: a dataclass of its sizes.
        head: the linear read-out.
    """

    shape: Any
    head: nn.Linear


def device_of(prior: Trainable) -> torch.device:
    """Return the device of a network, where its states are; answers are on the CPU."""
    weight = next(prior.net.parameters(), None)
    return torch.device("cpu") if weight is None else weight.device


class NetworkPrior(Trainable):
    """A network that speaks a codec and its grammar; most of a `pretrained.prior.Trainable`.

    The network learned with the key signature of C. Pieces in other keys are moved there before
    it reads them, and its logits are moved back (`pretrained.networks.lens`). In a range that is
    too wide for its vocabulary then, it writes only what it knows.

    An architecture adds `format`, `build`, `forward`, `begin`, `advance` and `pick`.

    Args:
        net: the network, put into evaluation mode.
        codec: meaning of its tokens.

    Raises:
        ValueError: the network's vocabulary has another size than the codec's.
    """

    net: Network
    most_cells = CHUNK  # in one teacher-forced pass

    def __init__(self, net: Network, codec: Codec) -> None:
        vocab = net.head.out_features
        if vocab != codec.vocab:
            raise ValueError(
                f"the network has {vocab} tokens, codec {codec.fingerprint!r} has {codec.vocab}"
            )
        self.net = net.eval().requires_grad_(False)
        self.codec = codec

    @property
    def n_features(self) -> int:
        """Number of features at a cell."""
        return self.net.head.in_features

    @property
    def shape(self) -> Mapping[str, Any]:
        """Sizes of the network, in types that JSON has."""
        return asdict(self.net.shape)

    def logits_along(self, pieces: Tensor, context: Tensor, **given: Any) -> Tensor:
        """Return the logits of `forward` alone."""
        return self.forward(pieces, context, **given)[0]

    def require(self, task: Task) -> None:
        """Raise ValueError unless the task's grid is the prior's."""
        own_tokens(self.codec, task.key.home, task.low, task.high, task.grid)

    def start(self, task: Task, batch: int) -> Reading:
        """Return the state before the first cell of `batch` pieces."""
        self.require(task)
        inner = self.begin(context_of(task, batch).to(device_of(self)), task.voices, task.cells)
        return Reading(inner, -1, torch.empty(batch, 0))

    @torch.inference_mode()
    def step(self, state: Reading, score: Score) -> tuple[Tensor, Reading]:
        """Return logits (B, vocab) of the next cell of a score, and the state that read so far."""
        if state.is_at(score):
            return state.logits, state
        new = score.written_since(max(state.cell, 0)).astype(np.int64)
        page, device = {}, device_of(self)
        if self.hears_ahead and score.has_given_ahead:
            page = {"page": torch.from_numpy(score.tokens.astype(np.int64)).to(device)}
        tokens = torch.from_numpy(new).to(device)
        logits, _, inner = self.advance(state.inner, tokens, **page, **self._seen_at(score))
        logits = logits.cpu().masked_fill(~torch.from_numpy(score.grammar()), ILLEGAL)
        return logits, Reading(inner, score.n_written, logits)

    def take(self, state: Reading, rows: Tensor) -> Reading:
        """Return the state of some pieces; `rows` (N,) are their numbers and may repeat."""
        return Reading(self.pick(state.inner, rows), state.cell, state.logits[rows])

    def log_probs(self, score: Score) -> Tensor:
        """Return nats (B, V * T, vocab) of every token along finished pieces, in writing order."""
        return torch.cat([nats for _, nats in self._nats(score)])

    @torch.inference_mode()
    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return nats (B, V, T) of each token of finished pieces given the cells before it."""
        batch, voices, cells = score.tokens.shape
        chosen = [
            nats.gather(2, pieces.transpose(1, 2).reshape(len(pieces), -1, 1))[..., 0]
            for pieces, nats in self._nats(score)
        ]
        by_time = torch.cat(chosen).cpu().numpy().reshape(batch, cells, voices)
        return np.ascontiguousarray(by_time.transpose(0, 2, 1))

    def _nats(self, score: Score) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pieces (n, V, T) and nats (n, V * T, vocab) of all tokens, portion by portion."""
        if not score.finished:
            raise ValueError("log_prob needs finished pieces; step the prior for a piece so far")
        self.require(score.task)
        task, device = score.task, device_of(self)
        by_start = [task.codec.legal(np.array([False, True]), *span) for span in task.spans]
        legal = torch.from_numpy(np.stack(by_start)).to(device)  # (V, 2, vocab)
        voice = torch.arange(task.voices, device=device).repeat(task.cells)
        fixed, hears = torch.tensor(~task.free, device=device), self.hears_ahead
        for part in score.chunks(max(1, self.most_cells // task.steps)):
            pieces = torch.from_numpy(part.tokens.astype(np.int64)).to(device)
            known = {"given": fixed.expand_as(pieces)} if hears and fixed.any() else {}
            known |= self._seen_along(part)
            logits = self.logits_along(pieces, context_of(task, len(pieces)).to(device), **known)
            started = has_started(pieces).transpose(1, 2).flatten(1).long()
            yield pieces, logits.masked_fill(~legal[voice, started], ILLEGAL).log_softmax(dim=-1)

    def _seen_at(self, score: Score) -> dict[str, Tensor]:
        """Return further keywords of `advance` at the next cell of a score."""
        return {}

    def _seen_along(self, score: Score) -> dict[str, Tensor]:
        """Return further keywords of `forward` along a finished score."""
        return {}
