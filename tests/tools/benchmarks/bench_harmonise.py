"""Harmonisations of sopranos that the prior never saw, beside Bach's own of the same.

python -m tests.tools.benchmarks.bench_harmonise --prior chorale -n 100

Counted are the grade of Fang et al. (2020) against the chorales that the prior learned from,
parallel fifths and octaves per 1,000 pairs of voices that move, and nats per frame under the prior.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from agents.composing.parts.harmonise import Harmonisation, choir
from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.voices.pairs import pairs
from pretrained.checkpoint import load_once
from pretrained.corpora.chorales import load_chorales
from rewards.measures.chorale_grade import ChoraleGrader
from rewards.rules.voices import parallel_fifths, parallel_octaves


def rates(score):
    """Return parallel fifths and octaves, and pairs of voices of which both move."""
    moving = sum(int(((pair.moves.move * pair.moves.other_move) != 0).sum()) for pair in pairs(score))
    found = [
        sum(int((rule.against(pair) > 0).sum()) for pair in pairs(score))
        for rule in (parallel_fifths, parallel_octaves)
    ]
    return np.array([*found, moving])


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--prior", default="chorale")
    flags.add_argument("-n", type=int, default=100)
    flags.add_argument("--temperature", type=float, default=1.0)
    flags.add_argument("--candidates", type=int, default=8)
    flags.add_argument("--given", default="soprano")
    flags = flags.parse_args()
    chorales = load_chorales()
    held = chorales.select("test") + chorales.select("valid")
    grader = ChoraleGrader([chorale.score for chorale in chorales.select("train")])
    composer, heard = choir(flags.prior), load_once("chorale" if flags.prior == "" else flags.prior)
    rows, bachs, refused = [], {}, []
    for number in range(flags.n):
        seed, index = divmod(number, len(held))
        bach = held[index].score
        source = Harmonisation(
            Piece(bach), [flags.given], changes={"phrases": held[index].task.phrases}
        ) if flags.prior else None
        clock = time.process_time()
        try:
            settings = {"temperature": flags.temperature, "candidates": flags.candidates}
            found = composer.compose(source.request(seed=seed + 1, **settings))[0].score
        except ValueError as error:
            refused.append(f"{held[index].name}: {error}")
            print(refused[-1], flush=True)
            continue
        clock = time.process_time() - clock
        for score, into in ((found, None), (bach, bachs)):
            if into is not None and index in into:
                continue
            plain = Score(score.tokens, replace(score.task, given=()))
            nats = -float(heard.log_prob(plain).sum()) / score.task.cells
            row = (grader.features(plain), rates(plain), nats, clock, score.task.bars)
            rows.append(row) if into is None else into.update({index: row})
        if number % 10 == 9:
            print(number + 1, f"median grade {np.median([sum(r[0].values()) for r in rows]):.2f}", flush=True)
    print(f"served {len(rows)} of {flags.n}, refused {len(refused)}")
    for name, each in (("harmonised", rows), ("Bach", list(bachs.values()))):
        fifths, octaves, moving = sum(row[1] for row in each)
        grades = [sum(row[0].values()) for row in each]
        print(
            f"{name}: {len(each)}, grade median {np.median(grades):.2f} (sd {np.std(grades):.2f}), "
            f"parallel fifths {1000 * fifths / moving:.2f} and octaves {1000 * octaves / moving:.2f} "
            f"per 1,000 of {moving:,} moving pairs ({moving / sum(row[4] for row in each):.1f} a bar), "
            f"{np.mean([row[2] for row in each]):.3f} nats per frame"
        )
        medians = {key: float(np.median([row[0][key] for row in each])) for key in each[0][0]}
        print("  " + ", ".join(f"{key} {value:.2f}" for key, value in medians.items()))
    bars = sum(row[4] for row in rows)
    print(f"{8 * sum(row[3] for row in rows) / bars:.2f} CPU s for 8 bars")


if __name__ == "__main__":
    main()
