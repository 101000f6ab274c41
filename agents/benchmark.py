"""Compare search, decoding and reinforcement learning under one budget, over several seeds.

    python -m agents.benchmark
    python -m agents.benchmark quick --methods prior best-of-16 ppo --seeds 3 -n 50000

Each cell, a method with a seed, is a process of its own. The same command goes on where it was
stopped: cells that are finished stay, one that was interrupted is begun anew. At the end it writes
report.md with pictures, cells.csv and summary.csv, of all that the folder holds.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from agents.benchmarking.cells import (
    FINISHED,
    _end_with_input,
    check_unchanged,
    make_cell,
    run_cells,
)
from agents.settings import commands
from agents.settings.config import TrainConfig, as_flags, from_mapping, read_toml

if TYPE_CHECKING:
    from agents.benchmarking.methods import Bench, Method

LIMITS = {"seeds": (1, 1000), "pieces": (2, 100_000), "jobs": (1, 1024), "n_timesteps": (1, 10**12)}


@dataclass(frozen=True)
class BenchmarkConfig:
    """What to compare.

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
        """What all cells share, as the settings of a training; the pieces are `eval_pieces`."""
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


# -- what is to be done ----------------------------------------------------------------------------


def choose(names: Sequence[str], bench: Bench) -> tuple[list[Method], list[str]]:
    """The methods asked for, or all that this objective allows and why the others are left out.

    Raises:
        ValueError: a method that is unknown, asked for twice or impossible, or without the one
            whose cells it needs.
    """
    from agents.benchmarking.methods import default_methods, find_method

    methods, left_out = [], []
    for name in names or default_methods():
        method = find_method(name)
        reason = obstacle(method, bench)
        if reason and names:
            raise ValueError(f"{method.name}: {reason}")
        if reason:
            left_out.append(f"{method.name}: {reason}")
        else:
            methods.append(method)
    known = [method.name for method in methods]
    for method in methods:
        if known.count(method.name) > 1:
            raise ValueError(f"method {method.name!r} is given twice; expected it once")
        if method.needs and method.needs not in known:
            raise ValueError(
                f"{method.name} needs the cells of {method.needs}; name it in --methods as well"
            )
    return methods, left_out


def obstacle(method: Method, bench: Bench) -> str:
    """Why a method cannot be had with this objective and so many pieces, '' if it can."""
    from agents.benchmarking.methods import FEWEST, pool_size
    from agents.composing.masks import read_masks

    if method.kind == "masked":
        try:
            read_masks((), bench.reward)
        except ValueError as error:
            return str(error)
    if method.kind == "best-of":
        n, pool = bench.draws(method), pool_size(bench.pieces)
        if n * FEWEST > pool:
            return f"n={n:,}: expected at most {pool // FEWEST:,}, an {FEWEST}th of the pool drawn"
    return ""


def difference(before: TrainConfig, now: TrainConfig) -> str:
    """'name 1, not 2' of the first setting that differs, wherever the runs are; '' if none."""
    then = as_flags(before)
    for name, value in as_flags(now).items():
        if name not in ("runs", "name") and then[name] != value:
            pair = (then[name], value)
            words = [" ".join(v) if isinstance(v, tuple) else str(v) for v in pair]
            told = "pieces" if name == "eval_pieces" else name
            return f"{told} {words[0] or 'empty'}, not {words[1] or 'empty'}"
    return ""


def open_folder(bench: Bench, methods: Sequence[Method], seeds: int) -> None:
    """Begin a folder, or see that one was begun with the same settings.

    Raises:
        ValueError: it was begun with others, the prior, a reward or a preset has changed since, or
            it is no benchmark and not empty.
    """
    from agents.benchmarking.methods import training
    from agents.runs.directory import Run
    from agents.runs.run_lock import only_begun
    from pretrained.checkpoint import locate

    out, settings = bench.out, bench.out / "settings"
    if not (settings / "config.toml").is_file():
        if only_begun(settings):
            shutil.rmtree(settings)  # stopped before the first file
        commands.new_directory(out)
        Run.create(bench.base)
    run = Run(settings)
    if told := difference(run.config, bench.base):
        raise ValueError(
            f"{out} is a benchmark begun with {told}; give what it was begun with, or name "
            "another folder"
        )
    if not (settings / "provenance.json").is_file():
        run.write_provenance(locate(bench.base.prior), bench.reward)
    check_unchanged(bench)
    for method in methods:
        for seed in range(seeds):
            trained = bench.folder(method.name, seed) / "run" / "config.toml"
            if (trained.parents[1] / FINISHED).is_file() and trained.is_file():
                now = training(bench.base, method, seed, trained.parents[1])
                if told := difference(read_toml(trained), now):
                    raise ValueError(
                        f"{trained.parents[1]} was trained with {told}; the preset has changed, "
                        "remove that cell or name another folder"
                    )


# -- the command -----------------------------------------------------------------------------------


def benchmark(config: BenchmarkConfig) -> int:
    """Make what is missing, write the report. Returns 1 if a cell failed, 130 if stopped."""
    import torch

    from agents.benchmarking import benchmark_report as report
    from agents.benchmarking.methods import Bench, default_methods
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
            failed = run_cells(config.out, methods, config.seeds, config.jobs)
        except KeyboardInterrupt:
            print("\nstopped; finished cells stay, the same command goes on", file=sys.stderr)
            return 130
        report.write(config.out, default_methods(), failed, left_out)
    print(f"{config.out / 'report.md'}: {len(failed)} cells failed")
    return 1 if failed else 0


def main() -> None:
    """Command line."""
    if sys.argv[1:2] == ["--cell"]:  # not for people
        threading.Thread(target=_end_with_input, daemon=True).start()
        out, name, seed = sys.argv[2:]
        commands.run(lambda: make_cell(Path(out), name, int(seed)))
    commands.run(lambda: benchmark(commands.parse(BenchmarkConfig, "benchmark", __doc__)))


if __name__ == "__main__":
    main()
