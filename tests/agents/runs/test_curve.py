"""The learning curve: which terms are drawn, and what of a long run."""

import numpy as np
import pytest

from agents.runs.curve import MOST_TERMS, PARTS, _change, _smooth, draw

pytestmark = pytest.mark.usefixtures("drawn")


def test_a_short_run_is_drawn_as_it_is_and_a_long_one_as_means():
    assert _smooth([3.0, 1.0, 2.0]) == [3, 1, 2]
    values = np.random.default_rng(0).normal(size=80)
    smooth = _smooth(values)
    assert smooth[40] == pytest.approx(values[38:43].mean())
    assert smooth[0] == pytest.approx(values[:3].mean())


def test_change_is_from_the_first_fifth_to_the_last():
    assert _change([1.0, 1, 9, 9, 9, 9, 9, 9, 4, 6]) == 4


def test_of_many_terms_those_that_changed_most_are_drawn(tmp_path):
    columns = {name: [float(n) for n in range(10)] for name in PARTS}
    few = columns | {f"reward/term{n}": [0.0] * 9 + [float(n)] for n in range(MOST_TERMS)}
    draw(few, tmp_path / "few.svg")
    draw(few | {f"reward/more{n}": [0.0] * 9 + [50.0] for n in range(3)}, tmp_path / "many.svg")
    few_text, many_text = ((tmp_path / name).read_text() for name in ("few.svg", "many.svg"))
    assert "<!-- term0 -->" in few_text
    assert "<!-- more2 -->" in many_text
    assert "<!-- term0 -->" not in many_text
    assert f"the {MOST_TERMS} of {MOST_TERMS + 3}" in many_text
