"""Check a latent model: does it keep the protocol of `pretrained.latent`?

def test_my_latent():
    check_latent(MyLatent(), Task(bars=2))
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envs.music.codec import HOLD, UNWRITTEN, Codec
from envs.music.noise import HOLDS, noise
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task

PIECES = 4
TOLERANCE = 1e-3  # of numbers of a point: float32, batched or not
PARTS = ("codec", "n_latent", "require", "encode", "decode")


class LatentError(Exception):
    """A model broke the protocol; the message says what was expected, what it got, what to do."""


@dataclass(frozen=True)
class LatentTrial:
    """A latent model and the task whose pieces it is tried on."""

    latent: Any
    task: Task

    @cached_property
    def pieces(self) -> Score:
        """Finished pieces of noise."""
        return noise(self.task, 1, PIECES, HOLDS)

    @cached_property
    def points(self) -> Tensor:
        """Their points."""
        found: Tensor = self.latent.encode(self.pieces)
        return found

    @property
    def page(self) -> Score:
        """An empty page."""
        return Score.page(self.task, 1)

    def tokens(self, page: Score | None = None, **how: Any) -> Array:
        """Return the tokens (PIECES, V, T) of pieces decoded at `points`."""
        score = self.latent.decode(self.points, page or self.page, **how)
        _expect(
            isinstance(score, Score) and score.finished and score.batch == PIECES,
            f"decode returned {score!r}; expected a finished score of {PIECES} pieces, one of each "
            "point",
        )
        tokens: Array = score.tokens
        return tokens

    def refuses(self, what: str, z: Tensor, page: Score | None = None, **how: Any) -> None:
        """Raise LatentError unless `decode` refuses a call by a ValueError."""
        try:
            self.latent.decode(z, page or self.page, **how)
        except ValueError:
            return
        raise LatentError(f"decode accepted {what}; raise ValueError and say what is expected")


def _expect(kept: bool, message: str) -> None:
    if not kept:
        raise LatentError(message)


def encodes(trial: LatentTrial) -> None:
    """`encode` gives finite points (B, Z), the same when asked again."""
    z, size = trial.points, trial.latent.n_latent
    _expect(
        isinstance(z, Tensor) and tuple(z.shape) == (PIECES, size) and z.dtype == torch.float32,
        f"encode gave {getattr(z, 'shape', z)} {getattr(z, 'dtype', '')}, expected "
        f"{(PIECES, size)} torch.float32: n_latent numbers of each piece",
    )
    _expect(bool(torch.isfinite(z).all()), "encode gave points that are not finite")
    _expect(
        torch.allclose(z, trial.latent.encode(trial.pieces), atol=TOLERANCE),
        "encode gave other points when asked again; return the mean, switch dropout off with "
        "net.eval()",
    )


def encodes_alone(trial: LatentTrial) -> None:
    """A piece has the point that it has alone."""
    alone = torch.cat([trial.latent.encode(trial.pieces[row : row + 1]) for row in range(PIECES)])
    gap = float((alone - trial.points).abs().max())
    _expect(
        gap <= TOLERANCE,
        f"the point of a piece depends on the others of its batch, by {gap:.3g}; expected that of "
        "the piece alone: no batch norm",
    )


def decodes(trial: LatentTrial) -> None:
    """`decode` gives pieces within the grammar, the same with the same seed."""
    first = trial.tokens(seed=3)
    begun = np.maximum.accumulate(first > HOLD, axis=2)
    _expect(
        bool((begun | (first != HOLD)).all()),
        "decode wrote a hold before any note; draw only what page.allowed() permits",
    )
    _expect(
        bool((first == trial.tokens(seed=3)).all()),
        "decode gave other pieces with the same seed; draw from the generator alone",
    )
    rng = torch.Generator().manual_seed(3)
    _expect(
        bool((first == trial.tokens(seed=rng)).all()),
        "decode gave other pieces of a generator than of the seed it was made with",
    )
    greedy = trial.tokens(seed=1, temperature=0.0)
    _expect(
        bool((greedy == trial.tokens(seed=2, temperature=0.0)).all()),
        "decode at temperature 0 depends on the seed; take the likeliest token",
    )


def keeps_what_is_there(trial: LatentTrial) -> None:
    """Given and written cells keep their tokens."""
    task, tokens = trial.task, trial.pieces.tokens[0]
    given, middle = np.full(tokens.shape, UNWRITTEN), task.cells // 2
    given[:, middle] = task.codec.vocab - 1 - np.arange(task.voices)
    held = replace(task, given=tuple(map(tuple, given.tolist())))
    found = trial.tokens(Score.page(held, 1), seed=0)
    _expect(
        bool((found[:, :, middle] == given[:, middle]).all()),
        "decode wrote over given cells; write with page.write, which keeps them",
    )
    count = 3 * task.voices
    number = np.arange(task.steps).reshape(-1, task.voices).T
    page = Score(np.where(number < count, tokens, UNWRITTEN)[None], task, count)
    found = trial.tokens(page, seed=0)
    _expect(
        bool((found[:, number < count] == tokens[number < count]).all()),
        "decode wrote over cells that were written; begin behind page.n_written",
    )


def refuses_what_is_wrong(trial: LatentTrial) -> None:
    """Points of another size or not finite, a page of several pieces, bad numbers are refused."""
    z = trial.points
    trial.refuses("points of another model, with one number more", torch.cat([z, z[:, :1]], 1))
    trial.refuses("points that are not finite", z * float("nan"))
    trial.refuses("a temperature below 0", z, temperature=-1.0)
    trial.refuses("a page of two pieces", z, Score.page(trial.task, 2))
    trial.refuses("a finished page", z, trial.pieces[0:1])


PROBES = (encodes, encodes_alone, decodes, keeps_what_is_there, refuses_what_is_wrong)


def check_latent(latent: Any, task: Task) -> None:
    """Raise unless a latent model keeps the protocol; one line in a test of one's own.

    Args:
        latent: a `pretrained.latent.Latent`.
        task: of pieces that it can read.

    Raises:
        LatentError: every promise that is broken, a line each.
    """
    name = type(latent).__name__
    missing = [part for part in PARTS if not hasattr(latent, part)]
    if missing or not isinstance(latent.codec, Codec):
        raise LatentError(
            f"latent {name} has no {missing[0] if missing else 'Codec as its codec'}; expected "
            f"{', '.join(PARTS)}, see pretrained.latent"
        )
    trial, broken = LatentTrial(latent, task), []
    for probe in PROBES:
        try:
            probe(trial)
        except (Exception, SystemExit) as error:
            raised = f"raised {type(error).__name__} in {probe.__name__}: {error}"
            broken.append(f"latent {name}: {error if isinstance(error, LatentError) else raised}")
            if probe is encodes:
                break  # what comes after would only stumble over it again
    if broken:
        raise LatentError("\n".join(broken))
