"""Fresh discriminators: the interval of what they tell apart."""

import numpy as np
import pytest

from envs.music.task import Task
from rewards.adaptive import fresh
from rewards.adaptive.fresh import ACCURACY, AREA, balanced, tell_apart, told_apart
from rewards.measures.fakes import fakes


def test_the_interval_is_that_of_two_shares():
    real, generated = np.repeat([1.0, 0.0], [80, 20]), np.repeat([1.0, 0.0], [180, 120])
    middle, low, high = balanced(real, generated)
    error = 0.5 * np.sqrt(0.8 * 0.2 / 100 + 0.6 * 0.4 / 300)
    assert middle == pytest.approx(0.7)
    assert (high - low) / 2 == pytest.approx(1.96 * error)


def test_copies_are_not_told_apart_and_silence_is(monkeypatch):
    monkeypatch.setattr(fresh, "SEEDS", 1)
    made = fakes(Task(), 400)
    copied, silent = tell_apart(made["copied tunes"]), tell_apart(made["silence"])
    assert copied.low < 0.55
    assert silent.low > 0.95
    rows = told_apart(made["silence"])
    assert rows == {ACCURACY: 100 * silent.accuracy, AREA: 100 * silent.area}


def test_a_task_without_tunes_is_not_judged():
    task = Task(meter="7/8", bars=5)
    assert tell_apart(fakes(task, 4)["trill"]) is None
    assert told_apart(fakes(task, 4)["trill"]) == {}
