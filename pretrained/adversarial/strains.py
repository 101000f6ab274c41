"""Strains: parts of tunes of four and of eight bars, as a generator and a critic are shown them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from envs.music.codec import Codec
from envs.music.meter import Meter
from envs.music.score import Score
from envs.music.task import Task
from pretrained.corpora.folk import Tune
from pretrained.corpora.pieces import WHITE_KEYS
from pretrained.corpora.tunes import fits, for_codec
from pretrained.networks.lens import context_of, places
from pretrained.training.lessons import ends, part

Ints = npt.NDArray[np.int64]
PLANS = {4: ("",), 8: ("", "A4 B4")}  # phrases that strains of so many bars are told to have


@dataclass(frozen=True)
class Strains:
    """Strains with as many bars of the same length.

    Attributes:
        codec: of a network.
        tokens: (N, T) int16 of the shipped corpus's vocabulary.
        tasks: of each strain, in the key without sharps and flats.
        clusters: (N,) of the tunes that they are from.
    """

    codec: Codec
    tokens: npt.NDArray[np.int16]
    tasks: list[Task]
    clusters: Ints

    @property
    def bar(self) -> int:
        """Number of cells in a bar."""
        return self.tasks[0].bar_cells

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return tokens (n, T) of the codec and places (n, T, 6), drawn with replacement."""
        rows = rng.integers(len(self.tasks), size=n)
        plans = PLANS[self.tasks[0].bars]
        place = [_places(self.tasks[row], plans[rng.integers(len(plans))]) for row in rows]
        tokens = torch.from_numpy(for_codec(self.tokens[rows], self.codec))
        return tokens, torch.stack(place)

    def scores(self) -> list[tuple[Score, Ints]]:
        """Return the strains as scores, one for each task, with the clusters of their pieces."""
        rows: dict[Task, list[int]] = defaultdict(list)
        for row, task in enumerate(self.tasks):
            rows[task].append(row)
        return [
            (Score(self.tokens[which][:, None], task), self.clusters[which])
            for task, which in rows.items()
        ]


@lru_cache(maxsize=1024)
def _places(task: Task, phrases: str) -> Tensor:
    """Return places (T, 6) of a task with a plan of phrases."""
    return places(context_of(task.changed(phrases=phrases)), task.cells)[0]


def strains_of(tunes: Iterable[Tune], codec: Codec) -> list[Strains]:
    """Return the strains of tunes, those of one length and bar together; there may be none."""
    found: dict[tuple[int, int], list[tuple[Task, npt.NDArray[np.int16], int]]] = defaultdict(list)
    for tune in (tune for tune in tunes if fits(tune, codec)):
        key, pickup = WHITE_KEYS[tune.tonic], -tune.offset % tune.bar_cells
        for bars in PLANS:
            task = Task(key, Meter(*tune.meter), bars, pickup=pickup)
            for tokens in (part(tune, end, bars) for end in ends(tune)):
                if tokens is not None:
                    found[bars, tune.bar_cells].append((task, tokens, tune.cluster))
    return [
        Strains(codec, np.stack(lines), list(tasks), np.array(clusters))
        for tasks, lines, clusters in (zip(*rows, strict=True) for rows in found.values())
    ]
