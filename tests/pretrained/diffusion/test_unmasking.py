import itertools

import numpy as np
import pytest

from envs.music.codec import FIRST_PITCH, HOLD
from envs.music.task import Task
from pretrained.diffusion.unmasking import Grammar, Way, schedule

TASK = Task(bars=1, meter="1/4", low=60, high=61)
CELLS = TASK.cells


def grammatical(line):
    begun = np.maximum.accumulate(np.array(line) >= FIRST_PITCH)
    return bool((begun | (np.array(line) != HOLD)).all())


TOKENS = (0, 1, TASK.codec.token(60), TASK.codec.token(61))
PIECES = {line for line in itertools.product(TOKENS, repeat=CELLS) if grammatical(line)}


@pytest.mark.parametrize("order", list(itertools.permutations(range(CELLS))))
def test_every_order_reaches_all_grammatical_lines_and_no_other(order):
    grammar, reached = Grammar(TASK), {(-1,) * CELLS}
    for cell in order:
        lines = np.array(sorted(reached))
        where = np.full(len(lines), cell), np.zeros(len(lines), int)
        allowed = grammar.allowed(lines, *where)
        reached = set()
        for line, mask in zip(lines, allowed, strict=True):
            assert mask.any()
            for token in np.flatnonzero(mask):
                reached.add((*line[:cell].tolist(), int(token), *line[cell + 1 :].tolist()))
    assert reached == PIECES


def test_a_schedule_fills_each_cell_once_and_cells_of_a_call_lie_apart():
    cells, rng = np.arange(3, 35), np.random.default_rng(0)
    for calls in (1, 5, 8, 31, 32):
        for order in ("random", "forward"):
            table = schedule(cells, calls, order, rng)
            assert len(table) <= calls
            assert sorted(table[table >= 0].tolist()) == cells.tolist()
    table = schedule(cells, 8, "forward", rng)
    assert (np.diff(table, axis=0) == 1).all()
    assert (np.diff(table, axis=1) == 8).all()


def test_calls_are_shared_between_filling_and_filling_again():
    way = Way(calls=64, remask=0.5)
    assert (way.first_calls(128), way.later_calls(128)) == (32, 32)
    assert (Way().first_calls(20), Way().later_calls(20)) == (20, 0)
    assert (Way(calls=64).first_calls(20), Way(calls=64).later_calls(20)) == (20, 44)


@pytest.mark.parametrize(
    "setting", [{"calls": -1}, {"calls": 2.5}, {"order": "backward"}, {"remask": 1.0}]
)
def test_ways_out_of_bounds_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        Way(**setting)
