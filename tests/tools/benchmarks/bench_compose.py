"""How long a melody takes that keeps six rules, alone and in thousands.

    python -m tests.tools.benchmarks.bench_compose
    python -m tests.tools.benchmarks.bench_compose --network melody

One 8-bar melody of a loaded network: chosen among 8 candidates, verified, written as MIDI,
MusicXML, ABC and picture. Then 1,000 verified melodies without pictures. The first melody also
pays for imports.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from agents.composing.demands import best_kept, keep
from agents.composing.melody_files import Extras, write_pieces
from agents.composing.request import AGENT, STYLE
from envs.music.score import Score
from envs.music.task import Task
from pretrained import load
from rewards.build import build
from rewards.spec import parse_term

MUST = ("in_key", "leap_size", "leap_recovery", "repeated_notes", "cadence", "final_tonic")


@dataclass(frozen=True)
class Timing:
    """Settings of the benchmark.

    Attributes:
        network: checkpoint that writes.
        many: melodies of the second part.
        repeats: of the first part.
    """

    network: str = AGENT
    many: int = 1000
    repeats: int = 5


def main() -> None:
    """Time and print."""
    config = tyro.cli(Timing, description=__doc__)
    torch.set_num_threads(1)
    network, task = load(config.network), Task(key="G major", bars=8, low="D4", high="B5")
    demands, reward = build(dict.fromkeys(MUST, 1.0)), build(dict(parse_term(t) for t in STYLE))
    page = Score.page(task, 1)
    for seed in range(config.repeats):
        began = time.perf_counter()
        found = best_kept(network, page, demands.terms, reward, 1, 8, seed)
        searched = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            write_pieces(found.score, Path(folder), reward, extras=Extras(copies=True))
        ended = time.perf_counter()
        print(f"one: {searched - began:.2f} s to find, {ended - searched:.2f} s to write")
    began = time.perf_counter()
    kept = keep(network, page, demands.terms, config.many, seed=1)
    print(f"{config.many:,}: {time.perf_counter() - began:.1f} s; {kept}")


if __name__ == "__main__":
    main()
