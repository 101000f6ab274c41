"""Fakes: pieces that are no music of a model's own, to find out which measures they deceive.

silence, one note, trill, scale    what every beginner of a reward is shown
shuffled tunes    real tunes whose pitches and lengths stand in another order. Each pair of
                  neighbouring pitches occurs as often as in the tune, so pitch classes, intervals
                  and note lengths have the tune's own histograms
copied tunes      tunes that the priors have learned from, note by note
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from envs.music.codec import FIRST_PITCH, HOLD, REST
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.adaptive.windows import real_parts

Rng = np.random.Generator
LENGTHS = (1, 2, 4)  # cells of the notes of a trill or a scale


def fakes(task: Task, n: int, seed: int = 0) -> dict[str, Score]:
    """Return `n` pieces of each fake that a task can have, by its name.

    Fakes of real tunes are left out where there are too few like the task's pieces. Their tunes
    are drawn without replacement while there are enough.

    Raises:
        ValueError: `n` below 1, or a task of several voices or with given cells.
    """
    if n < 1 or task.voices > 1 or task.given:
        raise ValueError(
            f"fakes: {n} pieces of {task.voices} voices{' and given cells' * bool(task.given)}; "
            "expected at least one, of one voice without given cells"
        )
    rng = np.random.default_rng((seed, n))
    lines: dict[str, list[Array]] = {
        name: [make(task, rng) for _ in range(n)] for name, make in SIMPLE.items()
    }
    try:
        real = real_parts(task, "", ("train",)).tokens[:, 0]
    except ValueError:
        real = np.empty((0, task.cells), np.int16)
    if len(real):
        tunes = real[
            np.concatenate([rng.permutation(len(real)) for _ in range(-(-n // len(real)))])
        ]
        lines["shuffled tunes"] = [shuffled(tune, rng) for tune in tunes[:n]]
        lines["copied tunes"] = list(tunes[:n])
    return {name: Score(np.stack(rows)[:, None], task) for name, rows in lines.items()}


def _silence(task: Task, rng: Rng) -> Array:
    return np.full(task.cells, REST, np.int16)


def _one_note(task: Task, rng: Rng) -> Array:
    pitch = rng.choice(_scale(task))
    return _line(task, [pitch] * task.cells, int(rng.choice(LENGTHS)))


def _trill(task: Task, rng: Rng) -> Array:
    scale = _scale(task)
    low = int(rng.integers(len(scale) - 1))
    return _line(task, [scale[low], scale[low + 1]] * task.cells, int(rng.choice(LENGTHS)))


def _scale_run(task: Task, rng: Rng) -> Array:
    scale = _scale(task)
    there_and_back = [*scale, *scale[-2:0:-1]]
    start = int(rng.integers(len(there_and_back)))
    line = [*there_and_back[start:], *there_and_back * task.cells]
    return _line(task, line, int(rng.choice(LENGTHS)))


SIMPLE: dict[str, Callable[[Task, Rng], Array]] = {
    "silence": _silence,
    "one note": _one_note,
    "trill": _trill,
    "scale": _scale_run,
}


def _scale(task: Task) -> list[int]:
    """Return the pitches of a task's key within its range."""
    return [p for p in range(task.low, task.high + 1) if p % 12 in task.key.pitch_classes]


def _line(task: Task, pitches: list[int], length: int) -> Array:
    """Return the tokens (T,) of notes that are all of one length."""
    line = np.full(task.cells, HOLD, np.int16)
    starts = range(0, task.cells, length)
    line[::length] = [pitch - task.codec.low + FIRST_PITCH for pitch in pitches[: len(starts)]]
    return line


def shuffled(line: Array, rng: Rng) -> Array:
    """Return a line with the pitches and the lengths of its notes in another order.

    The first and the last pitch stay, and every pitch follows every other as often as before: a
    random walk along all steps of the line, each once (Altschul & Erickson 1985, "Significance of
    nucleotide sequence alignments", whose walks are drawn by Kandel et al. 1996). Rests count to
    the note before them. What stands before the first note stays.

    Args:
        line: tokens (T,).
        rng: draws the order.
    """
    at = np.flatnonzero(line >= FIRST_PITCH)
    if len(at) < 3:
        return line.copy()
    lengths = rng.permutation(np.diff(at, append=len(line)))
    new = np.full_like(line, HOLD)
    new[: at[0]] = line[: at[0]]
    new[at[0] + np.concatenate([[0], np.cumsum(lengths)[:-1]])] = _walk(line[at].tolist(), rng)
    return new


def _walk(pitches: list[int], rng: Rng) -> list[int]:
    """Return pitches in another order with the same steps from one to the next.

    From each pitch but the last one step is kept for the end, so that these lead to the last pitch;
    such steps are found by walking backwards from it at random (Wilson 1996). The others are
    taken in random order.
    """
    ways: dict[int, list[int]] = {}
    for here, there in pairwise(pitches):
        ways.setdefault(here, []).append(there)
    last = _last_steps(ways, pitches[-1], rng)
    for here, onward in ways.items():
        rest = list(onward)
        if here in last:
            rest.remove(last[here])
        rest = [rest[number] for number in rng.permutation(len(rest))]
        ways[here] = rest + ([last[here]] if here in last else [])
    walk = [pitches[0]]
    while ways.get(walk[-1]):
        walk.append(ways[walk[-1]].pop(0))
    return walk


def _last_steps(ways: dict[int, list[int]], root: int, rng: Rng) -> dict[int, int]:
    """Return a step from each pitch but `root`, by which all come to it, of random walks."""
    last: dict[int, int] = {}
    there = {root}
    for start in ways:
        here = start
        while here not in there:
            last[here] = ways[here][int(rng.integers(len(ways[here])))]
            here = last[here]
        here = start
        while here not in there:
            there.add(here)
            here = last[here]
    return {pitch: step for pitch, step in last.items() if pitch != root}
