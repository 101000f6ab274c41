"""Priors: what music is likely, as log-probabilities of tokens given those before them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from envs.codec import HOLD, Codec
from envs.score import Score
from envs.task import BARS_TO_A_NUMBER, CONTEXT, MAX_BARS, Task
from pretrained.rnn import Hidden, RecurrentNet

_CELL, _IN_BAR = (CONTEXT.index(name) for name in ("cell", "cell_in_bar"))
_PLAN = [CONTEXT.index(name) for name in ("bar_cells", "beat_cells", "tonic", "home", "cells")]
_PLAN += [n for n, name in enumerate(CONTEXT) if name.startswith("phrase_ends")]

CHUNK = 512  # pieces in one teacher-forced pass: bounds memory, loses no speed
ILLEGAL = -1e9  # log-probability of what the grammar forbids; finite, so 0 * it stays a number


@runtime_checkable
class Prior(Protocol):
    """A model of what is likely."""

    codec: Codec

    def require(self, task: Task) -> None:
        """Raise ValueError unless the prior can read pieces of this task."""
        ...

    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Nats (B, V, T) of each token given those before it in its voice, teacher-forced."""
        ...


class AutoregressivePrior(Prior, Protocol):
    """A prior that can also be asked token by token."""

    def start(self, task: Task, batch: int) -> Any:
        """The state before the first cell of one voice of `batch` pieces."""
        ...

    def step(self, token: Tensor | None, state: Any) -> tuple[Tensor, Any]:
        """Logits (B, vocab) of the next token, after `token` (B,), None at the first cell."""
        ...


@dataclass(frozen=True)
class PriorState:
    """State of one voice: the network's, the count of cells, and whether a note has begun."""

    hidden: Hidden
    cell: int
    started: Tensor  # (B,) bool
    task: Task
    own: Tensor  # (1, vocab of the task) the prior's token for each of the task's
    places: Tensor  # (1, T, 6)


def places(context: Tensor, cells: int) -> Tensor:
    """(B, cells, 6) int64: what `pretrained.rnn.PLACE` names, of the first cells of each piece.

    (1, cells, 6) if all pieces have one plan: what is the same is looked up once.

    Args:
        context: (B, len(CONTEXT)) of observations, see `envs.task.CONTEXT`.
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


def sample(
    prior: AutoregressivePrior,
    page: Score,
    seed: int | torch.Generator = 0,
    temperature: float = 1.0,
) -> Score:
    """Fill a page by drawing from a prior, cell by cell; given cells keep their tokens.

    Args:
        prior: any autoregressive prior.
        page: an unfinished score.
        seed: of the draw; the same seed gives the same pieces.
        temperature: above 0; 1 draws from the prior as it is.

    Raises:
        ValueError: a temperature that is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: expected a number above 0")
    rng = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    task, codec, score = page.task, page.task.codec, page
    states = [prior.start(task, page.batch) for _ in range(task.voices)]
    last: list[Tensor | None] = [None] * task.voices
    tokens = page.tokens
    for cell in range(task.steps):
        time, voice = divmod(cell, task.voices)
        logits, states[voice] = prior.step(last[voice], states[voice])
        if cell < page.n_written:
            token = torch.from_numpy(tokens[:, voice, time].astype(np.int64))
        else:
            allowed = torch.from_numpy(codec.allowed(score))
            scaled = (logits / temperature).masked_fill(~allowed, -torch.inf)
            token = draw(scaled, rng)
            score = score.write(token.numpy())
        last[voice] = token
    return score


def draw(logits: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """One token (B,) from each row of logits (B, vocab): the Gumbel-max trick."""
    noise = torch.empty_like(logits).exponential_(generator=rng)
    return (logits - noise.log()).argmax(dim=-1)
