"""The panel: what a reward pays for pieces that are no music, and for real melodies.

A sum of violations alone is highest for silence, and a term that pays for every hit is highest
for whatever hits most often. An agent finds such pieces; here they are tried beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from envs.music.codec import HOLD, REST, UNWRITTEN
from envs.music.noise import noise
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.corpora.pieces import real_melodies

TOO_GOOD = 0.9  # share of real melodies that a piece of the panel may beat
FEWEST = 10  # real melodies, below which nothing is said of shares
MOST = 200  # real melodies
DRAWN = 16  # pieces of random tokens
REAL = "real melodies"
COPY = "a corpus copy"
# What a reward pays for, if the piece is paid more than real melodies are.
PAYS_FOR = {
    "silence": "silence",
    "all hold": "doing nothing",
    "one long note": "doing nothing",
    "one repeated note": "repetition",
    "a bare scale": "scales",
    "a trill": "trills",
    "random tokens": "noise",
}


def degenerate(task: Task) -> dict[str, Score]:
    """Pieces that are no music, each a batch of one but for the random tokens; given cells kept."""
    beat, cells = task.beat_cells, task.cells
    tonic = min(max(task.tonic_pitch, task.low), task.high)
    ladder = [p for p in range(task.low, task.high + 1) if p % 12 in task.key.pitch_classes]
    ladder = ladder or [tonic]
    first = min(range(len(ladder)), key=lambda i: abs(ladder[i] - tonic))
    up = ladder[first : first + 8]

    def line(pitches: list[int], length: int) -> Array:
        notes = [[task.codec.token(pitch)] + [HOLD] * (length - 1) for pitch in pitches]
        return np.resize(np.concatenate(notes), cells)

    rows = {
        "silence": np.full(cells, REST),
        "all hold": np.full(cells, HOLD),
        "one long note": line([tonic], cells),
        "one repeated note": line([tonic], beat),
        "a bare scale": line(up + up[-2:0:-1], beat),
        "a trill": line((up * 2)[:2], max(1, beat // 2)),
    }
    given = np.array(task.given) if task.given else np.full((task.voices, cells), UNWRITTEN)
    pieces = {
        name: Score(np.where(given == UNWRITTEN, row, given)[None], task)
        for name, row in rows.items()
    }
    return pieces | {"random tokens": noise(task, 0, DRAWN)}


@dataclass(frozen=True)
class Row:
    """One kind of piece: what it is paid (the median of several), and its rank.

    `above` is the share of real melodies that are paid less, nan where there are none.
    """

    name: str
    paid: float
    above: float


@dataclass(frozen=True)
class Panel:
    """Kinds of pieces ranked by what a reward pays for them, the best paid first.

    Attributes:
        task: of the pieces.
        rows: the kinds.
        real: (N,) what each real melody is paid, in rising order.
        verdicts: what is wrong with that ranking; none if nothing is.
    """

    task: Task
    rows: tuple[Row, ...]
    real: Array
    verdicts: tuple[str, ...]

    def __str__(self) -> str:
        task, count = self.task, len(self.real)
        of = f"{task.bars} bars of {task.meter} in {task.key}"
        lines = [f"What it pays for {of}; above: share of {count} real melodies that get less"]
        lines += [f"{'paid':>10}  {'above':>5}  piece"]
        for row in self.rows:
            above = "" if np.isnan(row.above) else f"{row.above:.0%}"
            lines.append(f"{row.paid:>10.4g}  {above:>5}  {row.name}")
        if not count:
            kind = "pieces of several voices" if task.voices > 1 else "melodies of this kind"
            lines.append(f"The corpus has no {kind} to compare them with.")
        return "\n".join(lines)


def share_below(real: Array, paid: float) -> float:
    """Share of real melodies that are paid clearly less than a piece; nan if they are few."""
    if len(real) < FEWEST:
        return float("nan")
    return float((real < paid - 1e-6 * (1.0 + abs(paid))).mean())


def rank(pay: Callable[[Score], Array], task: Task, most: int = MOST) -> Panel:
    """Ask a reward what it pays (B,) for each piece of the panel.

    Args:
        pay: the return (B,) of finished pieces.
        task: of the pieces.
        most: real melodies to compare with.
    """
    tunes = real_melodies(task, most)
    each = pay(tunes) if tunes is not None else np.zeros(0)
    real = np.sort(each)
    paid = {name: float(np.median(pay(score))) for name, score in degenerate(task).items()}
    verdicts = []
    for name in sorted(paid, key=lambda name: -paid[name]):
        above = share_below(real, paid[name])
        if above >= TOO_GOOD:
            verb = "scores" if name != "random tokens" else "score"
            verdicts.append(
                f"{name} {verb} above {above:.0%} of real melodies: this reward pays for "
                f"{PAYS_FOR[name]}"
            )
    if len(real):
        paid |= {COPY: float(each[0]), f"{REAL}, the median": float(np.median(real))}
    if np.ptp([*paid.values(), *real]) < 1e-9:
        verdicts.append(
            "every piece of the panel is paid the same: this reward tells none apart"
            + ("; if it is one of several voices, ask for them (--voices)" * (task.voices == 1))
        )
    rows = [Row(name, value, share_below(real, value)) for name, value in paid.items()]
    rows.sort(key=lambda row: -row.paid)
    return Panel(task, tuple(rows), real, tuple(verdicts))
