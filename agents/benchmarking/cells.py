"""Cells of a benchmark, one method with one seed each: what has to be made, and making it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import re
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from agents.benchmarking.bench import Bench
from agents.benchmarking.benchmark_methods import BenchMethod, find_method
from agents.benchmarking.measuring import measure
from agents.benchmarking.results import FINISHED, folder_of
from agents.runs.directory import Run
from agents.settings.commands import EXPECTED, in_words
from envs.durable_files import sha256, write_arrays, write_atomic
from pretrained.checkpoint import locate

MODEL = "sha256 of the model"  # in result.json, of a method with a checkpoint of its own
Cell = tuple[str, int]  # name of the method, seed


def check_unchanged(bench: Bench) -> None:
    """Raise ValueError if the prior or a reward of one's own is not what the folder began with."""
    try:
        Run(bench.out / "settings").check_provenance(locate(bench.base.prior), bench.reward)
    except ValueError as error:
        changed = str(error).partition(";")[0]
        raise ValueError(f"{changed}; name another folder for a new benchmark") from None


def run_cells(
    out: Path,
    methods: Sequence[BenchMethod],
    seeds: int,
    executor: Executor,
    note: Callable[[str], None] = lambda text: None,
) -> dict[Cell, str]:
    """Make the cells that are not finished; return those that failed, with their messages.

    Args:
        out: folder of the benchmark.
        methods: each with so many seeds.
        seeds: number of cells of each method.
        executor: makes the cells, such as `agents.benchmarking.processes.OneProcessEach`; it calls
            `try_cell`, where it sees the folder.
        note: called with a line on each cell.
    """
    needs = {(m.name, seed): (m.needs, seed) for seed in range(seeds) for m in methods}
    waiting = [cell for cell in needs if not (folder_of(out, *cell) / FINISHED).is_file()]
    failed: dict[Cell, str] = {}
    running: dict[Future[str], Cell] = {}
    total, began = len(waiting), time.perf_counter()
    if total < len(needs):
        note(f"{len(needs) - total} of {len(needs)} cells are finished already")
    if waiting:
        note(f"{total} cells to make")
    while waiting or running:
        coming = {*waiting, *running.values()}
        for cell in [cell for cell in waiting if needs[cell] not in coming]:
            waiting.remove(cell)
            if needs[cell] in failed:
                failed[cell] = f"its {needs[cell][0]} cell failed"
            else:
                running[executor.submit(try_cell, out, *cell)] = cell
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            cell = running.pop(future)
            message = "" if (folder_of(out, *cell) / FINISHED).is_file() else _message(future)
            if message:
                failed[cell] = message
            done, passed = total - len(waiting) - len(running), time.perf_counter() - began
            what = f"{cell[0]}, seed {cell[1]}: {message or 'done'}"
            note(f"[{done} of {total}, {passed / 60:.0f} min] {what}")
    return failed


def _message(future: Future[str]) -> str:
    error = future.exception()
    return str(error) or type(error).__name__ if error else future.result() or "not finished"


def try_cell(out: Path, name: str, seed: int) -> str:
    """Make one cell; return what went wrong, '' if nothing did."""
    try:
        make_cell(out, name, seed)
    except Exception as error:
        with contextlib.suppress(OSError):  # the disk may be full
            write_atomic(folder_of(out, name, seed) / "error.txt", traceback.format_exc())
        kind = "" if isinstance(error, EXPECTED) and str(error) else f"{type(error).__name__}: "
        return kind + " ".join(in_words(error).split())
    return ""


def machine() -> str:
    """Return processor, cores and versions in a line."""
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.is_file() and (match := re.search(r"model name\s*: (.+)", info.read_text())):
        cpu = match[1]
    packages = ("numpy", "torch", "stable-baselines3", "composition-gym")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    return f"{cpu}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"


def make_cell(out: Path, name: str, seed: int) -> None:
    """Draw, measure and write one cell; result.json comes last and shows that it is finished.

    Raises:
        ValueError, RewardError, OSError: it cannot be made.
    """
    torch.set_num_threads(1)
    bench, method = Bench(Run(out / "settings").config, out), find_method(name)
    check_unchanged(bench)
    folder = bench.folder(name, seed)
    if folder.is_dir():
        shutil.rmtree(folder)  # what was interrupted is begun anew
    folder.mkdir(parents=True)
    drawn, timing = bench.draw(method, seed)
    numbers = measure(bench, drawn, seed)
    run = folder / "run"
    facts: dict[str, Any] = {"method": name, "seed": seed}
    if method.model:
        facts[MODEL] = sha256(locate(method.model))
    facts["warnings"] = Run(run).warnings if run.is_dir() else []
    facts["numbers"] = {k: None if math.isnan(v) else v for k, v in numbers.items()}
    thousand = 1000 / drawn.score.batch
    if not math.isnan(drawn.cost.cpu_seconds):  # the limit is drawn by nothing
        timing["draw_wall"] = drawn.cost.wall_seconds * thousand
        timing["draw_cpu"] = drawn.cost.cpu_seconds * thousand
    write_arrays(folder / "pieces.npz", tokens=drawn.score.tokens)
    clocks = {"machine": machine(), "seconds": timing}
    write_atomic(folder / "timing.json", json.dumps(clocks, indent=2) + "\n")
    write_atomic(folder / FINISHED, json.dumps(facts, indent=2, allow_nan=False) + "\n")
