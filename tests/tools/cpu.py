"""Processor time of tests, children included: pytest -n 0 -p tests.tools.cpu

Unlike `--durations` it does not depend on what else the machine is doing.
"""

import os
from collections import Counter

import pytest

SHOWN = 40
spent = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Count the time of a test, with what it sets up and takes down."""
    before = sum(os.times()[:4])
    try:
        return (yield)
    finally:
        spent[item.nodeid] += sum(os.times()[:4]) - before


def pytest_terminal_summary(terminalreporter):
    """Print the total, the costliest files and the costliest tests."""
    files = Counter()
    for name, seconds in spent.items():
        files[name.partition("::")[0]] += seconds
    terminalreporter.section(f"{sum(os.times()[:4]):.0f} s of processor time")
    for table in (files, spent):
        for name, seconds in table.most_common(SHOWN):
            terminalreporter.line(f"{seconds:8.2f}  {name}")
        terminalreporter.line("")
