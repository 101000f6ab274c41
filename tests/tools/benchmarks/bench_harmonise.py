"""Harmonisations of sopranos that the prior never saw, beside Bach's own of the same.

python -m tests.tools.benchmarks.bench_harmonise --prior chorale -n 100

Of the held-out chorales, each in turn, the soprano is given with key and phrases; after all of them
the next seed follows. Counted are the grade of Fang et al. (2020) against the chorales that the
prior learned from, parallel fifths and octaves per 1,000 pairs of voices that move, and nats per
frame of all four voices under `--heard`.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from agents.composing.parts.harmonise import Harmonisation, choir
from envs.music.piece import Piece
from envs.music.score import Score
from pretrained.checkpoint import load_once
from pretrained.corpora.chorales import load_chorales
from rewards.measures.chorale_grade import ChoraleGrader
from rewards.measures.voice_leading import VoiceLeading, voice_leading


class Row(NamedTuple):
    """Figures of a chorale."""

    features: dict[str, float]
    counts: VoiceLeading
    nats: float
    seconds: float = 0.0


def row_of(score, grader, heard, seconds=0.0):
    plain = Score(score.tokens, replace(score.task, given=()))
    counts = voice_leading(plain)
    nats = -float(heard.log_prob(plain).sum()) / plain.task.cells
    features = grader.features(plain)
    return Row(features, counts, nats, seconds)


def tell(name, rows):
    counts = sum((row.counts for row in rows), VoiceLeading())
    rates = counts.rates()
    grades = [sum(row.features.values()) for row in rows]
    print(
        f"{name}: {len(rows)} chorales, grade median {np.median(grades):.2f} "
        f"(sd {np.std(grades):.2f}); per 1,000 moving pairs parallel fifths "
        f"{rates['parallel fifths per 1,000 moving pairs']:.2f}, octaves "
        f"{rates['parallel octaves per 1,000 moving pairs']:.2f} ({counts.moving:,} pairs, "
        f"{counts.moving / counts.bars:.1f} a bar); "
        f"{np.mean([row.nats for row in rows]):.3f} nats per frame; "
        f"{8 * sum(row.seconds for row in rows) / counts.bars:.2f} CPU s for 8 bars"
    )
    medians = {key: np.median([row.features[key] for row in rows]) for key in rows[0].features}
    print("  " + ", ".join(f"{key} {value:.2f}" for key, value in medians.items()), flush=True)


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--prior", default="chorale", help="plain for the style that ships")
    flags.add_argument("--heard", default="", help="prior that tells nats; --prior if empty")
    flags.add_argument("-n", type=int, default=100)
    flags.add_argument("--first", type=int, default=0, help="leave out so many")
    flags.add_argument("--temperature", type=float, default=1.0)
    flags.add_argument("--given", default="soprano")
    flags = flags.parse_args()
    chorales = load_chorales()
    held = chorales.select("test") + chorales.select("valid")
    grader = ChoraleGrader([chorale.score for chorale in chorales.select("train")])
    composer = choir("" if flags.prior == "plain" else flags.prior)
    heard = load_once(flags.heard or flags.prior)
    rows, bach, asked = [], {}, 0
    for number in range(flags.first, flags.n):
        seed, index = divmod(number, len(held))
        chorale, asked = held[index], asked + 1
        source = Harmonisation(Piece(chorale.score), [flags.given])
        clock = time.process_time()
        try:
            request = source.request(seed=seed + 1, temperature=flags.temperature)
            found = composer.compose(request)[0].score
        except ValueError as error:
            print(f"{chorale.name}: {error}", flush=True)
            continue
        rows.append(row_of(found, grader, heard, time.process_time() - clock))
        bach[index] = bach.get(index) or row_of(chorale.score, grader, heard)
        if asked % 10 == 0 or number + 1 == flags.n:
            print(f"served {len(rows)} of {asked}")
            tell("harmonised", rows)
            tell("Bach", list(bach.values()))


if __name__ == "__main__":
    main()
