"""Time a melody that is asked for in words, alone, with six rules to keep, and in thousands.

    python -m tests.tools.benchmarks.bench_compose
    python -m tests.tools.benchmarks.bench_compose --name melody

An 8-bar melody chosen among 8 candidates, with its score as SVG and its MIDI: the first one also
pays for imports and for loading, each later one should take less than 0.3 s of an idle core. Then
the same with rules that must be kept, and 1,000 melodies that keep them, without files. Times are
of the clock and of the processor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro

from agents.composing import Composer, Melody, Request
from agents.composing.demands import keep
from envs.music.score import Score
from envs.music.task import Task
from pretrained import load
from rewards.build import build

MUST = ("in_key", "leap_size", "leap_recovery", "repeated_notes", "cadence", "final_tonic")
ASKED = {"key": "G major", "bars": 8, "range": "D4-B5"}


@dataclass(frozen=True)
class Timing:
    """Settings of the benchmark.

    Attributes:
        name: of the composer: a shipped checkpoint, a file or a run directory.
        many: melodies of the last part.
        repeats: of the first parts.
    """

    name: str = "composer"
    many: int = 1000
    repeats: int = 5


def timed(what: str, work: Callable[[], object]) -> None:
    """Do it and print how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what}: {wall:.2f} s, {cpu:.2f} s of processor", flush=True)


def main() -> None:
    """Time and print."""
    config = tyro.cli(Timing, description=__doc__)
    torch.set_num_threads(1)
    composers: list[Composer] = []
    timed("load", lambda: composers.append(Composer.load(config.name)))
    (composer,) = composers

    def compose(seed: int, *must: str) -> Melody:
        (melody,) = composer.compose(Request(**ASKED, seed=seed, must=must))
        melody.svg(), melody.midi()
        return melody

    for seed in range(config.repeats):
        timed("one", lambda seed=seed: compose(seed))
    for seed in range(config.repeats):
        timed("one that keeps six rules", lambda seed=seed: compose(seed, *MUST))
    page = Score.page(Task(key="G major", bars=8, low="D4", high="B5"), 1)
    demands, network = build(dict.fromkeys(MUST, 1.0)).terms, load(config.name)
    timed(f"{config.many:,}", lambda: keep(network, page, demands, config.many, seed=1))


if __name__ == "__main__":
    main()
