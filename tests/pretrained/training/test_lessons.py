"""Parts of tunes as a network is shown them: where they begin, end, and what plan they have."""

import numpy as np
import pytest
import torch

from envs.music.task import Task
from pretrained.corpora.folk import load_corpus
from pretrained.corpora.pieces import piece
from pretrained.training.lessons import lesson
from tests.helpers import places_of


@pytest.fixture(scope="module")
def tunes():
    found = ((tune, piece(tune)) for tune in load_corpus().select("train")[::20])
    return [(tune, *whole) for tune, whole in found if whole is not None]


def test_a_whole_tune_stands_where_a_task_of_its_size_has_it(tunes):
    for tune, task, tokens in tunes:
        shown = lesson(tune)
        n = min(len(shown.tokens), task.cells)
        assert shown.tokens[:n].tolist() == tokens[:n].tolist()
        assert torch.equal(torch.from_numpy(shown.place[:n]), places_of(task)[0, :n])


def test_a_part_ends_where_the_tune_does_or_on_the_tonic(tunes):
    rng = np.random.default_rng(0)
    parts = phrased = 0
    for tune, task, _ in tunes:
        shown = lesson(tune, rng)
        n, bar = len(shown.tokens), task.bar_cells
        if n == len(tune.tokens):
            continue
        parts += 1
        starts = [
            k for k in range(0, len(tune.tokens), bar)
            if np.array_equal(tune.position[k : k + n], shown.place[:, 0])
            and np.array_equal(tune.tokens[k + 1 : k + n], shown.tokens[1:])
        ]  # fmt: skip
        onset = shown.tokens[shown.tokens > 1][-1]
        at_end = [k for k in starts if k + n == len(tune.tokens)]
        assert at_end or (onset + 46) % 12 == tune.tonic
        plan = ((shown.place[:, 4] == 0) & (np.arange(n) % bar == 0)).sum()
        phrased += plan > 1
        bars = -(-n // bar)
        assert bars in (4, 8, 16)
        sizes = [f"A{bars // plan}" for _ in range(plan)]
        same = Task(task.key, task.meter, bars, pickup=task.pickup, phrases=" ".join(sizes))
        assert torch.equal(torch.from_numpy(shown.place), places_of(same)[0, :n])
    assert parts > 50
    assert phrased > 15


def test_nothing_is_held_that_did_not_begin(tunes):
    rng = np.random.default_rng(1)
    for tune, _, _ in tunes:
        shown = lesson(tune, rng)
        begun = np.maximum.accumulate(shown.tokens > 1)
        assert (shown.tokens[~begun] == 0).all()
