"""Compare search, decoding and reinforcement learning under one budget, over several seeds.

    python -m agents.benchmark
    python -m agents.benchmark quick --methods prior best-of-16 ppo --seeds 3 -n 50000

Each cell, a method with a seed, is a process of its own. The same command goes on where it was
stopped: cells that are finished stay, one that was interrupted is begun anew. At the end it writes
report.md with pictures, fooled.md, cells.csv and summary.csv, of all that the folder holds.

    python -m agents.benchmark fooled --spurious

measures fakes alone: which numbers would silence, a scale or copied tunes win?
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from agents.settings import commands
from agents.settings.config import TrainConfig, from_preset
from agents.settings.presets import REFERENCE
from envs.checked import bounded, check_field


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
        reward: terms as name=weight; this and the next three as the preset reference has them if
            empty.
        task: arguments of the environment as name=value: bars=8 meter=3/4 low=C4
        env: id of the environment.
        prior: name or path of the checkpoint that is sampled, searched and trained.
        jobs: cells at work at a time, each on one core.
        spurious: measure fakes only, and write fooled.md: silence, a trill, a scale, shuffled and
            copied tunes, and which numbers they win. A whole benchmark does so at its end.
    """

    out: tyro.conf.Positional[Path] = Path("benchmark")
    methods: tuple[str, ...] = ()
    seeds: int = bounded(5, 1, 1000)
    n_timesteps: Annotated[int, tyro.conf.arg(aliases=["-n"])] = bounded(300_000, 1, 10**12)
    pieces: int = bounded(1000, 2, 100_000)
    reward: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    env: str = ""
    prior: str = ""
    jobs: int = bounded(os.cpu_count() or 1, 1, 1024)
    spurious: bool = False

    def __post_init__(self) -> None:
        for setting in fields(self):
            check_field(setting, getattr(self, setting.name))

    @property
    def settings(self) -> TrainConfig:
        """Settings of a training that all cells share; `eval_pieces` is the number of pieces."""
        given = {"reward": self.reward, "task": self.task, "prior": self.prior}
        base = from_preset(REFERENCE)
        base = base.changed(env=self.env or base.env)
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


def benchmark(config: BenchmarkConfig) -> int:
    """Make the cells that are missing, and write the report.

    Returns:
        1 if a cell failed, 130 if the benchmark was stopped, else 0.
    """
    import torch

    from agents.benchmarking import benchmark_report, fooled_page, fooling
    from agents.benchmarking.bench import Bench
    from agents.benchmarking.benchmark_methods import default_methods
    from agents.benchmarking.cells import run_cells
    from agents.benchmarking.limits import FILE, pool_size_for, write_limits
    from agents.benchmarking.measuring import second_judge
    from agents.benchmarking.plan import choose, open_folder
    from agents.benchmarking.processes import OneProcessEach
    from agents.runs.run_lock import only_one
    from agents.training.monitor import find_judge

    torch.set_num_threads(1)
    bench = Bench(config.settings, config.out)
    methods, left_out = ([], []) if config.spurious else choose(config.methods, bench)
    for line in left_out:
        print(f"left out: {line}")
    note = partial(print, flush=True)
    find_judge(bench.task, note)  # counted once, before all cells want it; as the other is trained
    second_judge(bench.task, note)
    open_folder(bench, methods, config.seeds)
    with only_one(config.out / "settings", "benchmark"):
        if config.spurious:
            fooling.write_fooled(bench, note)
            print(fooled_page.write(config.out))
            return 0
        try:
            with OneProcessEach(config.jobs) as executor:
                failed = run_cells(config.out, methods, config.seeds, executor, note)
            if not (config.out / FILE).is_file():
                size = pool_size_for(bench.pieces)
                note(f"the limit is read off {size:,} pieces of the prior")
                write_limits(config.out, bench.prior, bench.reward, bench.task, size)
            if not (config.out / fooling.FILE).is_file():
                fooling.write_fooled(bench, note)
        except KeyboardInterrupt:
            print("\nstopped; finished cells stay, the same command goes on", file=sys.stderr)
            return 130
        benchmark_report.write(config.out, default_methods(), failed, left_out)
    print(f"{config.out / 'report.md'}: {len(failed)} cells failed")
    return 1 if failed else 0


def main() -> None:
    """Command line."""
    commands.run(lambda: benchmark(commands.parse(BenchmarkConfig, "benchmark", __doc__)))


if __name__ == "__main__":
    main()
