"""Tunes as scores: whole pieces that rules can judge, in batches of one task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from envs.codec import HOLD, Codec
from envs.score import Score
from envs.task import MAX_BARS, MAX_CELLS, Task
from envs.theory import MODE_FIFTHS, Key, Meter
from pretrained.abc_reader import GridTune
from pretrained.corpus import Tune

FEWEST_BARS = 4
# Tonic of a mode without sharps and flats -> the key.
WHITE_KEYS = {
    key.pitch_class: key
    for tonic in "CDEFGAB"
    for mode in MODE_FIFTHS
    if (key := Key(tonic, mode)).fifths == 0
}


def scores(tunes: Iterable[Tune | GridTune]) -> list[Score]:
    """The tunes that are whole pieces, those of one task together, in the order of the first.

    A piece has whole bars, from FEWEST_BARS on, in one count from beginning to end; a pickup is
    made up for in its last bar. Tunes that are counted otherwise are left out.
    """
    pages: dict[Task, list[NDArray[np.int16]]] = defaultdict(list)
    for tune in tunes:
        found = piece(tune)
        if found is not None:
            pages[found[0]].append(found[1])
    return [Score(np.stack(rows)[:, None], task) for task, rows in pages.items()]


def piece(tune: Tune | GridTune) -> tuple[Task, NDArray[np.int16]] | None:
    """Task and tokens (T,) of one tune, None if it is no whole piece."""
    meter = Meter.parse(f"{tune.meter[0]}/{tune.meter[1]}")
    size, offset = meter.bar_cells(Codec.grid), int(tune.position[0])
    count = (offset + np.arange(len(tune.tokens))) % size
    if (tune.position != count).any():
        return None
    bars, rest = divmod(len(tune.tokens), size)
    if rest and (tune.tokens[-rest:] != HOLD).any():  # the last bar may be written out in full
        bars, rest = bars + 1, 0
    cells = bars * size
    if not FEWEST_BARS <= bars <= MAX_BARS or cells > MAX_CELLS:
        return None
    tokens = np.full(cells, HOLD, np.int16)
    tokens[: len(tune.tokens)] = tune.tokens[:cells]
    task = Task(key=WHITE_KEYS[tune.tonic], meter=meter, bars=bars, pickup=-offset % size)
    return task, tokens
