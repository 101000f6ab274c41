"""Tunes of a corpus as scores, in batches with the same task."""

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
# Pitch class of the tonic -> the key without sharps and flats.
WHITE_KEYS = {
    key.pitch_class: key
    for tonic in "CDEFGAB"
    for mode in MODE_FIFTHS
    if (key := Key(tonic, mode)).fifths == 0
}


def scores(tunes: Iterable[GridTune]) -> list[Score]:
    """Return the tunes that are whole pieces, a score for each task, in order of appearance.

    A piece has at least FEWEST_BARS bars, all of the same length; a pickup completes the last bar.
    Other tunes are left out.
    """
    pages: dict[Task, list[NDArray[np.int16]]] = defaultdict(list)
    for task, tokens in filter(None, map(piece, tunes)):
        pages[task].append(tokens)
    return [Score(np.stack(rows)[:, None], task) for task, rows in pages.items()]


def unlike_tunes(task: Task) -> str:
    """Return why no tune of the corpus can be a piece of a task; '' if one can."""
    if task.grid != GRID:
        return f"the tunes have {GRID} cells per quarter note and the task {task.grid}"
    if task.voices > 1:
        return f"the tunes have one voice and the task {task.voices}"
    return "the task has given cells" if task.given else ""


def real_melodies(task: Task, most: int = 200) -> Score | None:
    """Return tunes of the corpus as pieces of a task, transposed to its key and cut to its length.

    They have the task's mode, metre and pickup; if no tune has the mode, any mode will do. Up to
    `most` are taken, at regular distances.

    Returns:
        None if no tune fits: the task has another grid than the corpus, several voices, given
        cells, or a rare metre.
    """
    if unlike_tunes(task):
        return None
    tunes = [tune for tune in load_corpus().tunes if _counts_as(tune, task)]
    modal = [tune for tune in tunes if WHITE_KEYS[tune.tonic].mode == task.key.written_mode]
    rows = [row for tune in modal or tunes if (row := moved(tune, task)) is not None]
    if not rows:
        return None
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))
    return Score(np.stack(rows)[chosen][:, None], task)


def same_bars(tune: GridTune, task: Task) -> bool:
    """True if the bars of a tune are as long as those of a task, with beats of the same kind."""
    compound = tune.beat_cells % 3 == 0, task.beat_cells % 3 == 0
    return tune.bar_cells == task.bar_cells and compound[0] == compound[1]


def _counts_as(tune: Tune, task: Task) -> bool:
    """True if a tune has the bars of a task, with the same beats, from the pickup to the end."""
    if not same_bars(tune, task):
        return False
    count = (tune.offset + np.arange(task.cells)) % task.bar_cells
    enough = len(tune.position) >= task.cells and -tune.offset % task.bar_cells == task.pickup
    return enough and bool((tune.position[: task.cells] == count).all())


def moved(tune: GridTune, task: Task) -> NDArray[np.int16] | None:
    """Return the beginning of a tune (T,) in a task's key and range; None if it does not fit."""
    tokens = tune.tokens[: task.cells]
    pitches = tokens[tokens > HOLD] - FIRST_PITCH + Codec.low
    if not len(pitches):
        return None
    up = (task.key.pitch_class - tune.tonic) % 12
    lowest, highest = pitches.min(), pitches.max()
    octaves = range(up - 60, up + 61, 12)
    shifts = [n for n in octaves if task.low <= lowest + n and highest + n <= task.high]
    if not shifts:
        return None
    shift = min(shifts, key=lambda n: (abs(n), n)) + Codec.low - task.codec.low
    return np.where(tokens > HOLD, tokens + shift, tokens).astype(np.int16)


def piece(tune: GridTune) -> tuple[Task, NDArray[np.int16]] | None:
    """Return the task and the tokens (T,) of a tune, None if it is no whole piece."""
    meter, size, offset = Meter(*tune.meter), tune.bar_cells, tune.offset
    count = (offset + np.arange(len(tune.tokens))) % size
    if (tune.position != count).any():
        return None
    bars, rest = divmod(len(tune.tokens), size)
    if rest and (tune.tokens[-rest:] != HOLD).any():  # the last bar may have its full length
        bars, rest = bars + 1, 0
    cells = bars * size
    if not FEWEST_BARS <= bars <= MAX_BARS or cells > MAX_CELLS:
        return None
    tokens = np.full(cells, HOLD, np.int16)
    tokens[: len(tune.tokens)] = tune.tokens[:cells]
    task = Task(key=WHITE_KEYS[tune.tonic], meter=meter, bars=bars, pickup=-offset % size)
    return task, tokens
