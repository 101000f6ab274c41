"""A recurrent network as a prior: it speaks a codec, its grammar and every key."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from envs.music.codec import HOLD, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.networks.lens import (
    has_started,
    legal_tokens,
    moved,
    moved_back,
    own_tokens,
    places_of,
)
from pretrained.networks.recurrent import Hidden, RecurrentNet
from pretrained.prior import ILLEGAL

CHUNK = 512  # pieces in one teacher-forced pass: bounds memory, loses no speed


@dataclass(frozen=True)
class PriorState:
    """State of one voice: the network's, the count of cells, and whether a note has begun."""

    hidden: Hidden
    cell: int
    started: Tensor  # (B,) bool
    task: Task
    own: Tensor  # (1, vocab of the task) the prior's token for each of the task's
    places: Tensor  # (1, T, 6)


class RecurrentPrior:
    """A RecurrentNet that speaks a codec and its grammar.

    It learned with the key signature of C. Pieces in other keys are moved there before it reads
    them, and what it says is moved back. Of a range that is too wide for its vocabulary then, it
    writes what it knows.

    Args:
        net: the network, put into evaluation mode.
        codec: meaning of its tokens.

    Raises:
        ValueError: the network's vocabulary has another size than the codec's.
    """

    def __init__(self, net: RecurrentNet, codec: Codec) -> None:
        if net.shape.vocab != codec.vocab:
            raise ValueError(
                f"the network has {net.shape.vocab} tokens, codec {codec.fingerprint!r} "
                f"has {codec.vocab}"
            )
        self.net = net.eval().requires_grad_(False)
        self.codec = codec

    def require(self, task: Task) -> None:
        """Raise ValueError unless the task's grid is the prior's."""
        self.own(task)

    def own(self, task: Task) -> Tensor:
        """(1, vocab of the task): see `own_tokens`."""
        return own_tokens(self.codec, task.key.home, task.low, task.high, task.grid)[None]

    def log_probs(self, tokens: Tensor, task: Task) -> Tensor:
        """All log-probabilities (N, T, vocab) along token sequences (N, T) of one voice each."""
        own = self.own(task).to(tokens.device)
        logits, _ = self.net(moved(tokens, own), places_of(task).to(tokens.device))
        legal = legal_tokens(task, has_started(tokens))
        logits = moved_back(logits, own, self.codec.vocab)
        return logits.masked_fill_(~legal, ILLEGAL).log_softmax(dim=-1)

    @torch.inference_mode()
    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Nats (B, V, T) of each token of finished pieces given those before it in its voice."""
        batch, voices, cells = score.tokens.shape
        flat = np.ascontiguousarray(score.tokens).reshape(-1, cells)
        if not score.finished:
            raise ValueError("log_prob needs finished pieces; step the prior for a piece so far")
        tokens = torch.from_numpy(flat.astype(np.int64))
        nats = [
            self.log_probs(part, score.task).gather(2, part[..., None])[..., 0]
            for part in tokens.split(CHUNK)
        ]
        return torch.cat(nats).numpy().reshape(batch, voices, cells)

    def start(self, task: Task, batch: int) -> PriorState:
        """The state before the first cell of one voice."""
        started = torch.zeros(batch, dtype=torch.bool)
        return PriorState(self.net.start(batch), 0, started, task, self.own(task), places_of(task))

    @torch.inference_mode()
    def step(self, token: Tensor | None, state: PriorState) -> tuple[Tensor, PriorState]:
        """Logits (B, vocab) of the next token; what the grammar forbids has ILLEGAL."""
        if token is None:
            token = torch.full(state.started.shape, self.net.start_token)
            started = state.started
        else:
            started = state.started | (token > HOLD)
        place = state.places[:, state.cell]
        read = token if state.cell == 0 else moved(token, state.own)
        logits, _, hidden = self.net.step(read, place, state.hidden)
        legal = legal_tokens(state.task, started)
        logits = moved_back(logits, state.own, self.codec.vocab).masked_fill(~legal, ILLEGAL)
        return logits, replace(state, hidden=hidden, cell=state.cell + 1, started=started)

    def take(self, state: PriorState, rows: Tensor) -> PriorState:
        """The state of some pieces; `rows` (N,) are their numbers and may repeat."""
        return replace(state, hidden=self.net.take(state.hidden, rows), started=state.started[rows])
