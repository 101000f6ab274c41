"""Statistics of finished pieces: those of RL Tuner, with the published values.

Rates are per cent. The counts come from the reward's own functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.music.score import Score
from rewards.rules import rl_tuner

Counts = dict[str, npt.NDArray[Any]]
# Jaques et al. (2017), table 1; rates are per cent.
PUBLISHED_MODELS = ("Note RNN", "Q", "Psi", "G")
PUBLISHED: Mapping[str, tuple[float, ...]] = {
    "notes excessively repeated": (63.3, 0.0, 0.02, 0.03),
    "mean autocorrelation, lag 1": (-0.16, -0.11, -0.10, 0.55),
    "mean autocorrelation, lag 2": (0.14, 0.03, -0.01, 0.31),
    "mean autocorrelation, lag 3": (-0.13, 0.03, 0.01, 0.17),
    "notes not in key": (0.1, 1.00, 0.60, 28.7),
    "starts on the tonic": (0.9, 28.8, 28.7, 0.0),
    "leaps resolved": (77.2, 91.1, 90.0, 52.2),
    "unique highest note": (64.7, 56.4, 59.4, 37.1),
    "unique lowest note": (49.4, 51.9, 58.3, 56.5),
    "notes in a motif": (5.9, 75.7, 73.8, 69.3),
    "notes in a repeated motif": (0.007, 0.11, 0.09, 0.01),
}
# Statistic of the reference -> code of the interval it counts.
INTERVALS = {
    "num_octave_jumps": rl_tuner.BEYOND_OCTAVE,
    "num_fifths": 7,
    "num_thirds": 4,
    "num_sixths": 9,
    "num_seconds": 2,
    "num_fourths": 5,
    "num_sevenths": 11,
    "num_rest_intervals": rl_tuner.REST_,
    "num_special_rest_intervals": rl_tuner.REST_AFTER,
    "num_in_key_preferred_intervals": rl_tuner.IN_KEY_FIFTH,
}


def rl_tuner_statistics(score: Score) -> Counts:
    """Return the reference's statistics of each finished piece, arrays (B,) by name.

    Counts are sums over voices and cells; `autocorrelation1` to `3` are means over the voices
    whose tokens are not constant, NaN if all are.
    """

    def count(cells: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return cells.sum(axis=(1, 2), dtype=np.int32)

    leaps = rl_tuner.leap_up_back(score)
    high, low = rl_tuner.unique_extremes(score)
    code = rl_tuner.interval_code(score)
    counts: Counts = {
        "notes_not_in_key": count(rl_tuner.key(score) > 0),
        "notes_in_motif": count(rl_tuner.motif(score) > 0),
        "notes_in_repeated_motif": count(rl_tuner.repeated_motif(score) > 0),
        "num_starting_tonic": (rl_tuner.tonic(score)[:, :, 0] > 0).sum(axis=1, dtype=np.int32),
        "num_repeated_notes": count(rl_tuner.penalize_repeating(score) > 0),
        "num_resolved_leaps": count(leaps > 0),
        "num_leap_twice": count(leaps < 0),
        "num_high_unique": count(high),
        "num_low_unique": count(low),
    }
    counts |= {name: count(code == value) for name, value in INTERVALS.items()}
    for lag, coefficient in enumerate(rl_tuner.autocorrelation(score), 1):
        counts[f"autocorrelation{lag}"] = _mean_known(coefficient[:, :, -1])
    return counts


def _mean_known(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the means (B,) of the numbers in the rows of values (B, V); NaN where there are none.

    The mean of one number is the number itself.
    """
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0).sum(axis=1), known.sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.float32(np.nan))


def collect(score: Score, chunk: int = 4096) -> Counts:
    """Return `rl_tuner_statistics` of a large batch, computed on `chunk` pieces at a time."""
    parts = [rl_tuner_statistics(part) for part in score.chunks(chunk)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def distinct(score: Score) -> int:
    """Return the number of different pieces in a batch."""
    return len(np.unique(score.tokens.reshape(score.batch, -1), axis=0))


def table_rows(score: Score) -> dict[str, float]:
    """Return the rows of the published table for a batch of pieces, then other statistics.

    Rates of notes are per token, as in the paper; "leaps resolved" is the share of leaps that are
    resolved among those resolved or doubled. A row without cases is NaN.
    """
    counts = collect(score)
    tokens, pieces = score.tokens.size, score.batch * score.task.voices

    def rate(name: str, of: int = tokens) -> float:
        return 100.0 * float(counts[name].sum()) / of if of else float("nan")

    leaps = int(counts["num_resolved_leaps"].sum() + counts["num_leap_twice"].sum())
    rows = {"notes excessively repeated": rate("num_repeated_notes")}
    for lag in (1, 2, 3):
        values = counts[f"autocorrelation{lag}"]
        defined = values[~np.isnan(values)]
        mean = float(defined.mean()) if len(defined) else float("nan")
        rows[f"mean autocorrelation, lag {lag}"] = mean
    rows |= {
        "notes not in key": rate("notes_not_in_key"),
        "starts on the tonic": rate("num_starting_tonic", pieces),
        "leaps resolved": rate("num_resolved_leaps", leaps),
        "unique highest note": rate("num_high_unique", pieces),
        "unique lowest note": rate("num_low_unique", pieces),
        "notes in a motif": rate("notes_in_motif"),
        "notes in a repeated motif": rate("notes_in_repeated_motif"),
    }
    for name in INTERVALS:
        rows[name.removeprefix("num_").replace("_", " ")] = rate(name)
    return rows


def format_table(columns: Mapping[str, Mapping[str, float]], published: bool = True) -> str:
    """Return a table as text: the given columns, then the published ones.

    Args:
        columns: rows by name, by column.
        published: True to add the published columns.
    """
    paper = PUBLISHED if published else {}
    heads = [*columns, *(f"{name}*" for name in PUBLISHED_MODELS if published)]
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    width = max(len(name) for name in names) + 2

    def cell(name: str, value: float | None) -> str:
        if value is None:
            return ""
        if np.isnan(value):
            return "-"
        if name == "distinct pieces":
            return f"{value:,.0f}"
        if name.startswith("mean"):
            return f"{value:.2f}"
        return f"{value:.3f}%" if 0 < abs(value) < 0.1 else f"{value:.1f}%"

    lines = [" " * width + "".join(f"{head:>11}" for head in heads)]
    for name in names:
        values = [column.get(name) for column in columns.values()] + [*paper.get(name, ())]
        lines.append(f"{name:<{width}}" + "".join(f"{cell(name, v):>11}" for v in values))
    if published:
        lines.append("* Jaques et al. (2017), table 1; per cent of tokens, pieces or leaps")
    return "\n".join(lines)
