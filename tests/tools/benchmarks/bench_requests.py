"""Melodies asked for at random: are the demands met, kept, and are they no copies?

    python -m tests.tools.benchmarks.bench_requests            # 1,000 requests
    python -m tests.tools.benchmarks.bench_requests --n 50 --prior melody

Each request draws a key, a mode, a metre, a length, a range and perhaps a pickup, and demands six
rules. What comes back is judged anew.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import tyro

from agents.composing.composer import PRIOR, STYLE
from agents.composing.demands import best_kept
from envs.music.key import Key
from envs.music.score import Score
from envs.music.task import Task
from pretrained import load
from rewards.build import build
from rewards.measures.novelty import novelty
from rewards.sum import RewardSum

MUST = ("in_key", "leap_size", "leap_recovery", "repeated_notes", "cadence", "final_tonic")
TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MODES = (
    *("major", "minor", "harmonic minor", "melodic minor", "dorian", "phrygian", "lydian"),
    *("mixolydian", "locrian", "major pentatonic", "minor pentatonic", "blues"),
)
METERS = ("2/4", "3/4", "4/4", "6/8", "9/8", "12/8", "5/4", "7/8")
BARS = (2, 4, 6, 8, 12, 16, 24, 32)


@dataclass(frozen=True)
class Requests:
    """Settings of the benchmark.

    Attributes:
        n: requests.
        seed: of the requests and of the draws.
        prior: the network that writes.
        candidates: drawn for each melody.
    """

    n: int = 1000
    seed: int = 0
    prior: str = "melody"
    candidates: int = 4


def request(rng: np.random.Generator) -> Task:
    """A task that a composer might set."""
    low = int(rng.integers(50, 68))
    meter = str(rng.choice(METERS))
    task = Task(
        key=Key.parse(f"{rng.choice(TONICS)} {rng.choice(MODES)}"),
        meter=meter,
        bars=int(rng.choice(BARS)),
        low=low,
        high=low + int(rng.integers(12, 25)),
    )
    pickup = task.beat_cells if rng.random() < 0.25 else 0
    return Task(task.key, task.meter, task.bars, task.low, task.high, pickup=pickup)


def kept(score: Score, demands: RewardSum) -> bool:
    """True if finished pieces break none of the demands, computed on a new score."""
    whole = Score(score.tokens.copy(), score.task)
    return not any((np.asarray(term.fn(whole)) > 0).any() for term in demands.terms.values())


def main() -> None:
    """Ask, count, print."""
    config = tyro.cli(Requests, description=__doc__)
    rng = np.random.default_rng(config.seed)
    network = load(config.prior)
    reward = build(STYLE | {"prior": {"weight": STYLE["prior"], "checkpoint": PRIOR}})
    demands = build(dict.fromkeys(MUST, 1.0))
    met = good = copies = 0
    unmet: Counter[str] = Counter()
    seconds = []
    for number in range(config.n):
        task = request(rng)
        began = time.perf_counter()
        try:
            found = best_kept(
                network, Score.page(task, 1), demands.terms, reward, 1, config.candidates, number
            )
        except ValueError as error:
            unmet[f"{task.key.mode}: {str(error)[:160]}"] += 1
            continue
        finally:
            seconds.append(time.perf_counter() - began)
        met += 1
        good += kept(found.score, demands)
        copies += novelty(found.score)[0].near_copy
    print(f"{config.n} requests, six demands each: {', '.join(MUST)}")
    print(
        f"met {met} ({100 * met / config.n:.1f}%); of these {good} keep all; near-copies {copies}"
    )
    print(f"seconds a request: median {np.median(seconds):.2f}, most {max(seconds):.1f}")
    for text, count in unmet.most_common(20):
        print(f"{count:5}  {text}")


if __name__ == "__main__":
    main()
