"""Variations of a theme at a distance that is asked for.

The way from the theme goes through the space of a latent model. Far from the theme its point is
moved on a sphere towards random ones; nearer than the model's own picture of the theme, notes of it
are held, the more the nearer. How far along the way a distance lies is measured on a few pieces
first; then pieces are drawn there, and those that are as far as asked for are taken.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from envs.music.codec import HOLD, UNWRITTEN
from envs.music.score import Score
from envs.music.tape import Array
from pretrained.corpora.edit_distance import edit_distances
from pretrained.latent import Latent

TOLERANCE = 0.05  # greatest difference of a distance from the one asked for
WAY = np.linspace(0, 2, 13)  # up to 1 the model's picture is approached, then left
PILOT = 12  # pieces at each place of the way
TOGETHER = 8  # pieces that hold the same notes of the theme
SPREAD = 0.08  # of the places at which pieces are drawn; wider in later rounds
ROUNDS = 24  # times as many pieces as are wanted that are drawn at most


class Neighbours:
    """Pieces that are as far from a theme as asked for; an `Infiller` of pages like the theme's.

    Args:
        latent: knows the theme.
        theme: a finished score of one piece.
        distance: edit distance over the number of tokens.

    Attributes:
        cells: that the model has read and written so far, those of pieces that are not taken too.
    """

    def __init__(self, latent: Latent, theme: Score, distance: float) -> None:
        self._latent, self._theme, self.distance = latent, theme, distance
        self.codec = latent.codec
        self._at = latent.encode(theme)
        self._place: float | None = None
        self.cells = theme.task.steps

    def require(self, task: object) -> None:
        """Raise ValueError unless pages of this task are the theme's."""
        if task != self._theme.task:
            raise ValueError("the page is not that of the theme; expected the theme's task")

    def fill(
        self,
        page: Score,
        n: int = 1,
        seed: int | torch.Generator = 0,
        temperature: float = 1.0,
    ) -> Score:
        """Return up to `n` pieces within TOLERANCE of the distance, see `pretrained.infiller`.

        Raises:
            ValueError: there is none at this distance; the message names those that there are.
        """
        rng = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        if self._place is None:
            self._place = self._find(page, rng, temperature)
        found: list[Array] = []
        for number in range(ROUNDS):
            size, spread = max(n - sum(map(len, found)), TOGETHER), SPREAD * (1 + number / 2)
            for tokens in self._drawn(self._place, size, page, rng, temperature, spread):
                near = np.abs(self.distances(tokens) - self.distance) <= TOLERANCE
                found.append(tokens[near])
            if sum(map(len, found)) >= n:
                break
        together = np.concatenate(found)[:n]
        if not len(together):
            raise ValueError(self._nothing(page, rng, temperature))
        return Score(together, page.task)

    def distances(self, tokens: Array) -> Array:
        """Return the distances (N,) of pieces (N, 1, T) from the theme."""
        return edit_distances(tokens, np.repeat(self._theme.tokens, len(tokens), axis=0))

    def means(self, page: Score, rng: torch.Generator, temperature: float) -> Array:
        """Return the mean distances of pieces at each place of WAY."""
        return np.array(
            [
                np.mean(
                    [
                        self.distances(tokens).mean()
                        for tokens in self._drawn(place, PILOT, page, rng, temperature, 0.0)
                    ]
                )
                for place in WAY
            ]
        )

    def _find(self, page: Score, rng: torch.Generator, temperature: float) -> float:
        """Return the place of the way at which pieces are as far as asked for, on average."""
        means = np.maximum.accumulate(self.means(page, rng, temperature))
        rising = np.flatnonzero(np.diff(means, prepend=-1.0) > 0)
        return float(np.interp(self.distance, means[rising], WAY[rising]))

    def _nothing(self, page: Score, rng: torch.Generator, temperature: float) -> str:
        means = self.means(page, rng, temperature)
        return (
            f"no variation is {self.distance:g} from the theme, within {TOLERANCE:g}; this model's "
            f"are {means.min():.2f} to {means.max():.2f} away: ask for another distance, or "
            "another temperature"
        )

    def _drawn(
        self,
        place: float,
        n: int,
        page: Score,
        rng: torch.Generator,
        temperature: float,
        spread: float = SPREAD,
    ) -> Iterator[Array]:
        """Yield tokens (N, 1, T) of pieces around a place of the way."""
        size = n if place >= 1 + 2 * spread else TOGETHER
        for _ in range(-(-n // size)):
            there = place + spread * torch.randn(size, generator=rng)
            if place < 1 + 2 * spread:
                there = there.mean().expand(size)
            z = self._points(there.clamp(1, 2) - 1, rng)
            held = self._holding(page, 1 - float(there.mean()), rng)
            self.cells += len(z) * page.task.steps
            yield self._latent.decode(z, held, rng, temperature).tokens

    def _points(self, share: Tensor, rng: torch.Generator) -> Tensor:
        """Return points (N, Z) at shares (N,) of the quarter circle from the theme to random."""
        random = torch.randn(len(share), self._at.shape[1], generator=rng)
        angle = share[:, None] * (torch.pi / 2)
        return angle.cos() * self._at + angle.sin() * random

    def _holding(self, page: Score, share: float, rng: torch.Generator) -> Score:
        """Return a page on which about a share of the theme's notes and rests are given."""
        if share <= 0:
            return page
        theme = self._theme.tokens[0, 0]
        begins = theme != HOLD
        begins[0] = True
        number = np.cumsum(begins) - 1
        chosen = torch.rand(int(number[-1]) + 1, generator=rng).numpy() < share
        given = np.where(chosen[number], theme, UNWRITTEN)
        heard = np.maximum.accumulate(given > HOLD)  # a hold needs a given note before it
        given = np.where((given == HOLD) & ~heard, UNWRITTEN, given)
        given = np.where(page.task.page[0] == UNWRITTEN, given, page.task.page[0])
        if (given != UNWRITTEN).all():
            given[begins.nonzero()[0][-1] :] = UNWRITTEN
        task = page.task.changed(given=(tuple(given.tolist()),))
        tokens = np.where(page.tokens == UNWRITTEN, given, page.tokens)
        return Score(tokens, task, page.n_written)
