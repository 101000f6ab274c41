"""Pieces that masked diffusion draws on an empty page, by the way in which it fills them.

    python -m tests.tools.free_pieces --pieces 200

The page is eight bars of 4/4 in C major. Printed are nats per token under a
prior that judges, the share of cells with an onset, the edit distance of two pieces, the share of
bars that repeat the one two or four bars before, the share of last notes on the tonic, and seconds
of processor a piece; of windows of held-out tunes too.
"""

import argparse
import time

import numpy as np
import torch

from envs.music.codec import FIRST_PITCH
from envs.music.score import Score
from envs.music.task import Task
from pretrained.checkpoint import load_model
from pretrained.corpora.folk import load_corpus
from pretrained.diffusion.unmasking import ORDERS, Way
from pretrained.prior import Prior, sample
from rewards.measures.diversity import edit_distance
from rewards.measures.hidden_bars import windows

TASK = Task(bars=8)  # of 4/4 in C major


def repeats(tokens):
    """Return the share of bars with a note that equal the one two or four bars before."""
    bars = tokens[:, 0].reshape(len(tokens), -1, TASK.bar_cells)
    same = [(bars[:, n:] == bars[:, :-n]).all(axis=2) for n in (2, 4)]
    found = np.zeros(bars.shape[:2], bool)
    found[:, 2:] |= same[0]
    found[:, 4:] |= same[1]
    return float(found[:, 2:].mean())


def row(name, score, judges, seconds):
    """Return a line of figures."""
    tokens = score.tokens
    onset = float((tokens >= FIRST_PITCH).mean())
    apart = edit_distance(score, np.random.default_rng(0))
    pitch = np.where(score.onset, score.pitch, -1)[:, 0]
    last = [line[line >= 0][-1] % 12 if (line >= 0).any() else -1 for line in pitch]
    home = float(np.mean(np.array(last) == score.task.key.pitch_class))
    nats = "".join(f"{-judge.log_prob(score).mean():>10.3f}" for judge in judges)
    return (
        f"{name:<30}{nats}{onset:>9.3f}{apart:>8.3f}{repeats(tokens):>9.3f}{home:>8.3f}"
        f"{seconds / score.batch:>8.3f}"
    )


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="diffusion", help="name or path of a checkpoint")
    parser.add_argument("--judges", nargs="+", default=["melody", "melody-1"])
    parser.add_argument("--pieces", type=int, default=200)
    parser.add_argument("--calls", type=int, default=64)
    parser.add_argument("--orders", nargs="+", default=list(ORDERS), choices=ORDERS)
    parser.add_argument("--remask", type=float, nargs="+", default=[0.0, 0.5])
    parser.add_argument("--temperature", type=float, nargs="+", default=[1.0])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    judges = [load_model(name) for name in options.judges]
    heads = "".join(f"{name:>10}" for name in options.judges)
    print(f"{'':<30}{heads}{'onsets':>9}{'apart':>8}{'repeats':>9}{'tonic':>8}{'CPU s':>8}")
    tunes = [g.score for g in windows(load_corpus().select("test")) if g.score.task == TASK]
    if tunes:
        print(row(f"{tunes[0].batch} held-out tunes", tunes[0], judges, 0.0))
    model = load_model(options.model)
    page = Score.page(TASK, 1)
    if isinstance(model, Prior):
        began = time.process_time()
        score = sample(model, page.take(np.zeros(options.pieces, int)), options.seed)
        print(row("from left to right", score, judges, time.process_time() - began))
        return
    for order in options.orders:
        for remask in options.remask:
            for temperature in options.temperature:
                way = Way(options.calls, order, remask)
                began = time.process_time()
                score = model.fill(page, options.pieces, options.seed, temperature, way)
                spent = time.process_time() - began
                name = f"{order}, remask {remask:g}, temperature {temperature:g}"
                print(row(name, score, judges, spent), flush=True)


if __name__ == "__main__":
    main()
