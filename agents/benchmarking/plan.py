"""The plan of a benchmark: its methods, and the folder that they go on in."""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from agents.benchmarking import families
from agents.benchmarking.bench import FEWEST, Bench, pool_size
from agents.benchmarking.benchmark_methods import (
    BenchMethod,
    default_methods,
    find_method,
    training,
)
from agents.benchmarking.cells import MODEL, check_unchanged
from agents.benchmarking.limits import pool_size_for
from agents.benchmarking.results import FINISHED, folder_of
from agents.composing.masks import read_masks
from agents.evaluating.limit import FEWEST as FEWEST_EFFECTIVE
from agents.evaluating.pool import require_fixed
from agents.runs.directory import Run
from agents.runs.run_lock import only_begun
from agents.settings.commands import new_directory
from agents.settings.config import TrainConfig, as_flags
from envs.durable_files import read_facts, sha256
from pretrained.checkpoint import locate
from rewards.adaptive.windows import real_parts


def choose(names: Sequence[str], bench: Bench) -> tuple[list[BenchMethod], list[str]]:
    """Return the methods asked for; or all that this objective allows, and why others are left out.

    Raises:
        ValueError: a method that is unknown, asked for twice or impossible, or without the one
            whose cells it needs.
    """
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


def obstacle(method: BenchMethod, bench: Bench) -> str:
    """Return why a method cannot have this objective and number of pieces; '' if it can."""
    if method.kind == "masked":
        try:
            read_masks((), bench.reward)
        except ValueError as error:
            return str(error)
    try:
        if method.kind == "fill":
            families.infiller(method.model, bench.task)
        if method.kind == "decode":
            families.decoder(method.model, bench.task)
        if method.kind == "search":
            families.searched(method.model, method.search, bench.task)
        if method.kind == "limit":
            require_fixed(bench.reward)
        if method.adversary:
            real_parts(bench.task)
    except (ValueError, OSError) as error:
        return str(error)
    if method.kind == "limit":
        cells, size = int(bench.task.free.sum()), pool_size_for(bench.pieces)
        needed = FEWEST_EFFECTIVE * math.exp(min(99.0, method.budget * cells))
        if needed > size:
            return f"a limit at this KL needs about {needed:,.0f} pieces of the prior, not {size:,}"
    if method.kind == "best-of":
        n, pool = bench.draws(method), pool_size(bench.pieces)
        if n * FEWEST > pool:
            return f"n={n:,}: expected at most {pool // FEWEST:,}, an {FEWEST}th of the pool drawn"
    return ""


def difference(before: TrainConfig, now: TrainConfig) -> str:
    """Return 'name 1, not 2' of the first setting that differs, the folder aside; '' if none."""
    then = as_flags(before)
    for name, value in as_flags(now).items():
        if name not in ("runs", "name") and then[name] != value:
            pair = (" ".join(v) if isinstance(v, tuple) else str(v) for v in (then[name], value))
            old, new = (words or "empty" for words in pair)
            return f"{'pieces' if name == 'eval_pieces' else name} {old}, not {new}"
    return ""


def open_folder(bench: Bench, methods: Sequence[BenchMethod], seeds: int) -> None:
    """Begin a folder, or see that one was begun with the same settings.

    Raises:
        ValueError: it was begun with others, the prior, a reward or a preset has changed since, or
            it is no benchmark and not empty.
    """
    out, settings = bench.out, bench.out / "settings"
    if not (settings / "config.toml").is_file():
        if only_begun(settings):
            shutil.rmtree(settings)  # stopped before the first file
        new_directory(out)
        Run.create(bench.base)
    run = Run(settings)
    if other := difference(run.config, bench.base):
        raise ValueError(
            f"{out} is a benchmark begun with {other}; give what it was begun with, or name "
            "another folder"
        )
    if not run.provenance_file.is_file():
        run.write_provenance(locate(bench.base.prior), bench.reward)
    check_unchanged(bench)
    for method, seed in itertools.product(methods, range(seeds)):
        cell = folder_of(out, method.name, seed)
        trained, finished = cell / "run", cell / FINISHED
        if finished.is_file() and method.model:
            _require_model(method, finished)
        if finished.is_file() and (trained / "config.toml").is_file():
            now = training(bench.base, method, seed, cell)
            if other := difference(Run(trained).config, now):
                raise ValueError(
                    f"{cell} was trained with {other}; the preset has changed, remove that cell "
                    "or name another folder"
                )


def _require_model(method: BenchMethod, finished: Path) -> None:
    """Raise ValueError if a cell was made with another file of a method's model."""
    if read_facts(finished).get(MODEL) != sha256(locate(method.model)):
        raise ValueError(
            f"{finished.parent} was made with another file of {method.model!r}; remove that cell "
            "or name another folder"
        )
