"""Pieces of random legal tokens, to try code on."""

from __future__ import annotations

import numpy as np

from envs.music.codec import HOLD
from envs.music.score import Score
from envs.music.task import Task


def noise(task: Task, seed: int, n: int = 2, holds: float = 1.0) -> Score:
    """Finished pieces of noise within the grammar.

    Args:
        task: what the pieces are written for.
        seed: of the draw.
        n: pieces.
        holds: how much a hold weighs against each other token; 1 for even noise.
    """
    rng = np.random.default_rng(seed)
    score = Score.page(task, n)
    weight = np.where(np.arange(task.codec.vocab) == HOLD, holds, 1.0)
    while not score.finished:
        allowed = score.allowed() * weight
        score = score.write((rng.random(allowed.shape) * allowed).argmax(axis=1))
    return score
