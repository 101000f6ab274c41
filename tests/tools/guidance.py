"""Search by a reward in masked diffusion, and in a prior that writes from left to right.

    python -m tests.tools.guidance --pieces 64

The reward is that of RLTuner-v0 without its prior term, the page its two bars. Diffusion is guided
with so many network calls a piece; then best-of-n, particles and regeneration search with a prior
for as many seconds of processor a piece. Particles are written together, and drawn anew by
exp(reward / c) where few count; regeneration writes the end of a piece anew from a cell drawn at
random, and keeps it with the probability min(1, exp(gain / c)) (Metropolis & Hastings). Printed are
mean reward, nats per token under the judge, edit distance of two pieces, and seconds a piece.
"""

import argparse
import time

import numpy as np
import torch

from agents.composing.infilling.guidance import Guidance, guided
from agents.composing.search import best_of
from agents.settings.config import TrainConfig
from envs.music.score import Score
from envs.music.task import Task
from pretrained.checkpoint import load_model
from pretrained.prior import draw, sample
from rewards.build import build
from rewards.measures.diversity import edit_distance
from rewards.objective import PRIOR, Objective

TRIED = 16  # size of a search by which its speed is measured


def rules():
    """Return the reward of the benchmark without its prior term."""
    terms = {name: weight for name, weight in TrainConfig().terms.items() if name != PRIOR}
    return build(terms)


def paid(reward, score):
    """Return what a reward pays for each finished piece (B,)."""
    return reward(score).sum(axis=(1, 2), dtype=np.float64)


def particles(prior, reward, task, pieces, size, c, seed):
    """Return one of `size` particles for each piece, by their weights."""
    found, rng = [], torch.Generator().manual_seed(seed)
    for _ in range(pieces):
        score, state = Score.page(task, size), prior.start(task, size)
        weight = np.zeros(size)
        while not score.finished:
            logits, state = prior.step(state, score)
            score = score.write(draw(logits, rng).numpy())
            newest = sum(term.newest(score) for term in reward.terms.values())
            weight = weight + np.asarray(newest, np.float64) / c
            share = np.exp(weight - weight.max())
            share /= share.sum()
            if score.finished or 1 / (share**2).sum() < size / 2:
                place = (np.arange(size) + torch.rand(1, generator=rng).item()) / size
                rows = np.searchsorted(np.cumsum(share), place).clip(max=size - 1)
                score, weight = score.take(rows), np.zeros(size)
                if not score.finished:
                    state = prior.take(state, torch.from_numpy(rows))
        found.append(score.tokens[:1])
    return Score(np.concatenate(found), task)


def regenerated(prior, reward, task, pieces, size, c, seed):
    """Return pieces whose ends were written anew `size` times."""
    rng, cut = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    score = sample(prior, Score.page(task, pieces), rng)
    worth = paid(reward, score)
    for _ in range(size):
        page = Score(score.tokens, task, written=int(cut.integers(task.steps)))
        blank = page.tokens.copy()
        blank[..., page.n_written :] = -1
        other = sample(prior, Score(blank, task, written=page.n_written), rng)
        new = paid(reward, other)
        taken = np.log(cut.random(pieces)) < (new - worth) / c
        tokens = np.where(taken[:, None, None], other.tokens, score.tokens)
        score, worth = Score(tokens, task), np.where(taken, new, worth)
    return score


def bests(prior, reward, task, pieces, size, c, seed):
    """Return for each piece the best of `size`."""
    return best_of(prior, Score.page(task, pieces), reward, size, seed).score


def row(name, score, reward, judge, seconds):
    """Return a line of figures."""
    nats = -judge.log_prob(score).mean()
    apart = edit_distance(score, np.random.default_rng(0))
    return (
        f"{name:<34}{paid(reward, score).mean():>8.2f}{nats:>8.3f}{apart:>8.3f}"
        f"{seconds / score.batch:>9.3f}"
    )


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="diffusion", help="name or path of a checkpoint")
    parser.add_argument("--prior", default="folk", help="that writes from left to right")
    parser.add_argument("--judge", default="folk")
    parser.add_argument("--pieces", type=int, default=64)
    parser.add_argument("--calls", type=int, default=256)
    parser.add_argument("-c", type=float, nargs="+", default=[2.0], help="divides the reward")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--warm", type=float, default=Guidance.warm)
    parser.add_argument("--alone", action="store_true", help="only the guided diffusion")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task, reward, judge = Task(), rules(), load_model(options.judge)
    model, prior = load_model(options.model), load_model(options.prior)
    print(f"{'':<34}{'reward':>8}{'nats':>8}{'apart':>8}{'CPU s':>9}")
    for c in options.c:
        settings = Guidance(calls=options.calls, warm=options.warm)
        began = time.process_time()
        found = guided(
            model,
            Score.page(task, 1),
            Objective(reward, c).scaled,
            options.pieces,
            options.seed,
            options.temperature,
            settings,
        )
        spent = time.process_time() - began
        name = f"guided, {options.calls} calls, c={c:g}"
        print(row(name, found.score, reward, judge, spent), flush=True)
        if options.alone:
            continue
        for way in (bests, particles, regenerated):
            began = time.process_time()
            way(prior, reward, task, options.pieces, TRIED, c, options.seed)
            one = (time.process_time() - began) / TRIED
            size = max(1, round(spent / one))
            began = time.process_time()
            score = way(prior, reward, task, options.pieces, size, c, options.seed + 1)
            name = f"{way.__name__}, {size}, c={c:g}"
            print(row(name, score, reward, judge, time.process_time() - began), flush=True)


if __name__ == "__main__":
    main()
