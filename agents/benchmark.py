"""Compare search, decoding and reinforcement learning under one budget, over several seeds.

    python -m agents.benchmark
    python -m agents.benchmark quick --methods prior best-of-16 ppo --seeds 3 -n 50000

Each cell, a method with a seed, is a process of its own. The same command goes on where it was
stopped: cells that are finished stay, one that was interrupted is begun anew. At the end it writes
report.md with pictures, cells.csv and summary.csv, of all that the folder holds.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from agents.settings import commands
from agents.settings.config import TrainConfig, from_mapping

LIMITS = {"seeds": (1, 1000), "pieces": (2, 100_000), "jobs": (1, 1024), "n_timesteps": (1, 10**12)}


@dataclass(frozen=True)
class BenchmarkConfig:
    """Settings of a benchmark.

    Attributes:
        out: folder of the benchmark, new or one to go on with.
        methods: names; all of them if empty. Other numbers than the standard ones go as well:
            best-of-32, ppo@kl=0.3, best-of-n@kl=0.3 (nats per token).
        seeds: cells of each method.
        n_timesteps: environment steps of each training; the last rollout is finished.
        pieces: to measure in each cell; a beam finds few.
        reward: terms as name=weight; this and the next three as python -m agents.train has them
            if empty.
        task: arguments of the environment as name=value: bars=8 meter=3/4 low=C4
        env: id of the environment.
        prior: name or path of the checkpoint that is sampled, searched and trained.
        jobs: cells at work at a time, each on one core.
    """

    out: tyro.conf.Positional[Path] = Path("benchmark")
    methods: tuple[str, ...] = ()
    seeds: int = 5
    n_timesteps: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 300_000
    pieces: int = 1000
    reward: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    env: str = ""
    prior: str = ""
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}={value}: expected {low} to {high:,}")

    @property
    def settings(self) -> TrainConfig:
        """Settings of a training that all cells share; `eval_pieces` is the number of pieces."""
        given = {"reward": self.reward, "task": self.task, "prior": self.prior}
        base = from_mapping({}, "the default run").changed(env=self.env or TrainConfig.env)
        return replace(
            base,
            **{name: value for name, value in given.items() if value},  # type: ignore[arg-type]
            n_timesteps=self.n_timesteps,
            eval_pieces=self.pieces,
            runs=self.out,
            name="settings",
            device="cpu",
            threads=1,
            samples=0,
            eval_freq=-1,
            save_freq=-1,
            progress=False,
            tensorboard=False,
        )


def show(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def benchmark(config: BenchmarkConfig) -> int:
    """Make what is missing, write the report. Returns 1 if a cell failed, 130 if stopped."""
    import torch

    from agents.benchmarking import benchmark_report as report
    from agents.benchmarking.cells import run_cells
    from agents.benchmarking.methods import Bench, default_methods
    from agents.benchmarking.plan import choose, open_folder
    from agents.benchmarking.processes import OneProcessEach
    from agents.runs.run_lock import only_one
    from agents.training.monitor import find_judge

    torch.set_num_threads(1)
    bench = Bench(config.settings, config.out)
    methods, left_out = choose(config.methods, bench)
    for line in left_out:
        print(f"left out: {line}")
    find_judge(bench.task)  # counted once, before all cells want it
    open_folder(bench, methods, config.seeds)
    with only_one(config.out / "settings", "benchmark"):
        try:
            with OneProcessEach(config.jobs) as executor:
                failed = run_cells(config.out, methods, config.seeds, executor, show)
        except KeyboardInterrupt:
            print("\nstopped; finished cells stay, the same command goes on", file=sys.stderr)
            return 130
        report.write(config.out, default_methods(), failed, left_out)
    print(f"{config.out / 'report.md'}: {len(failed)} cells failed")
    return 1 if failed else 0


def main() -> None:
    """Command line."""
    commands.run(lambda: benchmark(commands.parse(BenchmarkConfig, "benchmark", __doc__)))


if __name__ == "__main__":
    main()
