"""Real melodies to compare an agent's pieces with: parts of tunes in a task's metre, key and range.

A piece of four bars or more has an ending, so its counterparts are the parts of a tune that have
one, see `pretrained.training.lessons.ends`. A shorter piece is compared with the openings of tunes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from envs.errors import quoted
from envs.music.codec import HOLD
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.corpora.folder import read_folder
from pretrained.corpora.folk import FOLK2, GRID, load_corpus
from pretrained.corpora.pieces import FEWEST_BARS, WHITE_KEYS, moved, same_bars
from pretrained.corpora.tunes import GridTune
from pretrained.training.lessons import cut, ends, regular

FEWEST = 20  # parts of tunes that can teach anything


def parts(tunes: Iterable[GridTune], task: Task) -> Score | None:
    """Return the parts of tunes that are like pieces of a task, each once; None if there are none.

    They have the task's metre, mode and number of bars, and are moved to its key and range. The
    pickup of a tune is left out where the task has none.
    """
    if task.grid != GRID or task.voices > 1 or task.given:
        return None
    rows = {}
    for tune in tunes:
        mode, pickup = WHITE_KEYS[tune.tonic].mode, -tune.offset % tune.bar_cells
        alike = same_bars(tune, task) and mode == task.key.written_mode and regular(tune)
        if not alike or task.pickup not in (0, pickup):
            continue
        for end in ends(tune) if task.bars >= FEWEST_BARS else [task.bars]:
            first = pickup - task.pickup + (end - task.bars) * task.bar_cells
            stop = end * task.bar_cells + (pickup if task.bars < FEWEST_BARS else 0)
            row = _moved(tune, first, min(stop, first + task.cells), task)
            if row is not None:
                rows[row.tobytes()] = row
    return Score(np.stack(list(rows.values()))[:, None], task) if rows else None


def _moved(tune: GridTune, first: int, stop: int, task: Task) -> Array | None:
    """Return cells of a tune as a piece (T,) of a task, held to its end; None if they are none."""
    if first < 0:
        return None
    tokens = cut(tune, first, stop)
    missing = task.cells - len(tokens)
    if missing >= task.bar_cells:
        return None
    tokens = np.concatenate([tokens, np.full(missing, HOLD, np.int16)])
    return moved(replace(tune, tokens=tokens), task)


@lru_cache(maxsize=32)
def real_parts(task: Task, data: str = "", splits: tuple[str, ...] = ("train",)) -> Score:
    """Return parts of the shipped corpus's tunes, or of a user's, that are like pieces of a task.

    Args:
        task: of the pieces.
        data: folder, collection or file of the user's own tunes; '' for the shipped corpus.
        splits: of the shipped corpus: 'train', 'valid', 'test'.

    Raises:
        ValueError: there are fewer than FEWEST, or `data` names nothing that exists.
    """
    found = parts(_tunes(data, splits), task)
    count = 0 if found is None else found.batch
    if found is None or count < FEWEST:
        where = quoted(data) if data else "the corpus"
        raise ValueError(
            f"an adversary needs real melodies to compare with: {where} has {count or 'none'} in "
            f"{task.meter} and {task.key.mode} of {task.bars} bars with this grid, pickup, range "
            f"and number of voices, and no given cells; expected at least {FEWEST}. Give another "
            "task, or tunes of your own by data=FOLDER"
        )
    return found


def _tunes(data: str, splits: Sequence[str]) -> list[GridTune]:
    if data:
        return list(read_folder(data).tunes)
    corpus = load_corpus(FOLK2)
    return [tune for split in splits for tune in corpus.select(split)]
