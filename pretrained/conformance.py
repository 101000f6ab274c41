"""Check a prior: does it keep the protocol of `pretrained.prior`?

    def test_my_prior():
        check_prior(MyPrior())

A prior with `start` and `step` is checked as one that can be asked cell by cell, any other for its
teacher-forced log-probabilities alone. One that hears ahead is also tried on pages with given
cells, which are the same in every piece: there it must be deaf to the free ones that follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envs.music.codec import FIRST_PITCH, HOLD, REST, UNWRITTEN, Codec
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.noise import HOLDS, noise
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.prior import hears_ahead

PIECES = 4
EVERY = np.arange(PIECES)
TOLERANCE = 1e-3  # nats: float32, batched or not; and of a sum of probabilities


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
        return self.other_tokens(1)

    def other_tokens(self, seed: int = 2) -> Array:
        """Return (PIECES, V, T) finished pieces of noise."""
        return noise(self.task, seed, PIECES, HOLDS).tokens

    @cached_property
    def nats(self) -> Array:
        """Their log-probabilities (PIECES, V, T)."""
        return self.ask(self.tokens)

    @cached_property
    def number(self) -> Array:
        """(V, T) number of each cell in writing order."""
        return np.arange(self.task.steps).reshape(-1, self.task.voices).T

    def ask(self, tokens: Array) -> Array:
        """Return teacher-forced log-probabilities (B, V, T), as float64."""
        nats = self.prior.log_prob(Score(tokens, self.task))
        if type(nats) is not np.ndarray:
            raise TypeError(f"log_prob returned {type(nats).__name__}, expected a numpy array")
        return nats.astype(np.float64)

    def start(self) -> Any:
        """Return the state before the first cell."""
        return self.prior.start(self.task, PIECES)

    def page(self, cells: int) -> Score:
        """Return the pieces as far as their first cells in writing order."""
        return Score(np.where(self.number < cells, self.tokens, self.task.page), self.task, cells)

    def walk(self, rows: Array = EVERY, first: int = 0) -> Array:
        """Return nats (PIECES, V, T), asked cell by cell; from half-way on with the pieces `rows`.

        Cells before number `first` are read as a primer, and have the nats of teacher forcing.
        """
        nats, half = self.nats.copy(), self.task.cells // 2 * self.task.voices
        tokens = halved(self.tokens, rows)
        state, page = self.start(), self.page(first)
        for cell in range(first, self.task.steps):
            if cell == half and not np.array_equal(rows, EVERY):
                state, page = self.prior.take(state, torch.from_numpy(rows)), page.take(rows)
            time, voice = divmod(cell, self.task.voices)
            logits, state = self.prior.step(state, page)
            chosen = tokens[:, voice, time]
            nats[:, voice, time] = logits.double().log_softmax(dim=-1).numpy()[EVERY, chosen]
            page = page.write(chosen)
        return nats

    def logits(self, state: Any, cells: int) -> Tensor:
        """Return logits (PIECES, vocab) of cell number `cells`, asked of a state."""
        logits: Tensor = self.prior.step(state, self.page(cells))[0]
        return logits.clone()


def halved(values: Array, rows: Array) -> Array:
    """Return the pieces (B, V, T), from half-way on those of `rows` (B,)."""
    half = values.shape[2] // 2
    return np.concatenate([values[..., :half], values[rows][..., half:]], axis=2)


def _gap(a: Array, b: Array) -> float:
    """Return the largest difference; what the grammar forbids is merely very low in both."""
    return float(np.abs(np.maximum(a, -1e3) - np.maximum(b, -1e3)).max())


def _expect(kept: bool, fault: str) -> None:
    """Raise PriorError with a fault unless a promise was kept."""
    if not kept:
        raise PriorError(fault)


def speaks_its_codec(trial: PriorTrial) -> None:
    """It accepts a task of its codec and refuses tokens of another meaning."""
    prior, task = trial.prior, trial.task
    other = replace(task, grid=task.grid + 1, pickup=0, given=())
    try:
        prior.require(task)
    except ValueError as error:
        raise PriorError(
            f"speaks codec {prior.codec.fingerprint!r} and refuses a task in "
            f"{task.codec.fingerprint!r}: {error}. Tasks have pitches C3-B5 and more where they "
            "are asked for"
        ) from error
    try:
        prior.require(other)
    except ValueError:
        return
    raise PriorError(
        f"speaks codec {prior.codec.fingerprint!r} and accepts a task in "
        f"{other.codec.fingerprint!r}, whose cells last another time; let require(task) raise "
        "ValueError where task.codec.fingerprint is none it can read"
    )


def gives_nats(trial: PriorTrial) -> None:
    """log_prob is (B, V, T), finite and not above 0, the same when asked again."""
    shape, nats = trial.tokens.shape, trial.nats
    _expect(
        nats.shape == shape,
        f"log_prob has shape {nats.shape} for pieces {shape}; expected a number per cell",
    )
    wrong = nats[~np.isfinite(nats)]
    _expect(
        not len(wrong),
        f"log_prob gave {wrong[:1]} for a piece within the grammar; expected finite nats, with a "
        "low number such as -1e9 for what cannot be",
    )
    _expect(
        nats.max() <= TOLERANCE,
        f"log_prob gave {nats.max():g} nats; expected 0 or less: use log_softmax",
    )
    _expect(
        _gap(nats, trial.ask(trial.tokens)) <= TOLERANCE,
        "log_prob gave other nats for the same pieces when asked again; switch dropout off with "
        "net.eval(), and keep nothing between calls",
    )


def is_alone(trial: PriorTrial) -> None:
    """A piece has the nats that it has alone."""
    alone = np.concatenate([trial.ask(trial.tokens[row : row + 1]) for row in EVERY])
    gap = _gap(alone, trial.nats)
    _expect(
        gap <= TOLERANCE,
        f"log_prob of a piece depends on the others of its batch, by up to {gap:.3g} nats; "
        "expected those of the piece alone: no batch norm, no padding that counts",
    )


def is_causal(trial: PriorTrial) -> None:
    """The nats of a token do not change when free cells written later do, in any voice."""
    other, voices = trial.other_tokens(), trial.task.voices
    for cut in range(1, trial.task.steps):
        before, (time, voice) = trial.number < cut, divmod(cut, voices)
        nats = trial.ask(np.where(before, trial.tokens, other))
        gap = _gap(np.where(before, nats, 0), np.where(before, trial.nats, 0))
        where = f"{time}" + (f" of voice {voice}" if voices > 1 else "")
        _expect(
            gap <= TOLERANCE,
            f"log_prob of cells before {where} changed by up to {gap:.3g} nats when that one "
            "and those behind it were written otherwise; a token may depend only on cells "
            "written earlier: time by time, voice by voice"
            + (" (and on given ones, if it hears ahead)" if trial.task.given else ""),
        )


def sums_to_one(trial: PriorTrial) -> None:
    """At a cell the probabilities of all tokens sum to 1."""
    vocab = trial.task.codec.vocab
    for cell in (0, trial.task.cells // 2, trial.task.cells - 1):
        tokens = np.repeat(trial.tokens[:1], vocab, axis=0)
        tokens[:, 0, cell] = np.arange(vocab)
        whole = float(np.exp(trial.ask(tokens)[:, 0, cell]).sum())
        _expect(
            abs(whole - 1) <= TOLERANCE,
            f"the probabilities of the {vocab} tokens at cell {cell} sum to {whole:.4g}, "
            "expected 1: log_prob is log_softmax over the whole vocabulary",
        )


def gives_logits(trial: PriorTrial) -> None:
    """Logits are as wide as the vocabulary, and no NaN."""
    logits, codec = trial.logits(trial.start(), 0), trial.task.codec
    _expect(
        tuple(logits.shape) == (PIECES, codec.vocab),
        f"step gave logits {tuple(logits.shape)}, expected {(PIECES, codec.vocab)}: one for each "
        f"token of codec {codec.fingerprint!r}",
    )
    _expect(
        not torch.isnan(logits).any() and bool(torch.isfinite(logits.logsumexp(dim=-1)).all()),
        "step gave logits that are no numbers; expected one finite logit at least",
    )


def forgets(trial: PriorTrial) -> None:
    """`start` has no memory, and `step` leaves the state it is given as it was."""
    before = trial.logits(trial.start(), 0)
    trial.walk()
    _expect(
        torch.allclose(before, trial.logits(trial.start(), 0), atol=TOLERANCE),
        "start has a memory: the first logits changed after pieces were read; let start(task, "
        "batch) make a new state each time, and keep none in the prior",
    )
    state, cells = trial.prior.step(trial.start(), trial.page(0))[1], trial.task.voices + 1
    first = trial.logits(state, cells)
    trial.prior.step(state, Score(trial.other_tokens(), trial.task, cells))
    _expect(
        torch.allclose(first, trial.logits(state, cells), atol=TOLERANCE),
        "step changes the state it is given: asked again from that state it gave other "
        "logits; return a new state, as a search goes on from one in several ways",
    )


def steps_as_it_scores(trial: PriorTrial) -> None:
    """Step by step it gives the nats that it gives teacher-forced."""
    for how, rows in (("", EVERY), (" through take", np.array([2, 0, 3, 0]))):
        walked, nats = trial.walk(rows), halved(trial.nats, rows)
        at = np.unravel_index(int(np.abs(walked - nats).argmax()), walked.shape)
        _expect(
            _gap(walked, nats) <= TOLERANCE,
            f"step by step{how} it gives {walked[at]:.4g} nats at cell {at[2]} of piece "
            f"{rows[at[0]]}, teacher-forced {nats[at]:.4g}; expected equal ones: one network, one "
            "temperature, one mask",
        )


def catches_up(trial: PriorTrial) -> None:
    """A state just started reads what a page has already; asked twice it gives equal logits."""
    first = trial.task.steps // 2 + 1
    gap = _gap(trial.walk(first=first), trial.nats)
    _expect(
        gap <= TOLERANCE,
        f"behind a primer of {first} cells step gives nats that differ by up to {gap:.3g} from "
        "log_prob; let step read every cell of the score written since its state",
    )
    logits, state = trial.prior.step(trial.start(), trial.page(first))
    _expect(
        torch.allclose(logits, trial.logits(state, first), atol=TOLERANCE),
        "asked again about one cell step gives other logits; where nothing was written since "
        "the state there is nothing to read",
    )


def _with_given(task: Task) -> Task:
    """Return a task of which some cells are given: a few at its beginning, middle and end."""
    page, middle = np.full((task.voices, task.cells), UNWRITTEN), task.cells // 2
    for voice, row in enumerate(page):
        row[middle], row[middle + 1 : middle + 2] = task.codec.vocab - 1 - voice, HOLD
        row[1], row[-1] = FIRST_PITCH, REST
    return replace(task, given=tuple(map(tuple, page.tolist())))


Probe = Callable[[PriorTrial], None]
ALWAYS: tuple[Probe, ...] = (speaks_its_codec, gives_nats, is_alone, is_causal, sums_to_one)
STEPPED: tuple[Probe, ...] = (gives_logits, forgets, steps_as_it_scores, catches_up)


def check_prior(prior: Any, task: Task | None = None) -> None:
    """Raise unless a prior keeps the protocol; one line in a test of one's own.

    Args:
        prior: a `pretrained.prior.Prior`, or a Scorer, which has no `start` and `step`.
        task: what pieces are tried on; if None two short tasks in the prior's codec: one of
            another key and metre, with a pickup and two voices; with and without given cells if
            it hears ahead.

    Raises:
        PriorError: every promise that is broken on a task, a line each.
    """
    name = type(prior).__name__
    try:
        missing = [part for part in ("codec", "require", "log_prob") if not hasattr(prior, part)]
        codec = None if missing else prior.codec
    except Exception as error:
        message = f"prior {name}: its codec raised {type(error).__name__}: {error}"
        raise PriorError(message) from error
    if not isinstance(codec, Codec):
        raise PriorError(
            f"prior {name} has no {missing[0] if missing else 'Codec as its codec'}; "
            "expected codec, require(task) and log_prob(score), see pretrained.prior"
        )
    probes = ALWAYS + (STEPPED if hasattr(prior, "start") and hasattr(prior, "step") else ())
    plain = Task(bars=1, low=codec.low, high=codec.high, grid=codec.grid)
    waltz = replace(plain, key=Key("A", "minor"), meter=Meter(3, 4), voices=2, pickup=codec.grid)
    tasks = [plain, waltz] if task is None else [task]
    if task is None and hears_ahead(prior):
        tasks += map(_with_given, tasks[:])
    for each in tasks:
        trial, broken = PriorTrial(prior, each), []
        for probe in probes:
            try:
                probe(trial)
            except (Exception, SystemExit) as error:
                raised = f"raised {type(error).__name__} in {probe.__name__}: {error}"
                fault = str(error) if isinstance(error, PriorError) else raised
                broken.append(f"prior {name}: {fault}")
                if probe in (speaks_its_codec, gives_nats, gives_logits):
                    break  # what comes after would only stumble over it again
        if broken:
            raise PriorError("\n".join(broken))
