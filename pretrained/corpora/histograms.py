"""Histograms of a piece's pitch classes, intervals and note lengths, and their distances."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from envs.music.score import Score

WIDEST = 12  # semitones; a wider interval counts as this one
LONGEST = 4  # quarter notes; a longer note counts as this one
Floats = npt.NDArray[np.float64]


def histograms(score: Score) -> dict[str, Floats]:
    """Return the histograms (B, n) of finished pieces of one voice, by name.

    Each row sums to 1, or to 0 if there is nothing to count.

    pitch class: semitones above the tonic, n = 12.
    interval: -12 to 12 semitones between successive notes, n = 25.
    note length: cells from an onset to the next, up to four quarter notes.

    Raises:
        ValueError: several voices, or unfinished pieces.
    """
    if score.task.voices != 1 or not score.finished:
        raise ValueError("histograms: expected finished pieces of one voice")
    onset, cells = score.onset[:, 0], score.task.cells
    longest = LONGEST * score.task.grid
    rows, at = np.nonzero(onset)
    later = np.append(at[1:], cells)
    later[np.append(rows[1:] != rows[:-1], True)] = cells
    moved = rows[1:] == rows[:-1]
    interval = np.clip(score.interval[:, 0][rows, at][1:][moved], -WIDEST, WIDEST) + WIDEST
    counted = {
        "pitch class": (rows, score.degree[:, 0][rows, at], 12),
        "interval": (rows[1:][moved], interval, 2 * WIDEST + 1),
        "note length": (rows, np.minimum(later - at, longest), longest + 1),
    }
    tables = {}
    for name, (piece, value, size) in counted.items():
        table = np.zeros((score.batch, size))
        np.add.at(table, (piece, value.astype(np.intp)), 1.0)
        tables[name] = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    return tables


def distances(one: Floats, other: Floats) -> Floats:
    """Return the Euclidean distances (N, M) of points (N, n) and (M, n)."""
    square = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    found: Floats = np.sqrt(np.maximum(square, 0))
    return found
