"""Check a prior: does it keep the protocol of `pretrained.prior`?

    def test_my_prior():
        check_prior(MyPrior())

A prior with `start` and `step` is checked as one that can be asked cell by cell, any other for its
teacher-forced log-probabilities alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envs.music.codec import UNWRITTEN, Codec
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
    """A prior broke the protocol; the message says what was expected, what it got, what to do."""


@dataclass(frozen=True)
class PriorTrial:
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

    def page(self, cells: int) -> Score:
        """Return the pieces as far as their first cells in writing order."""
        number = np.arange(self.task.steps).reshape(-1, self.task.voices).T
        return Score(np.where(number < cells, self.tokens, UNWRITTEN), self.task, cells)

    def walk(self, rows: Array, first: int = 0) -> Array:
        """Nats (PIECES, V, T), asked cell by cell; from half-way on with the pieces `rows`.

        Cells before number `first` are read as a primer, and have the nats of teacher forcing.
        """
        nats, half = self.nats.copy(), self.task.cells // 2 * self.task.voices
        tokens = halved(self.tokens, rows)
        state, page = self.prior.start(self.task, PIECES), self.page(first)
        for cell in range(first, self.task.steps):
            if cell == half and not np.array_equal(rows, np.arange(PIECES)):
                state, page = self.prior.take(state, torch.from_numpy(rows)), page.take(rows)
            time, voice = divmod(cell, self.task.voices)
            logits, state = self.prior.step(state, page)
            chosen = torch.from_numpy(tokens[:, voice, time].astype(np.int64))
            every = logits.double().log_softmax(dim=-1)
            nats[:, voice, time] = every.gather(1, chosen[:, None])[:, 0].numpy()
            page = page.write(chosen.numpy())
        return nats

    def logits(self, state: Any, cells: int) -> Tensor:
        """Return logits (PIECES, vocab) of cell number `cells`, asked of a state."""
        logits: Tensor = self.prior.step(state, self.page(cells))[0]
        return logits.clone()

    def first_logits(self) -> Tensor:
        """Return logits (PIECES, vocab) of the first token."""
        return self.logits(self.prior.start(self.task, PIECES), 0)


def halved(values: Array, rows: Array) -> Array:
    """Return the pieces (B, V, T), from half-way on those of `rows` (B,)."""
    half = values.shape[2] // 2
    return np.concatenate([values[..., :half], values[rows][..., half:]], axis=2)


def in_order(values: Array) -> Array:
    """Return cells (B, V, T) in writing order, (B, V * T)."""
    return values.transpose(0, 2, 1).reshape(len(values), -1)


def _gap(a: Array, b: Array) -> float:
    """The largest difference; where the grammar forbids a token both are merely very low."""
    return float(np.abs(np.maximum(a, -1e3) - np.maximum(b, -1e3)).max())


def speaks_its_codec(trial: PriorTrial) -> str:
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


def gives_nats(trial: PriorTrial) -> str:
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


def is_alone(trial: PriorTrial) -> str:
    """A piece has the nats that it has alone."""
    alone = np.concatenate([trial.ask(trial.tokens[row : row + 1]) for row in range(PIECES)])
    gap = _gap(alone, trial.nats)
    if gap > TOLERANCE:
        return (
            f"log_prob of a piece depends on the others of its batch, by up to {gap:.3g} nats; "
            "expected those of the piece alone: no batch norm, no padding that counts"
        )
    return ""


def is_causal(trial: PriorTrial) -> str:
    """The nats of a token do not change when cells written later do, in any voice."""
    other, voices = noise(trial.task, 2, PIECES, HOLDS).tokens, trial.task.voices
    number = np.arange(trial.task.steps).reshape(-1, voices).T
    for cut in range(1, trial.task.steps):
        mixed = np.where(number < cut, trial.tokens, other)
        gap = _gap(in_order(trial.ask(mixed))[:, :cut], in_order(trial.nats)[:, :cut])
        if gap > TOLERANCE:
            time, voice = divmod(cut, voices)
            where = f"{time}" + (f" of voice {voice}" if voices > 1 else "")
            return (
                f"log_prob of cells before {where} changed by up to {gap:.3g} nats when that one "
                "and those behind it were written otherwise; a token may depend only on cells "
                "written earlier: time by time, voice by voice"
            )
    return ""


def sums_to_one(trial: PriorTrial) -> str:
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


def gives_logits(trial: PriorTrial) -> str:
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


def forgets(trial: PriorTrial) -> str:
    """`start` has no memory, and `step` leaves the state it is given as it was."""
    before = trial.first_logits()
    trial.walk(np.arange(PIECES))
    after = trial.first_logits()
    if not torch.allclose(before, after, atol=TOLERANCE):
        return (
            "start has a memory: the first logits changed after pieces were read; let start(task, "
            "batch) make a new state each time, and keep none in the prior"
        )
    state = trial.prior.step(trial.prior.start(trial.task, PIECES), trial.page(0))[1]
    cells = trial.task.voices + 1
    first = trial.logits(state, cells)
    other = Score(noise(trial.task, 2, PIECES, HOLDS).tokens, trial.task, cells)
    trial.prior.step(state, other)
    if not torch.allclose(first, trial.logits(state, cells), atol=TOLERANCE):
        return (
            "step changes the state it is given: asked again from that state it gave other "
            "logits; return a new state, as a search goes on from one in several ways"
        )
    return ""


def catches_up(trial: PriorTrial) -> str:
    """A state just started reads what a page has already; asked twice it gives equal logits."""
    first = trial.task.steps // 2 + 1
    walked = trial.walk(np.arange(PIECES), first)
    gap = _gap(walked, trial.nats)
    if gap > TOLERANCE:
        return (
            f"behind a primer of {first} cells step gives nats that differ by up to {gap:.3g} from "
            "log_prob; let step read every cell of the score written since its state"
        )
    logits, state = trial.prior.step(trial.prior.start(trial.task, PIECES), trial.page(first))
    if not torch.allclose(logits, trial.logits(state, first), atol=TOLERANCE):
        return (
            "asked again about one cell step gives other logits; where nothing was written since "
            "the state there is nothing to read"
        )
    return ""


def steps_as_it_scores(trial: PriorTrial) -> str:
    """Step by step it gives the nats that it gives teacher-forced."""
    for rows in (np.arange(PIECES), np.array([2, 0, 3, 0])):
        take = rows[0] != 0
        walked, nats = trial.walk(rows), halved(trial.nats, rows)
        if _gap(walked, nats) > TOLERANCE:
            at = np.unravel_index(int(np.abs(walked - nats).argmax()), walked.shape)
            return (
                f"step by step{' through take' if take else ''} it gives {walked[at]:.4g} nats at "
                f"cell {at[2]} of piece {rows[at[0]]}, teacher-forced {nats[at]:.4g}; expected "
                "equal ones: one network, one temperature, one mask"
            )
    return ""


Probe = Callable[[PriorTrial], str]
ALWAYS: tuple[Probe, ...] = (speaks_its_codec, gives_nats, is_alone, is_causal, sums_to_one)
STEPPED: tuple[Probe, ...] = (gives_logits, forgets, steps_as_it_scores, catches_up)


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
        prior: a `pretrained.prior.Prior`, or a Scorer, which has no `start` and `step`.
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
            "expected codec, require(task) and log_prob(score), see pretrained.prior"
        )
    stepped = hasattr(prior, "start") and hasattr(prior, "step")
    for each in tasks_of(codec) if task is None else (task,):
        trial, broken = PriorTrial(prior, each), []
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
