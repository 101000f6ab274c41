"""Check a prior: does it keep the protocol of `pretrained.prior`?

    def test_my_prior():
        check_prior(MyPrior())

A prior with `start` and `step` is checked as one that can be asked token by token, any other for
its teacher-forced log-probabilities alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envs.music.codec import HOLD, Codec
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.noise import HOLDS, noise
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task

PIECES = 4
TOLERANCE = 1e-3  # nats: float32, batched or not
SUM_TOLERANCE = 1e-3  # of a sum of probabilities


class PriorError(Exception):
    """A prior broke the protocol. The message says what was expected, what found, what to do."""


@dataclass(frozen=True)
class Trial:
    """A prior and the pieces it is tried on."""

    prior: Any
    task: Task

    @cached_property
    def tokens(self) -> Array:
        """(PIECES, V, T) finished pieces of noise."""
        return noise(self.task, 1, PIECES, HOLDS).tokens

    @cached_property
    def nats(self) -> Array:
        """Their log-probabilities (PIECES, V, T)."""
        return self.ask(self.tokens)

    def ask(self, tokens: Array) -> Array:
        """Teacher-forced log-probabilities (B, V, T), as float64."""
        nats = self.prior.log_prob(Score(tokens, self.task))
        if type(nats) is not np.ndarray:
            raise TypeError(f"log_prob returned {type(nats).__name__}, expected a numpy array")
        return nats.astype(np.float64)

    def walk(self, rows: Array) -> Array:
        """Nats (PIECES, V, T), asked step by step; from half-way on with the pieces `rows`."""
        found, half = np.zeros(self.tokens.shape), self.task.cells // 2
        moves = not np.array_equal(rows, np.arange(PIECES))
        tokens = torch.from_numpy(halved(self.tokens, rows).astype(np.int64))
        for voice in range(self.task.voices):
            state, last = self.prior.start(self.task, PIECES), None
            for cell in range(self.task.cells):
                if cell == half and moves:
                    state = self.prior.take(state, torch.from_numpy(rows))
                    last = torch.from_numpy(self.tokens[rows, voice, cell - 1].astype(np.int64))
                logits, state = self.prior.step(last, state)
                last = tokens[:, voice, cell]
                nats = logits.double().log_softmax(dim=-1)
                found[:, voice, cell] = nats.gather(1, last[:, None])[:, 0].numpy()
        return found

    def first_logits(self, batch: int = PIECES) -> Tensor:
        """Logits (batch, vocab) of the first token."""
        logits: Tensor = self.prior.step(None, self.prior.start(self.task, batch))[0]
        return logits


def halved(values: Array, rows: Array) -> Array:
    """The pieces (B, V, T), from half-way on those of `rows` (B,)."""
    half = values.shape[2] // 2
    return np.concatenate([values[..., :half], values[rows][..., half:]], axis=2)


def _gap(a: Array, b: Array) -> float:
    """The largest difference; where the grammar forbids a token both are merely very low."""
    return float(np.abs(np.maximum(a, -1e3) - np.maximum(b, -1e3)).max())


def speaks_its_codec(trial: Trial) -> str:
    """It accepts a task of its codec and refuses tokens of another meaning."""
    prior, task = trial.prior, trial.task
    try:
        prior.require(task)
    except ValueError as error:
        return (
            f"speaks codec {prior.codec.fingerprint!r} and refuses a task in "
            f"{task.codec.fingerprint!r}: {error}. Tasks have pitches C3-B5 and more where they "
            "are asked for"
        )
    other = replace(task, grid=task.grid + 1, pickup=0)
    try:
        prior.require(other)
    except ValueError:
        return ""
    return (
        f"speaks codec {prior.codec.fingerprint!r} and accepts a task in "
        f"{other.codec.fingerprint!r}, whose cells last another time; let require(task) raise "
        "ValueError where task.codec.fingerprint is none it can read"
    )


def gives_nats(trial: Trial) -> str:
    """log_prob is (B, V, T), finite and not above 0, the same when asked again."""
    shape, nats = trial.tokens.shape, trial.nats
    if nats.shape != shape:
        return f"log_prob has shape {nats.shape} for pieces {shape}; expected a number per cell"
    if not np.isfinite(nats).all():
        return (
            f"log_prob gave {nats[~np.isfinite(nats)][0]} for a piece within the grammar; "
            "expected finite nats, with a low number such as -1e9 for what cannot be"
        )
    if nats.max() > TOLERANCE:
        return f"log_prob gave {nats.max():g} nats; expected 0 or less: use log_softmax"
    if _gap(nats, trial.ask(trial.tokens)) > TOLERANCE:
        return (
            "log_prob gave other nats for the same pieces when asked again; switch dropout off "
            "with net.eval(), and keep nothing between calls"
        )
    return ""


def is_alone(trial: Trial) -> str:
    """A piece has the nats that it has alone."""
    alone = np.concatenate([trial.ask(trial.tokens[row : row + 1]) for row in range(PIECES)])
    gap = _gap(alone, trial.nats)
    if gap > TOLERANCE:
        return (
            f"log_prob of a piece depends on the others of its batch, by up to {gap:.3g} nats; "
            "expected those of the piece alone: no batch norm, no padding that counts"
        )
    return ""


def is_causal(trial: Trial) -> str:
    """The nats of a token do not change when later ones of its voice do."""
    other = noise(trial.task, 2, PIECES, HOLDS).tokens
    for cut in range(1, trial.task.cells):
        mixed = np.concatenate([trial.tokens[..., :cut], other[..., cut:]], axis=2)
        gap = _gap(trial.ask(mixed)[..., :cut], trial.nats[..., :cut])
        if gap > TOLERANCE:
            return (
                f"log_prob of cells before {cut} changed by up to {gap:.3g} nats when {cut} and "
                "those behind it were written otherwise; a token may depend on earlier ones only"
            )
    return ""


def sums_to_one(trial: Trial) -> str:
    """At a cell the probabilities of all tokens sum to 1."""
    vocab = trial.task.codec.vocab
    for cell in (0, trial.task.cells // 2, trial.task.cells - 1):
        tokens = np.repeat(trial.tokens[:1], vocab, axis=0)
        tokens[:, 0, cell] = np.arange(vocab)
        whole = float(np.exp(trial.ask(tokens)[:, 0, cell]).sum())
        if abs(whole - 1) > SUM_TOLERANCE:
            return (
                f"the probabilities of the {vocab} tokens at cell {cell} sum to {whole:.4g}, "
                "expected 1: log_prob is log_softmax over the whole vocabulary"
            )
    return ""


def gives_logits(trial: Trial) -> str:
    """Logits are as wide as the vocabulary, and no NaN."""
    logits, vocab = trial.first_logits(), trial.task.codec.vocab
    if tuple(logits.shape) != (PIECES, vocab):
        return (
            f"step gave logits {tuple(logits.shape)}, expected {(PIECES, vocab)}: one for each "
            f"token of codec {trial.task.codec.fingerprint!r}"
        )
    if torch.isnan(logits).any() or not torch.isfinite(logits.logsumexp(dim=-1)).all():
        return "step gave logits that are no numbers; expected one finite logit at least"
    return ""


def forgets(trial: Trial) -> str:
    """`start` has no memory, and `step` leaves the state it is given as it was."""
    before = trial.first_logits()
    trial.walk(np.arange(PIECES))
    after = trial.first_logits()
    if not torch.allclose(before, after, atol=TOLERANCE):
        return (
            "start has a memory: the first logits changed after pieces were read; let start(task, "
            "batch) make a new state each time, and keep none in the prior"
        )
    _, state = trial.prior.step(None, trial.prior.start(trial.task, PIECES))
    low, high = (torch.full((PIECES,), t) for t in (HOLD, trial.task.codec.token(trial.task.high)))
    first = trial.prior.step(high, state)[0].clone()
    trial.prior.step(low, state)
    again = trial.prior.step(high, state)[0]
    if not torch.allclose(first, again, atol=TOLERANCE):
        return (
            "step changes the state it is given: asked again from that state it gave other "
            "logits; return a new state, as a search goes on from one in several ways"
        )
    return ""


def steps_as_it_scores(trial: Trial) -> str:
    """Step by step it says what it says teacher-forced."""
    for rows in (np.arange(PIECES), np.array([2, 0, 3, 0])):
        take = rows[0] != 0
        if take and not hasattr(trial.prior, "take"):
            continue
        walked, nats = trial.walk(rows), halved(trial.nats, rows)
        if _gap(walked, nats) > TOLERANCE:
            at = np.unravel_index(int(np.abs(walked - nats).argmax()), walked.shape)
            return (
                f"step by step{' through take' if take else ''} it gives {walked[at]:.4g} nats at "
                f"cell {at[2]} of piece {rows[at[0]]}, teacher-forced {nats[at]:.4g}; expected the "
                "same: one network, one temperature, one mask"
            )
    return ""


ALWAYS: tuple[Callable[[Trial], str], ...] = (
    *(speaks_its_codec, gives_nats, is_alone, is_causal, sums_to_one),
)
STEPPED: tuple[Callable[[Trial], str], ...] = (gives_logits, forgets, steps_as_it_scores)


def tasks_of(codec: Codec) -> tuple[Task, ...]:
    """Two short tasks in a codec: another key, metre and pickup, and two voices."""
    low, high, grid = codec.low, codec.high, codec.grid
    minor, three = Key("A", "minor"), Meter(3, 4)
    return (
        Task(bars=1, low=low, high=high, grid=grid),
        Task(minor, three, bars=1, low=low, high=high, grid=grid, voices=2, pickup=grid),
    )


def check_prior(prior: Any, task: Task | None = None) -> None:
    """Raise unless a prior keeps the protocol; one line in a test of one's own.

    Args:
        prior: a `pretrained.prior.Prior`, autoregressive or not.
        task: what pieces are tried on; if None two short tasks in the prior's codec.

    Raises:
        PriorError: every promise that is broken on a task, a line each.
    """
    name = type(prior).__name__
    try:
        missing = [part for part in ("codec", "require", "log_prob") if not hasattr(prior, part)]
        codec = None if missing else prior.codec
    except Exception as error:
        raise PriorError(
            f"prior {name}: its codec raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(codec, Codec):
        raise PriorError(
            f"prior {name} has no {missing[0] if missing else 'Codec as its codec'}; "
            "expected codec, require(task) and log_prob(score), see pretrained.prior.Prior"
        )
    stepped = hasattr(prior, "start") and hasattr(prior, "step")
    for each in tasks_of(codec) if task is None else (task,):
        trial, broken = Trial(prior, each), []
        for probe in ALWAYS + (STEPPED if stepped else ()):
            try:
                said = probe(trial)
            except (Exception, SystemExit) as error:  # what it raises is told beside its name
                said = f"raised {type(error).__name__} in {probe.__name__}: {error}"
            if said:
                broken.append(f"prior {name}: {said}")
            if said and probe in (speaks_its_codec, gives_nats, gives_logits):
                break  # what comes after would only stumble over it again
        if broken:
            raise PriorError("\n".join(broken))
