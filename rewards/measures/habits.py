"""Habits of a batch: what many pieces do alike, at the same place or anywhere.

A policy that is paid for a habit writes it in every piece, and may keep all else varied; measures
of whole pieces (`rewards.measures.diversity`) hardly show that. Each number here is a share from 0
to 1, higher where the habit is rarer. Most depend on the number of pieces: compare batches of one
size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from envs.music.codec import FIRST_PITCH, HOLD
from envs.music.score import Score
from rewards.measures.novelty import training_tunes

ENDS = 4  # notes of an opening or a close
FIGURE = 5  # notes of a figure
Ints = npt.NDArray[np.integer]


class Figure(NamedTuple):
    """The figure that most pieces have: intervals and lengths of FIGURE successive notes.

    Attributes:
        share: of the voices that have it.
        row, voice: of the first that has it.
        start, end: its cells there.
    """

    share: float
    row: int
    voice: int
    start: int
    end: int


def habits(score: Score) -> dict[str, float]:
    """Return the measures of finished pieces, each higher where a habit is rarer.

    - opening, close: probability that two voices differ in the scale degrees of their first, or
      last, four notes.
    - figures: share of the voices without the figure that most of them have, see `Figure`.
    - new_bars: share of the bars that no earlier bar of their voice equals.
    - own_notes: share of a voice's notes outside its longest run that is one of a training tune of
      the shipped corpus, see `rewards.measures.novelty`.
    - sounding: share of the cells with a note, in the bar where that is least.

    Args:
        score: B finished pieces.

    Raises:
        ValueError: the pieces are not finished.
    """
    if not score.finished:
        raise ValueError("habits: expected finished pieces; write their remaining cells first")
    lines = score.tokens.reshape(-1, score.task.cells)
    degrees = [
        degree[line >= FIRST_PITCH]
        for line, degree in zip(lines, score.degree.reshape(lines.shape), strict=True)
    ]
    figure = commonest(score)
    return {
        "opening": variety(np.stack([_padded(line[:ENDS]) for line in degrees])),
        "close": variety(np.stack([_padded(line[-ENDS:]) for line in degrees])),
        "figures": 1.0 - (figure.share if figure else 0.0),
        "new_bars": _new_bars(score),
        "own_notes": _own_notes(score),
        "sounding": _sounding(score),
    }


def variety(rows: Ints) -> float:
    """Return the probability that two of N rows (N, n) differ; 1 if there is one.

    It is 1 - sum n_i (n_i - 1) / N (N - 1), Simpson's (1949) unbiased estimate.
    """
    counts = np.unique(rows, axis=0, return_counts=True)[1]
    pairs = len(rows) * (len(rows) - 1)
    return 1.0 - float((counts * (counts - 1)).sum()) / pairs if pairs else 1.0


def commonest(score: Score) -> Figure | None:
    """Return the figure that most voices of finished pieces have; None if there is no figure."""
    cells, voices = score.task.cells, score.task.voices
    rows, at = np.nonzero(score.onset.reshape(-1, cells))
    if len(rows) < FIGURE:
        return None
    new = np.append(True, rows[1:] != rows[:-1])
    last = np.append(new[1:], True)
    length = np.where(last, cells, np.append(at[1:], 0)) - at
    interval = score.interval.reshape(-1, cells)[rows, at].astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view
    grams = np.concatenate(
        [windows(interval, FIGURE)[:, 1:], windows(length, FIGURE)], axis=1
    )  # the interval before a figure is not its own
    whole = rows[: len(grams)] == rows[FIGURE - 1 :]
    if not whole.any():
        return None
    begins = np.flatnonzero(whole)
    kinds, kind = np.unique(grams[begins], axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    owned = np.unique(np.stack([kind, rows[begins]]), axis=1)[0]  # once for each voice
    count = np.bincount(owned, minlength=len(kinds))
    first = begins[np.flatnonzero(kind == count.argmax())[0]]
    final = first + FIGURE - 1
    row, voice = divmod(int(rows[first]), voices)
    share = float(count.max()) / (score.batch * voices)
    return Figure(share, row, voice, int(at[first]), int(at[final] + length[final]))


def _padded(line: Ints) -> Ints:
    return np.pad(line, (0, ENDS - len(line)), constant_values=-1)


def _bars(score: Score) -> list[slice]:
    """Return the whole bars of a task; all cells where it has none."""
    size, first = score.task.bar_cells, score.task.pickup
    bars = [slice(at, at + size) for at in range(first, score.task.cells - size + 1, size)]
    return bars or [slice(0, score.task.cells)]


def _new_bars(score: Score) -> float:
    bars = [score.tokens[:, :, bar] for bar in _bars(score)]
    old = [
        np.any([(bar == earlier).all(axis=2) for earlier in bars[:n]], axis=0)
        for n, bar in enumerate(bars)
        if n
    ]
    return 1.0 - float(np.sum(old)) / (len(bars) * score.batch * score.task.voices)


def _own_notes(score: Score) -> float:
    index, shares = training_tunes(), []
    pitches = score.pitch.astype(np.int64)
    for line, pitch in zip(
        score.onset.reshape(-1, score.task.cells),
        pitches.reshape(-1, score.task.cells),
        strict=True,
    ):
        notes = pitch[line]
        shares.append(1 - index.longest_run(notes) / len(notes) if len(notes) else 1.0)
    return float(np.mean(shares))


def _sounding(score: Score) -> float:
    newest = np.maximum.accumulate(
        np.where(score.tokens != HOLD, np.arange(score.task.cells), 0), axis=2
    )
    sounds = np.take_along_axis(score.tokens, newest, axis=2) >= FIRST_PITCH
    return min(float(sounds[:, :, bar].mean()) for bar in _bars(score))
