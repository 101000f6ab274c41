"""Melodies asked for at random: is what is asked for met, kept, and no copy?

    python -m tests.tools.benchmarks.bench_requests                       # 200 requests of a form
    python -m tests.tools.benchmarks.bench_requests --policy melody
    python -m tests.tools.benchmarks.bench_requests --ask rules --n 1000  # six rules demanded

A form is asked for with a key, chords, a metre, a length, and perhaps a pickup; what comes back is
judged from its notes, without the rules' code. Requests of rules are judged by the rules, anew.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tyro

from agents.composing import Composer, Melody
from envs.music.task import Task
from rewards.build import build
from tests.asked_for import departures, foreign_to_chords, foreign_to_key

MUST = ("in_key", "leap_size", "leap_recovery", "repeated_notes", "cadence", "final_tonic")
TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MODES = (
    *("major", "minor", "harmonic minor", "melodic minor", "dorian", "phrygian", "lydian"),
    *("mixolydian", "locrian", "major pentatonic", "minor pentatonic", "blues"),
)
METERS = ("2/4", "3/4", "4/4", "6/8", "9/8", "12/8", "5/4", "7/8")
BARS = (2, 4, 6, 8, 12, 16, 24, 32)
PLANS = ("AABA", "ABAC", "A{} A'{}", "ABA'C")
# Progressions in major and minor, as semitones of the root above the tonic and the kind of chord.
MAJOR = ("0 5 7 0", "0 9m 5 7", "0 | 5 7 | 0 | 2m 7", "0 2m 7 0", "0 | 9m 2m | 5 7 | 0", "0")
MINOR = ("0m 5m 7 0m", "0m 8 3 10", "0m | 5m 7 | 0m | 8 7", "0m 10 8 7", "0m")


@dataclass(frozen=True)
class Requests:
    """Settings of the benchmark.

    Attributes:
        n: requests.
        seed: of the requests and of the draws.
        policy: the network that writes.
        candidates: drawn for each melody.
        ask: for a form with key and chords, or for six rules.
    """

    n: int = 200
    seed: int = 0
    policy: str = "composer"
    candidates: int = 8
    ask: Literal["form", "rules"] = "form"


def rules(rng: np.random.Generator) -> dict[str, Any]:
    """A key, a metre, a length and a range, in which six rules are demanded."""
    low = int(rng.integers(50, 68))
    asked: dict[str, Any] = {"meter": str(rng.choice(METERS))}
    asked["key"] = f"{rng.choice(TONICS)} {rng.choice(MODES)}"
    asked |= {"bars": int(rng.choice(BARS)), "low": low, "high": low + int(rng.integers(12, 25))}
    pickup = Task(**asked).beat_cells if rng.random() < 0.25 else 0
    return asked | {"pickup": pickup, "must": MUST}


def form(rng: np.random.Generator) -> dict[str, Any]:
    """A form with a key and chords, in which each phrase has the chords of its first bars."""
    tonic = int(rng.integers(12))
    minor = rng.random() < 0.4
    modes = ("minor", "harmonic minor", "dorian") if minor else ("major", "mixolydian", "lydian")
    mode = modes[rng.choice(3, p=[0.6, 0.2, 0.2])]
    plan, length = str(rng.choice(PLANS)), int(rng.choice([1, 2, 3, 4, 4, 8]))
    parts = 2 if "{" in plan else 4
    asked: dict[str, Any] = {"meter": str(rng.choice(METERS)), "bars": max(4, parts * length)}
    if "{" in plan:
        other = asked["bars"] // 2
        longer = int(rng.integers(0, 2))
        plan, asked["bars"] = plan.format(other, other + longer), asked["bars"] + longer
    line = str(rng.choice(MINOR if minor else MAJOR))
    asked["chords"] = " ".join(
        word if word == "|" else TONICS[(tonic + int(word.rstrip("m"))) % 12] + "m" * ("m" in word)
        for word in line.split()
    )
    asked |= {"key": f"{TONICS[tonic]} {mode}", "phrases": plan}
    asked["pickup"] = Task(**asked).beat_cells if rng.random() < 0.25 else 0
    return asked


def keeps_form(melody: Melody, asked: dict[str, Any]) -> bool:
    """True if the notes of a melody are what was asked for."""
    notes = [(note.start, note.duration, note.pitch) for note in melody.piece.notes]
    chords = asked["chords"] if "|" in asked["chords"] else asked["chords"].replace(" ", " | ")
    wrong = (
        foreign_to_key(notes, asked["key"]),
        foreign_to_chords(notes, chords, asked["meter"], asked["pickup"]),
        departures(notes, asked["phrases"], asked["bars"], asked["meter"]),
    )
    return bool(notes) and not any(wrong)


def keeps_rules(melody: Melody, asked: dict[str, Any]) -> bool:
    """True if a melody breaks none of the rules, computed anew."""
    demands = build(dict.fromkeys(MUST, 1.0))
    return not any(part.any() for part in demands.breakdown(melody.score[0:1]).values())


ASK: dict[str, tuple[Callable[..., dict[str, Any]], Callable[..., bool]]] = {
    "form": (form, keeps_form),
    "rules": (rules, keeps_rules),
}


def main() -> None:
    """Ask, count, print."""
    config = tyro.cli(Requests, description=__doc__)
    rng, (ask, keeps) = np.random.default_rng(config.seed), ASK[config.ask]
    composer = Composer.load(config.policy)
    _ = composer.compose(bars=2, candidates=1)[0].report.likeness  # loads what there is
    met = good = copies = 0
    unmet: Counter[str] = Counter()
    wall, cpu = [], []
    for number in range(config.n):
        asked = ask(rng)
        began = time.perf_counter(), time.process_time()
        try:
            (melody,) = composer.compose(**asked, seed=number, candidates=config.candidates)
        except ValueError as error:
            unmet[f"{asked}: {str(error)[:200]}"] += 1
            continue
        finally:
            wall.append(time.perf_counter() - began[0])
            cpu.append(time.process_time() - began[1])
        met += 1
        kept = keeps(melody, asked)
        good += kept
        if not kept:
            print(f"not kept: {asked}: {melody}")
        copies += melody.report.likeness.near_copy
        if met % 20 == 0:
            print(f"{number + 1} asked, {met} met, {good} kept, {np.median(cpu):.2f} s", flush=True)
    print(f"{config.n} requests of {config.ask}, drawn from {config.policy}")
    print(
        f"met {met} ({100 * met / config.n:.1f}%); of these {good} keep all; near-copies {copies}"
    )
    for name, seconds in (("by the clock", wall), ("of the processor", cpu)):
        middle, most = np.percentile(seconds, [50, 95])
        print(f"seconds {name}: median {middle:.2f}, 95% {most:.2f}, most {max(seconds):.2f}")
    for text, count in unmet.most_common(20):
        print(f"{count:5}  {text}")


if __name__ == "__main__":
    main()
