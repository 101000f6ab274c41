"""Real melodies to compare an agent's pieces with: parts of tunes in a task's metre, key and range.

A piece of four bars or more has an ending, so its counterparts are the parts of a tune that have
one, see `pretrained.training.lessons.ends`. A shorter piece is compared with the openings of tunes.

Pieces of two to four voices are compared with parts of Bach's chorales, which do not ship: they are
read from the installed music21 if they are asked for by data="chorales".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from envs.errors import quoted
from envs.music.codec import FIRST_PITCH, HOLD, REST
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.corpora.chorales import NAME as CHORALES
from pretrained.corpora.chorales import Chorale, load_chorales
from pretrained.corpora.folder import read_folder
from pretrained.corpora.folk import FOLK2, GRID, load_corpus
from pretrained.corpora.pieces import FEWEST_BARS, WHITE_KEYS, moved, same_bars, unlike_tunes
from pretrained.corpora.tunes import GridTune
from pretrained.training.lessons import cut, ends, regular

FEWEST = 20  # parts of tunes that can teach anything
CHOSEN = {2: [0, 3], 3: [0, 1, 3], 4: [0, 1, 2, 3]}  # voices of a chorale for so many


def parts(tunes: Iterable[GridTune], task: Task) -> Score | None:
    """Return the parts of tunes that are like pieces of a task, each once; None if there are none.

    They have the task's metre, mode and number of bars, and are moved to its key and range. The
    pickup of a tune is left out where the task has none.
    """
    if unlike_tunes(task):
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


def chorale_parts(chorales: Iterable[Chorale], task: Task) -> Score | None:
    """Return the parts of chorales that are like pieces of a task, each once; None if none are.

    They begin in any bar and have the task's metre, mode, pickup and number of bars; they are moved
    to its key and range. Of two voices they are soprano and bass, of three the alto as well.
    """
    if task.grid != GRID or task.voices not in CHOSEN or task.given:
        return None
    rows = {}
    for chorale in chorales:
        own = chorale.task
        if own.meter != task.meter or own.key.written_mode != task.key.written_mode:
            continue
        first = (own.pickup - task.pickup) % own.bar_cells
        for start in range(first, own.cells - task.cells + 1, own.bar_cells):
            part = chorale.tokens[CHOSEN[task.voices], start : start + task.cells]
            row = _sung(part, own, task)
            if row is not None:
                rows[row.tobytes()] = row
    return Score(np.stack(list(rows.values())), task) if rows else None


def _sung(tokens: Array, own: Task, task: Task) -> Array | None:
    """Return a part (V, T) of a piece in a task's key and range; None if it does not fit there."""
    tokens = np.where(np.maximum.accumulate(tokens >= FIRST_PITCH, axis=1), tokens, REST)
    sung = [line[line >= FIRST_PITCH] + (own.codec.low - FIRST_PITCH) for line in tokens]
    if not all(map(len, sung)):
        return None
    up = (task.key.pitch_class - own.key.pitch_class) % 12
    spans = [(int(line.min()), int(line.max())) for line in sung]
    pairs = list(zip(spans, task.spans, strict=True))
    shifts = [
        n
        for n in range(up - 60, up + 61, 12)
        if all(low <= least + n and most + n <= high for (least, most), (low, high) in pairs)
    ]
    if not shifts:
        return None
    shift = min(shifts, key=lambda n: (abs(n), n)) + own.codec.low - task.codec.low
    return np.where(tokens >= FIRST_PITCH, tokens + shift, tokens).astype(np.int16)


@lru_cache(maxsize=32)
def real_parts(task: Task, data: str = "", splits: tuple[str, ...] = ("train",)) -> Score:
    """Return parts of the shipped corpus's tunes, or of a user's, that are like pieces of a task.

    Args:
        task: of the pieces.
        data: folder, collection or file of the user's own tunes; '' for the shipped corpus;
            'chorales', for several voices, for Bach's chorales in the installed music21.
        splits: of the shipped corpus, or of the chorales: 'train', 'valid', 'test'.

    Raises:
        ValueError: there are fewer than FEWEST, or `data` names nothing that exists.
        FileNotFoundError: music21 is installed without its corpus.
    """
    of_voices = task.voices > 1
    if of_voices and data == CHORALES and task.voices in CHOSEN:
        known = load_chorales()
        found = chorale_parts((each for part in splits for each in known.select(part)), task)
    else:
        found = None if unlike_tunes(task) else parts(_tunes(data, splits), task)
    count = 0 if found is None else found.batch
    if found is None or count < FEWEST:
        where = quoted(data) if data else "the corpus"
        advice = f"data={CHORALES} with 2 to 4 voices" if of_voices else "tunes of your own by "
        advice += "" if of_voices else "data=FOLDER"
        raise ValueError(
            f"an adversary needs real pieces to compare with: {where} has {count or 'none'} in "
            f"{task.meter} and {task.key.mode} of {task.bars} bars with this grid, pickup, range "
            f"and number of voices, and no given cells; expected at least {FEWEST}. Give another "
            f"task, or {advice}"
        )
    return found


def _tunes(data: str, splits: Sequence[str]) -> list[GridTune]:
    if data:
        return list(read_folder(data).tunes)
    corpus = load_corpus(FOLK2)
    return [tune for split in splits for tune in corpus.select(split)]
