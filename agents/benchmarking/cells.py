"""Cells of a benchmark: one method with one seed, each in a process of its own.

Such a process is `python -m agents.benchmarking.cells OUT METHOD SEED`.
"""

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
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from agents.benchmarking.begin import check_unchanged
from agents.benchmarking.measuring import measure
from agents.benchmarking.methods import Bench, Method, find_method
from agents.benchmarking.results import FINISHED, folder_of, write_arrays
from agents.runs.directory import Run
from agents.settings import commands
from envs.durable_files import write_atomic

Cell = tuple[str, int]  # name of the method, seed


def run_cells(out: Path, methods: Sequence[Method], seeds: int, jobs: int) -> dict[Cell, str]:
    """Make the cells that are not finished, and return the messages of those that failed.

    On any end of this process the others end as well: they hold the other end of a pipe.
    """
    needs = {(method.name, seed): method.needs for seed in range(seeds) for method in methods}
    waiting = [cell for cell in needs if not (folder_of(out, *cell) / FINISHED).is_file()]
    if len(waiting) < len(needs):
        print(f"{len(needs) - len(waiting)} of {len(needs)} cells are finished already", flush=True)
    if waiting:
        print(f"{len(waiting)} cells to make, {jobs} at a time", flush=True)
    begun: dict[Cell, Future[str]] = {}
    end, hold = os.pipe()

    def make(cell: Cell) -> str:
        needed = begun.get((needs[cell], cell[1]))
        if needed is not None and needed.result():
            return f"its {needs[cell]} cell failed"
        return _run_cell(out, cell, end)

    failed, began = {}, time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for cell in sorted(waiting, key=lambda cell: needs[cell] != ""):  # what others need
                begun[cell] = pool.submit(make, cell)  # is begun before them, so none waits forever
            cells = {future: cell for cell, future in begun.items()}
            for done, future in enumerate(as_completed(cells), 1):
                cell, message = cells[future], future.result()
                if message:
                    failed[cell] = message
                place = f"[{done} of {len(waiting)}, {(time.perf_counter() - began) / 60:.0f} min]"
                print(f"{place} {cell[0]}, seed {cell[1]}: {message or 'done'}", flush=True)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            os.close(hold)
            os.close(end)
    return failed


def _run_cell(out: Path, cell: Cell, end: int) -> str:
    """Make one cell in a process, and return its last words if it failed, else ''.

    Args:
        out: folder of the benchmark.
        cell: method and seed.
        end: descriptor of a pipe, at whose end the process ends too.
    """
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    module = "agents.benchmarking.cells"
    process = subprocess.run(
        [sys.executable, "-m", module, str(out), cell[0], str(cell[1])],
        stdin=end,
        capture_output=True,
        text=True,
        errors="replace",
        env=os.environ | one_thread,
        process_group=0,  # Ctrl-C is for this process, which then ends that one
        check=False,
    )
    folder = folder_of(out, *cell)
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
    folder = folder_of(out, name, seed)
    if folder.is_dir():
        shutil.rmtree(folder)  # what was interrupted is begun anew
    folder.mkdir(parents=True)
    drawn, timing = bench.draw(method, seed)
    numbers = measure(bench, drawn)
    run = folder / "run"
    facts: dict[str, Any] = {"method": name, "seed": seed}
    facts["warnings"] = Run(run).warnings if run.is_dir() else []
    facts["numbers"] = {k: None if math.isnan(v) else v for k, v in numbers.items()}
    thousand = 1000 / drawn.score.batch
    timing["draw_wall"] = drawn.cost.wall_seconds * thousand
    timing["draw_cpu"] = drawn.cost.cpu_seconds * thousand
    write_arrays(folder / "pieces.npz", tokens=drawn.score.tokens)
    clocks = {"machine": machine(), "seconds": timing}
    write_atomic(folder / "timing.json", json.dumps(clocks, indent=2) + "\n")
    write_atomic(folder / FINISHED, json.dumps(facts, indent=2, allow_nan=False) + "\n")


def main() -> None:
    """Make the cell of the command line, and end with the process that began it."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    out, name, seed = sys.argv[1:]
    commands.run(lambda: make_cell(Path(out), name, int(seed)))


def _end_with_input() -> None:
    os.read(0, 1)  # nothing is ever written to it
    os._exit(1)


if __name__ == "__main__":
    main()
