"""Windows of tunes: as many bars as a model holds.

All windows of a `TuneWindows` have one metre, so that a batch needs no padding. They begin where
the tune begins in its bar, with its pickup, or at a bar line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.music.codec import FIRST_PITCH, Codec
from pretrained.corpora.tunes import GridTune
from pretrained.training.lessons import cut, ends, regular

LEAST_NOTES = 2  # in each bar on average
HIDDEN = 32  # bars left of a piece, where it is not told
Ints = npt.NDArray[np.int64]
# Scale degree of each pitch class, from 0, as the tunes of the corpus spell them.
DEGREES = (0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6)
ALTERED = (0, 1, 0, -1, 0, 0, 1, 0, 1, 0, -1, 0)  # semitones above the degree
WHITE = (0, 2, 4, 5, 7, 9, 11)


@dataclass(frozen=True)
class TuneWindows:
    """Windows of one metre.

    Attributes:
        bar: 16ths in a bar.
        beat: 16ths in a beat.
        tokens: (N, T) int64 of the shipped corpus's vocabulary.
        before: (N,) 16ths since the bar line at the first cell.
        tonic: (N,) pitch class.
        left: (N,) bars from the last of the window to the next end of a strain.
    """

    bar: int
    beat: int
    tokens: Ints
    before: Ints
    tonic: Ints
    left: Ints

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def bars(self) -> int:
        """Number of bars."""
        return int(self.tokens.shape[1]) // self.bar

    def take(self, rows: npt.NDArray[np.integer]) -> TuneWindows:
        """Return some of the windows (M,)."""
        parts = (self.tokens, self.before, self.tonic, self.left)
        return TuneWindows(self.bar, self.beat, *(part[rows] for part in parts))

    def places(self) -> Ints:
        """Return places (N, T, 6) of a task of as many bars, see `inputs.PLACE`."""
        cell = np.arange(self.tokens.shape[1])[None]
        place = np.empty((*self.tokens.shape, 6), np.int64)
        place[..., 0] = (cell + self.before[:, None]) % self.bar
        place[..., 1:3] = self.bar, self.beat
        place[..., 3] = self.tonic[:, None]
        left = self.bars - 1 - cell // self.bar + self.left[:, None]
        place[..., 4] = place[..., 5] = np.minimum(left, HIDDEN)
        return place

    def moved(self, rng: np.random.Generator, share: float, most: int = 3) -> TuneWindows:
        """Return the windows, a share of them moved along the white keys by 1 to `most` steps."""
        steps = rng.integers(1, most + 1, len(self)) * rng.choice([-1, 1], len(self))
        steps[rng.random(len(self)) >= share] = 0
        tokens, legal = along_scale(self.tokens, steps)
        steps = np.where(legal, steps, 0)
        tokens = np.where(legal[:, None], tokens, self.tokens)
        degree = np.array(DEGREES)[self.tonic]
        tonic = np.where(steps == 0, self.tonic, np.array(WHITE)[(degree + steps) % 7])
        return TuneWindows(self.bar, self.beat, tokens, self.before, tonic, self.left)


def along_scale(tokens: Ints, steps: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return tokens (N, T) moved by scale steps (N,) of C major, and which rows stay in C3-B5.

    Alterations are kept: F sharp becomes G sharp, a step higher.
    """
    degree, altered = np.array(DEGREES), np.array(ALTERED)
    pitch = np.maximum(tokens - FIRST_PITCH, 0) + Codec.low
    place = pitch // 12 * 7 + degree[pitch % 12] + steps[:, None]
    moved = place // 7 * 12 + np.array(WHITE)[place % 7] + altered[pitch % 12]
    onset = tokens >= FIRST_PITCH
    legal = (~onset | ((moved >= Codec.low) & (moved <= Codec.high))).all(axis=1)
    return np.where(onset, moved - Codec.low + FIRST_PITCH, tokens), legal


def windows_of(
    tunes: Sequence[GridTune],
    bars: int,
    metres: Sequence[tuple[int, int]],
    hop: int = 1,
    pickups: bool = True,
    ending: bool = False,
) -> list[TuneWindows]:
    """Return the windows of tunes, one `TuneWindows` for each metre that has any.

    Args:
        tunes: of the corpus; one whose bars are not all whole is passed over.
        bars: of a window.
        metres: 16ths in a bar and in a beat, such as (16, 4).
        hop: bars from one window of a tune to the next.
        pickups: also take windows that begin with the tune's pickup.
        ending: only windows that end as a piece does.
    """
    found: dict[tuple[int, int], list[tuple[Ints, int, int, int]]] = {}
    for tune in tunes:
        kind = tune.bar_cells, tune.beat_cells
        if kind in metres and regular(tune):
            rows = found.setdefault(kind, [])
            rows += _windows(tune, bars, hop, pickups, ending)
    return [
        TuneWindows(*kind, *(np.array(part, np.int64) for part in zip(*rows, strict=True)))
        for kind, rows in sorted(found.items(), reverse=True)
        if rows
    ]


def _windows(
    tune: GridTune, bars: int, hop: int, pickups: bool, ending: bool
) -> Iterator[tuple[Ints, int, int, int]]:
    """Yield tokens (T,), cells before, tonic, and bars left of each window of a tune."""
    size, bar = bars * tune.bar_cells, tune.bar_cells
    last = np.array(sorted(ends(tune)))
    firsts = (
        {0, *((-tune.offset % bar,) if tune.offset else ())} if pickups else {-tune.offset % bar}
    )
    for first in sorted(firsts):
        for start in range(first, len(tune.tokens) - size + 1, hop * bar):
            tokens = cut(tune, start, start + size).astype(np.int64)
            end = (start + size + tune.offset * (first > 0)) // bar
            later = last[last >= end]
            left = int(later[0]) - end if len(later) else 0
            if (tokens >= FIRST_PITCH).sum() >= LEAST_NOTES * bars and (not ending or left == 0):
                yield tokens, int(tune.position[start]), tune.tonic, left
