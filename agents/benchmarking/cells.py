"""Cells of a benchmark: one method with one seed, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs.durable_files import write_atomic

if TYPE_CHECKING:
    from agents.benchmarking.methods import Bench, Method

Cell = tuple[str, int]  # name of the method, seed
FINISHED = "result.json"  # written last


def check_unchanged(bench: Bench) -> None:
    """Raise ValueError if the prior or a reward of one's own is not what the folder began with."""
    from agents.runs.directory import Run
    from pretrained.checkpoint import locate

    try:
        Run(bench.out / "settings").check_provenance(locate(bench.base.prior), bench.reward)
    except ValueError as error:
        changed = str(error).partition(";")[0]
        raise ValueError(f"{changed}; name another folder for a new benchmark") from None


# -- cells, each in its own process ----------------------------------------------------------------


def run_cells(out: Path, methods: Sequence[Method], seeds: int, jobs: int) -> dict[Cell, str]:
    """Make the cells that are not finished; returns those that failed, with what they said.

    On any end of this process the others end as well: they hold the other end of a pipe.
    """
    folder = {(m.name, s): out / "cells" / m.name / str(s) for s in range(seeds) for m in methods}
    needs = {(m.name, s): (m.needs, s) for s in range(seeds) for m in methods if m.needs}
    waiting = [cell for cell in folder if not (folder[cell] / FINISHED).is_file()]
    failed: dict[Cell, str] = {}
    running: dict[Future[str], Cell] = {}
    total, began = len(waiting), time.perf_counter()
    if total < len(folder):
        print(f"{len(folder) - total} of {len(folder)} cells are finished already", flush=True)
    if waiting:
        print(f"{total} cells to make, {jobs} at a time", flush=True)
    end, hold = os.pipe()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while waiting or running:
                coming = {*waiting, *running.values()}
                for cell in [cell for cell in waiting if needs.get(cell) not in coming]:
                    if needs.get(cell) in failed:
                        failed[cell] = f"its {needs[cell][0]} cell failed"
                    elif len(running) < jobs:
                        running[pool.submit(_run_cell, out, cell, folder[cell], end)] = cell
                    else:
                        continue
                    waiting.remove(cell)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    cell = running.pop(future)
                    if message := future.result():
                        failed[cell] = message
                    done, passed = total - len(waiting) - len(running), time.perf_counter() - began
                    what = f"{cell[0]}, seed {cell[1]}: {message or 'done'}"
                    print(f"[{done} of {total}, {passed / 60:.0f} min] {what}", flush=True)
        finally:
            os.close(hold)
            os.close(end)
    return failed


def _run_cell(out: Path, cell: Cell, folder: Path, end: int) -> str:
    """Make one cell in a process; what it said if it failed, else ''.

    Args:
        out: folder of the benchmark.
        cell: method and seed.
        folder: of the cell.
        end: descriptor of a pipe, at whose end the process ends too.
    """
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [sys.executable, "-m", "agents.benchmark", "--cell", str(out), cell[0], str(cell[1])]
    process = subprocess.run(
        command,
        stdin=end,
        capture_output=True,
        text=True,
        errors="replace",
        env=os.environ | one_thread,
        process_group=0,  # Ctrl-C is for this process, which then ends that one
        check=False,
    )
    if (folder / FINISHED).is_file():
        return ""
    with contextlib.suppress(OSError):  # the disk may be full
        write_atomic(folder / "error.txt", process.stderr)
    if process.returncode < 0:
        memory = " (out of memory?)" if process.returncode == -signal.SIGKILL else ""
        return f"killed by signal {-process.returncode}{memory}"
    said = [line for line in process.stderr.splitlines() if line.strip()]
    return said[-1].removeprefix("error: ") if said else f"ended with {process.returncode}"


def machine() -> str:
    """Processor, cores and versions in a line."""
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.is_file() and (match := re.search(r"model name\s*: (.+)", info.read_text())):
        cpu = match[1]
    packages = ("numpy", "torch", "stable-baselines3", "composition-gym")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    return f"{cpu}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"


def make_cell(out: Path, name: str, seed: int) -> None:
    """Draw, measure and write one cell; result.json comes last and says that it is finished.

    Raises:
        ValueError, RewardError, OSError: it cannot be made.
    """
    import torch

    from agents.benchmarking.measuring import measure
    from agents.benchmarking.methods import Bench, find_method
    from agents.benchmarking.results import write_arrays
    from agents.runs.directory import Run

    torch.set_num_threads(1)
    bench, method = Bench(Run(out / "settings").config, out), find_method(name)
    check_unchanged(bench)
    folder = bench.folder(name, seed)
    if folder.is_dir():
        shutil.rmtree(folder)  # what was interrupted is begun anew
    folder.mkdir(parents=True)
    drawn, timing = bench.draw(method, seed)
    numbers = measure(bench, drawn)
    told = folder / "run" / "warnings.txt"
    facts: dict[str, Any] = {"method": name, "seed": seed}
    facts["warnings"] = told.read_text().splitlines() if told.is_file() else []
    facts["numbers"] = {k: None if math.isnan(v) else v for k, v in numbers.items()}
    thousand = 1000 / drawn.score.batch
    timing["draw_wall"] = drawn.cost.wall_seconds * thousand
    timing["draw_cpu"] = drawn.cost.cpu_seconds * thousand
    write_arrays(folder / "pieces.npz", tokens=drawn.score.tokens)
    clocks = {"machine": machine(), "seconds": timing}
    write_atomic(folder / "timing.json", json.dumps(clocks, indent=2) + "\n")
    write_atomic(folder / FINISHED, json.dumps(facts, indent=2, allow_nan=False) + "\n")


def _end_with_input() -> None:
    os.read(0, 1)  # nothing is ever written to it
    os._exit(1)
