"""Lessons: a tune, or parts of it that end as pieces do, shown to a network with a plan.

A network that knows how many bars are left learns to come to an end only from tunes that do. Few
tunes have four or eight bars, so strains stand in for them: the last bars of a tune, or those
before another eighth bar at which the tune has come back to its tonic. The corpora print no
phrases; each time a part is shown it is told to have phrases of four or of eight bars, or to be one
phrase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from envs.music.codec import FIRST_PITCH, HOLD, REST, Codec
from pretrained.corpora.tunes import GridTune

STRAIN = 8  # bars
LENGTHS = (4, 8, 16)  # bars of a part
WHOLE = 0.35  # share of tunes that are shown whole
PHRASES = (4, 8)  # bars
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lesson:
    """Tokens (T,) of the shipped corpus's vocabulary, and places (T, 6), see `inputs.PLACE`."""

    tokens: Ints
    place: Ints


def lesson(tune: GridTune, rng: np.random.Generator | None = None) -> Lesson:
    """Return a tune as it is shown once.

    Args:
        tune: of the corpus.
        rng: draws the part and its phrases; without, it is the whole tune as one phrase.
    """
    start, stop = 0, len(tune.tokens)
    if rng is not None and rng.random() >= WHOLE and regular(tune):
        start, stop = _part(tune, rng)
    tokens = cut(tune, start, stop).astype(np.int64)
    phrase = 0
    bars = min(_bars(tune), -(-stop // tune.bar_cells)) - start // tune.bar_cells
    if rng is not None:
        fitting = [size for size in PHRASES if bars % size == 0 and size < bars]
        phrase = int(rng.choice([0, *fitting]))
    return Lesson(tokens, _places(tune, start, stop, bars, phrase))


def cut(tune: GridTune, start: int, stop: int) -> npt.NDArray[np.int16]:
    """Return tokens of a tune (stop - start,); nothing is held that has not begun there."""
    tokens = tune.tokens[start:stop].copy()
    tokens[~np.maximum.accumulate(tokens >= FIRST_PITCH)] = REST
    return tokens


def _bars(tune: GridTune) -> int:
    """Return the number of bars, see `corpora.pieces`: the last may be written beyond its end."""
    bars, rest = divmod(len(tune.tokens), tune.bar_cells)
    return bars + bool(rest and (tune.tokens[-rest:] != HOLD).any())


def regular(tune: GridTune) -> bool:
    """True if all bars are whole, so that the ends of strains can be counted."""
    count = (tune.offset + np.arange(len(tune.tokens))) % tune.bar_cells
    return bool((tune.position == count).all())


def ends(tune: GridTune) -> list[int]:
    """Return bars after which a part may end: the last, and eighth ones that end on the tonic."""
    bars = _bars(tune)
    strains = range(STRAIN, bars, STRAIN)
    return [bars] + [end for end in strains if _at_home(tune, end * tune.bar_cells)]


def part(tune: GridTune, end: int, bars: int) -> npt.NDArray[np.int16] | None:
    """Return the `bars` bars of a tune before bar `end`, as tokens; None if it has not as many.

    Nothing is held into it, and what the last bar lacks is held.
    """
    first, size = (end - bars) * tune.bar_cells, bars * tune.bar_cells
    if first < 0 or not regular(tune):
        return None
    tokens = cut(tune, first, first + size)
    return np.concatenate([tokens, np.full(size - len(tokens), HOLD, np.int16)])


def _part(tune: GridTune, rng: np.random.Generator) -> tuple[int, int]:
    """Return the first cell and the end of a part; all of the tune if it has no part."""
    cells, end = len(tune.tokens), int(rng.choice(ends(tune)))
    lengths = [length for length in LENGTHS if length <= end]
    if not lengths:
        return 0, cells
    first = end - int(rng.choice(lengths))
    return first * tune.bar_cells, min(end * tune.bar_cells, cells)


def _at_home(tune: GridTune, cell: int) -> bool:
    """True if the last note before a cell is the tonic."""
    notes = tune.tokens[:cell][tune.tokens[:cell] >= FIRST_PITCH]
    return bool(((notes[-1:] - FIRST_PITCH + Codec.low) % 12 == tune.tonic).any())


def _places(tune: GridTune, start: int, stop: int, bars: int, phrase: int) -> Ints:
    """Return places (T, 6), those of `pretrained.networks.lens` for a task of as many bars."""
    bar, cell = tune.bar_cells, np.arange(stop - start)
    passed = cell // bar
    left = np.maximum(bars - 1 - passed, 0)
    place = np.empty((len(cell), 6), np.int64)
    place[:, 0] = tune.position[start:stop]
    place[:, 1:4] = bar, tune.beat_cells, tune.tonic
    place[:, 4] = phrase - 1 - passed % phrase if phrase else left
    place[:, 5] = left
    return place
