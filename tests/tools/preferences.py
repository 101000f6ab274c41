"""Figures of docs/preferences.md: how soon a taste is learned, and what is made of a learned one.

python -m tests.tools.preferences --listeners 20 --pool 20000

Listeners have 6 nonzero weights among the features of 8-bar melodies. Those of Bradley and Terry
answer against their own worth in 20% of random pairs; those who err answer by a coin flip of 20%
whatever the pair. Agreement is that of guesses at new answers, as a share of what the listener's
own weights reach.
"""

import argparse
import time

import numpy as np
import torch

from agents.evaluating.limit import TiltedPrior
from agents.evaluating.pool import Pool, draw_pieces
from agents.preferring.features import Features, feature_spec
from agents.preferring.pairs import choose_pairs
from agents.preferring.taste import (
    SURE,
    Choices,
    before_answers,
    fitted,
    odds,
    sparse,
    told_intervals,
)
from envs.music.score import Score
from envs.music.task import Task
from pretrained.checkpoint import load_once
from tests.agents.preferring.listeners import NOISE, agreement, answers, asked, flipped, taste

TASK = Task(bars=8, low="C4", high="A5")
COUNTS = (20, 50, 100, 150)
ASKED = 1000  # pieces that are asked about; others are guessed
STEP = 10  # answers between two fits
NATS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0)  # KL a piece


def interview(pieces, weights, rng, count, how, answer):
    """Yield the choices of a listener after STEP, 2 STEP, ... answers."""
    known, told, every = before_answers(pieces.shape[1]), None, []
    while told is None or told.size < count:
        if how == "chosen":
            pairs = choose_pairs(pieces[:ASKED], known, STEP, rng, every)
            every += pairs
        else:
            pairs = rng.integers(0, ASKED, (STEP, 2))
        new = asked(pieces, np.array(pairs), weights, rng, answer)
        columns = [vars(told).values(), vars(new).values()] if told else []
        told = Choices(*map(np.concatenate, zip(*columns, strict=True))) if told else new
        if how == "chosen":
            known = fitted(told)
        yield told


def learned(pieces, listeners, how, answer, noise):
    """Return agreement by number of answers, and what intervals hold at 150; means of listeners."""
    rows, held, claims = {count: [] for count in COUNTS}, [], []
    for seed in range(listeners):
        rng = np.random.default_rng(seed)
        weights = taste(pieces, rng)
        for told in interview(pieces, weights, rng, COUNTS[-1], how, answer):
            if told.size not in rows:
                continue
            best = sparse(told, fitted(told))
            rows[told.size].append(agreement(pieces[ASKED:], weights, best.mean, noise))
            if told.size == 150 and noise is None:
                estimates, errors = told_intervals(told, fitted(told), best)
                inside, nonzero = np.abs(estimates - weights) <= errors, weights != 0
                found = odds(best) > SURE
                held.append((inside.mean(), inside[nonzero].mean(), errors.mean()))
                claims.append((found[nonzero].mean(), found[~nonzero].sum(), found.sum()))
    means = {count: (np.mean(row), np.mean(np.array(row) >= 0.9)) for count, row in rows.items()}
    return means, np.mean(held, axis=0) if held else None, np.mean(claims, axis=0) if held else None


def table_of_learning(pieces, listeners):
    print(f"{pieces.shape[1]} features, {listeners} listeners, 6 nonzero weights\n")
    print("| answers | " + " | ".join(map(str, COUNTS)) + " |")
    print("|---|" + "---|" * len(COUNTS))
    for kind, answer, noise in (("odds", answers, None), ("coin", flipped, NOISE)):
        for how in ("random", "chosen"):
            started = time.process_time()
            means, held, claims = learned(pieces, listeners, how, answer, noise)
            cells = [f"{mean:.3f} ({share:.0%})" for mean, share in means.values()]
            print(f"| {kind}, {how} pairs | " + " | ".join(cells) + " |", flush=True)
            if held is not None:
                print(
                    f"<!-- intervals at 150: all {held[0]:.3f}, nonzero {held[1]:.3f}, half width "
                    f"{held[2]:.2f}; told: {claims[0]:.2f} of the nonzero, {claims[1]:.2f} wrong "
                    f"of {claims[2]:.1f}; {time.process_time() - started:.0f} s -->"
                )


def table_of_tuning(score, pieces, listeners):
    """Print the true taste's pay on the prior tilted by a learned one, along the KL to it."""
    print("\n| KL, nats a piece | " + " | ".join(f"{nats:g}" for nats in NATS) + " |")
    print("|---|" + "---|" * len(NATS))
    counts = (20, 50, 150, 500)
    rows = {name: [] for name in ("true", *counts)}
    claimed = {count: [] for count in counts}
    for seed in range(listeners):
        rng = np.random.default_rng(seed)
        weights = taste(pieces, rng)
        worth = pieces @ weights
        rows["true"].append(tilted(score, worth, worth))
        pairs = rng.integers(0, ASKED, (counts[-1], 2))
        told = asked(pieces, pairs, weights, rng)
        for count in counts:
            some = told.take(np.arange(count))
            guess = pieces @ sparse(some, fitted(some)).mean
            rows[count].append(tilted(score, guess, worth))
            claimed[count].append(tilted(score, guess, guess))
    for name, curves in rows.items():
        label = "tuned to the true taste" if name == "true" else f"learned from {name} answers"
        print(f"| {label} | " + " | ".join(f"{v:+.2f}" for v in np.mean(curves, axis=0)) + " |")
    for count, curves in claimed.items():
        values = " | ".join(f"{v:+.2f}" for v in np.mean(curves, axis=0))
        print(f"| what the taste of {count} answers says of itself | {values} |", flush=True)


def tilted(score, guess, worth):
    """Return the gain (len(NATS),) of a worth on the prior tilted by a guess at it."""
    if guess.std() < 1e-9:
        return [0.0] * len(NATS)
    prior = TiltedPrior(Pool(score.task, score.tokens, guess))
    limits = [prior.nearest(nats / prior.pool.cells) for nats in NATS]
    return [float(prior.weights(limit.c) @ worth - worth.mean()) for limit in limits]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=20)
    parser.add_argument("--pool", type=int, default=20_000)
    parser.add_argument("--prior", default="melody")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    tokens = draw_pieces(load_once(chosen.prior), TASK, chosen.pool)
    score = Score(tokens, TASK)
    features = Features.of(score[: 2 * ASKED], feature_spec(TASK, chosen.prior))
    pieces = features.measure(score)
    table_of_learning(pieces[: 2 * ASKED], chosen.listeners)
    table_of_tuning(score, pieces, max(1, chosen.listeners // 2))


if __name__ == "__main__":
    main()
