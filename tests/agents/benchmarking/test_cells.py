"""Cells of a benchmark: their order, what failed, and processes of their own."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents.benchmarking import cells
from agents.benchmarking.benchmark_methods import find_method
from agents.benchmarking.cells import make_cell, run_cells
from agents.benchmarking.processes import OneProcessEach
from tests.agents.benchmarking.helpers import begin, config


def run_with(monkeypatch, tmp_path, names, failing=(), done=()):
    """Order in which cells are begun, and what failed, with nothing really made."""
    begun = []

    def make(out, name, seed):
        method, folder = find_method(name), out / "cells" / name / str(seed)
        if method.needs:
            assert (out / "cells" / method.needs / str(seed) / "result.json").is_file()
        begun.append((name, seed))
        if name in failing:
            return "broken"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text("{}")
        return ""

    for name, seed in done:
        make(tmp_path, name, seed)
    begun.clear()
    monkeypatch.setattr(cells, "try_cell", make)
    methods = [find_method(name) for name in names]
    with ThreadPoolExecutor(2) as executor:  # any will do
        return begun, run_cells(tmp_path, methods, 2, executor)


def test_cells_wait_for_those_they_need(monkeypatch, tmp_path):
    names = ["best-of-4", "guided-beam", "ppo", "prior"]
    begun, failed = run_with(monkeypatch, tmp_path, names, done=[("ppo", 1)])
    assert not failed
    assert sorted(begun) == sorted((n, s) for n in names for s in (0, 1) if (n, s) != ("ppo", 1))


def test_a_cell_whose_need_failed_is_not_tried(monkeypatch, tmp_path):
    names = ["prior", "best-of-4", "masked"]
    begun, failed = run_with(monkeypatch, tmp_path, names, failing=("prior",))
    assert sorted(begun) == [("masked", 0), ("masked", 1), ("prior", 0), ("prior", 1)]
    assert failed[("prior", 0)] == "broken"
    assert failed[("best-of-4", 1)] == "its prior cell failed"


def test_a_cell_that_was_interrupted_is_begun_anew(tiny_checkpoint, tmp_path):
    bench = begin(config(tiny_checkpoint, tmp_path / "b"), ["prior"])
    left = bench.folder("prior", 0) / "run" / "metrics.csv"
    left.parent.mkdir(parents=True)
    left.write_text("left behind")
    make_cell(bench.out, "prior", 0)
    assert not left.exists()
    assert (bench.folder("prior", 0) / "result.json").is_file()


def test_a_process_that_dies_says_by_what_and_stops_no_other(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with OneProcessEach(2) as executor:
        died = executor.submit(signal.raise_signal, signal.SIGKILL)
        ended = executor.submit(os._exit, 3)
        lived = executor.submit(os.getenv, "OMP_NUM_THREADS")
        assert lived.result() == "1"
        with pytest.raises(ChildProcessError, match="signal 9 .out of memory"):
            died.result()
        with pytest.raises(ChildProcessError, match="ended with 3"):
            ended.result()
    assert os.environ["OMP_NUM_THREADS"] == "7"


def interrupted():
    with OneProcessEach(1) as executor:
        executor.submit(time.sleep, 600)
        time.sleep(1)
        raise KeyboardInterrupt


def test_processes_end_with_what_they_work_for():
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - began < 60
