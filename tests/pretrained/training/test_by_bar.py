"""Figures by the bar of the piece."""

import numpy as np
import pytest

from pretrained.corpora.tunes import read_tune
from pretrained.training.by_bar import bars_of, by_bar, by_bar_table
from tests.pretrained.corpora.own_tunes import abc_tune


def test_bars_are_counted_from_the_first_token_of_each_tune():
    tunes = [read_tune(abc_tune(1, bars=2)), read_tune(abc_tune(2, bars=3))]
    assert bars_of(tunes).tolist() == [1] * 16 + [2] * 16 + [1] * 16 + [2] * 16 + [3] * 16


def test_nats_are_averaged_over_the_tokens_of_some_bars():
    bars = np.array([1, 2, 3, 4, 4, 17, 33])
    nats = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0])
    assert by_bar(nats, bars) == {"1": 1.0, "2": 2.0, "3-4": pytest.approx(4.0), "17-32": 6.0}


def test_the_table_has_a_row_for_each_model_and_a_column_for_some_bars():
    table = by_bar_table({"LSTM": {"1": 0.5, "3-4": 0.25}, "2-gram": {"1": 1.0}})
    head, first, second = (line.split() for line in table.splitlines())
    assert head == ["nats,", "bars", "1", "2", "3-4", "5-8", "9-12", "13-16", "17-32"]
    assert first == ["LSTM", "0.500", "-", "0.250", "-", "-", "-", "-"]
    assert second[:2] == ["2-gram", "1.000"]
