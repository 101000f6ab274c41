"""Numbers over seeds: means, intervals, and how they are written."""

import numpy as np
import pytest

from agents.benchmarking import results
from agents.benchmarking.results import bootstrap, contrast, plain, stat


def test_bootstrap_of_two_values_is_a_coin_thrown_twice():
    means, shares = np.unique(bootstrap([0.0, 1.0]), return_counts=True)
    assert means.tolist() == [0, 0.5, 1]
    assert shares / results.RESAMPLES == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_intervals_of_many_normal_values_are_those_of_the_textbook():
    values = np.random.default_rng(1).normal(3, 2, 400)
    error = values.std() / 20
    found = stat(values)
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.05 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.05 * error)
    assert found.std == pytest.approx(values.std(ddof=1))
    both = contrast(values, values - 1)  # of independent draws, though the values are the same
    assert both.mean == pytest.approx(1)
    assert both.high - both.low == pytest.approx(2 * 1.96 * error * np.sqrt(2), rel=0.03)


def test_what_could_not_be_counted_is_left_out():
    assert stat([1.0, np.nan, 3.0]).mean == 2
    assert stat([1.0, np.nan, 3.0]).count == 2
    assert np.isnan(stat([np.nan]).mean)
    assert np.isnan(stat([5.0]).low)
    assert contrast([1.0, 2.0], [np.nan]).count == 0


def test_numbers_as_they_are_told():
    told = [plain(value) for value in (0.0, 1234.56, 1635, -12.345, 0.5, 0.0123, 3e-6, np.nan)]
    assert told == ["0", "1,235", "1,635", "-12.3", "0.50", "0.012", "3e-06", "–"]
