"""Pieces of random tokens, to test code with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from envs.music.codec import HOLD
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task

HOLDS = 12.0  # weight of a hold with which a note lasts about four cells


def noise(task: Task, seed: int, n: int = 2, holds: float = 1.0) -> Score:
    """Return finished pieces of random allowed tokens.

    Args:
        task: the task of the pieces.
        seed: seed of the random numbers.
        n: number of pieces.
        holds: weight of a hold against every other token; 1 draws all tokens alike.
    """
    return Score(_tokens(task, seed, n, holds).copy(), task)


@lru_cache(maxsize=32)
def _tokens(task: Task, seed: int, n: int, holds: float) -> Array:
    """Return the tokens (n, V, T) of pieces, about which many rules are asked in turn."""
    rng = np.random.default_rng(seed)
    score = Score.page(task, n)
    weight = np.where(np.arange(task.codec.vocab) == HOLD, holds, 1.0)
    while not score.finished:
        allowed = score.allowed() * weight
        score = score.write((rng.random(allowed.shape) * allowed).argmax(axis=1))
    return score.tokens
