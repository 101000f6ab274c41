"""Tunes as scores: whole pieces that rules can judge, in batches of one task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from envs.music.codec import FIRST_PITCH, HOLD, Codec
from envs.music.key import MODE_FIFTHS, Key
from envs.music.meter import Meter
from envs.music.score import Score
from envs.music.task import MAX_BARS, MAX_CELLS, Task
from pretrained.corpora.folk import GRID, Tune, load_corpus
from pretrained.corpora.tunes import GridTune

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


def real_melodies(task: Task, most: int = 200) -> Score | None:
    """Tunes of the corpus as pieces of a task: moved to its key and cut behind its last bar.

    Of those in the mode of the task's key, on its metre and with its pickup, `most` from all over
    the corpus. Where the mode has none, tunes in any.

    Returns:
        None where the corpus has no such tunes: another grid than its own, several voices, given
        cells, or a metre that nothing is written in.
    """
    if task.grid != GRID or task.voices > 1 or task.given:
        return None
    tunes = [tune for tune in load_corpus().tunes if _counts_as(tune, task)]
    modal = [tune for tune in tunes if WHITE_KEYS[tune.tonic].mode == task.key.written_mode]
    rows = [row for tune in modal or tunes if (row := _moved(tune, task)) is not None]
    if not rows:
        return None
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))
    return Score(np.stack(rows)[chosen][:, None], task)


def _counts_as(tune: Tune, task: Task) -> bool:
    """Whether a tune's bars are as long and divided as a task's, from the pickup to the end."""
    compound = tune.beat_cells % 3 == 0, task.beat_cells % 3 == 0
    if tune.bar_cells != task.bar_cells or compound[0] != compound[1]:
        return False
    count = (tune.offset + np.arange(task.cells)) % task.bar_cells
    enough = len(tune.position) >= task.cells and -tune.offset % task.bar_cells == task.pickup
    return enough and bool((tune.position[: task.cells] == count).all())


def _moved(tune: Tune, task: Task) -> NDArray[np.int16] | None:
    """The beginning of a tune (T,) in a task's key and range; None where it does not fit."""
    tokens = tune.tokens[: task.cells]
    pitches = tokens[tokens > HOLD] - FIRST_PITCH + Codec.low
    if not len(pitches):
        return None
    up = (task.key.pitch_class - tune.tonic) % 12
    shifts = [n for n in range(up - 60, up + 61, 12)
              if task.low <= pitches.min() + n and pitches.max() + n <= task.high]  # fmt: skip
    if not shifts:
        return None
    shift = min(shifts, key=lambda n: (abs(n), n)) + Codec.low - task.codec.low
    return np.where(tokens > HOLD, tokens + shift, tokens).astype(np.int16)


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
