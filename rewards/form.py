"""Rules of form: what a piece does with what it has said before."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.codec import UNWRITTEN
from envs.score import Score
from envs.tape import Array
from rewards.rl_tuner import autocorrelation
from rewards.rule import term


def _nothing_yet(score: Score) -> tuple[Any, ...]:
    """Before the first cell: no run, and a bar of nothing."""
    return (np.int16(0), *(np.int16(UNWRITTEN),) * score.task.bar_cells)


def _follow_echo(state: tuple[Array, ...], here: Score) -> Any:
    """Length of the run of cells that repeat those of a bar before."""
    run, *bar = state
    run = np.where(here.tokens == bar[-1], run + np.int16(1), np.int16(0))
    return (run, here.tokens, *bar[:-1]), (run,)


@term(source="Caplin, Classical Form (1998), ch. 3: the basic idea is repeated at once")
def bar_echo(score: Score, *, full: int = 8, longest: int = 12) -> Array:
    """A share for each cell of a run that repeats the bar before, 1 from the `full`-th cell on.

    A run longer than `longest` cells earns nothing for what is beyond: an answer, not a copy.

    >>> from envs.notation import score_from_text
    >>> piece = score_from_text("C4 D4 E4 G4 C4 D4 E4 F4", meter="4/4")
    >>> (8 * bar_echo(piece)[0, 0, 16:25]).astype(int).tolist()
    [1, 2, 3, 4, 5, 6, 7, 8, 8]
    """
    if full < 1 or longest < 1:
        raise ValueError(f"full={full}, longest={longest}: expected at least 1 cell of each")
    (run,) = score.scan(_follow_echo, _nothing_yet)
    share = np.minimum(run, np.int16(full)) / np.float32(full)
    return np.where(run <= longest, share, 0).astype(np.float32)


@term(source="the statistic of table 1 in Jaques et al. (2017)")
def whole_autocorrelation(score: Score) -> Array:
    """At the last cell the sum of the absolute autocorrelations at lags 1, 2, 3 of all tokens.

    `penalize_autocorrelation` looks at every beginning of a piece, and only beyond a threshold.
    """
    sizes = [np.nan_to_num(np.abs(coefficient)) for coefficient in autocorrelation(score)]
    return np.where(score.is_last, sum(sizes), 0).astype(np.float32)
