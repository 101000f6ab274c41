"""Hidden bars of held-out tunes: what hearing the bars behind them is worth to a prior.

    python -m tests.tools.infilling --prior melody
    python -m tests.tools.infilling --prior diffusion

Bars 3-4, or 5-6, of eight are hidden, in windows of held-out tunes with bars of 16 cells. Printed
are the nats per token of the true bars, with the bars before them alone and with those on both
sides; and how the bars fit that are drawn in their place. A joint is the interval, and the time,
from the last note on one side of an end of the hidden bars to the first on the other. Its nats are
those of trigrams counted on the training tunes, which know neither network. The share of drawn
pieces whose two joints are together as likely as the original's would be about a half if they were
drawn as the originals were. Intervals are 95% of a bootstrap over tunes.

An infiller of any order always hears both sides: its two figures are those of random orders and of
writing order. Of a prior also the likeliest of some pieces is measured, which are drawn from the
left, and chosen by the likelihood of all that follows.
"""

import argparse

import numpy as np
import torch

from envs.music.codec import UNWRITTEN
from envs.music.score import Score
from pretrained.checkpoint import load_model
from pretrained.corpora.folk import load_corpus
from pretrained.diffusion.masked_diffusion import generators
from pretrained.diffusion.unmasking import schedule
from pretrained.prior import Prior, hears_ahead
from rewards.measures import hidden_bars
from rewards.measures.hidden_bars import BARS, HIDDEN, Joints, nats_beside, windows

ORDERS = ("random", "forward")  # of an infiller
RESAMPLES = 2000
MANY = 16  # draws of which the likeliest is measured


def nats_of_hidden(prior, group, bars):
    """Return nats per token (N, 2) of the true bars: with the bars before, and with all others.

    Of an infiller: in random orders, and in writing order.
    """
    start, end = group.hidden(bars)
    if not isinstance(prior, Prior):
        cells, rng = np.arange(start, end), np.random.default_rng(0)
        tables = [schedule(cells, len(cells), order, rng) for order in ORDERS]
        nats = [prior.nats_in(group.score, table)[:, 0, start:end] for table in tables]
        return -np.stack([each.mean(axis=1) for each in nats], axis=1)
    alone = prior.log_prob(group.score)[:, 0, start:end]
    return np.stack([-alone.mean(axis=1), nats_beside(prior, group, bars)], axis=1)


def drawn(prior, group, bars, draws, seed, hears):
    """Return pieces (N * draws, T) whose hidden bars are drawn, from both sides or the left."""
    if isinstance(prior, Prior):
        return hidden_bars.drawn(prior, group, bars, draws, seed, hears)
    start, end = group.hidden(bars)
    page = np.repeat(group.score.tokens, draws, axis=0).astype(np.int64)
    page[..., start:end] = UNWRITTEN
    *_, filled = prior.drafts(page, group.score.task, generators(seed, len(page)))
    return filled[:, 0]


def joints_of(prior, judge, group, bars, draws, seed):
    """Return nats (N, pieces, 2, 2): of the original, of draws that hear, and of others if any."""
    ends, pickup = group.hidden(bars), group.score.task.pickup
    lines = [group.score.tokens[:, 0]]
    writes = isinstance(prior, Prior)
    for hears in (True, False) if writes else (True,):
        pieces = drawn(prior, group, bars, draws, seed, hears)
        lines += list(pieces.reshape(-1, draws, pieces.shape[1]).transpose(1, 0, 2))
    if writes:
        pieces = drawn(prior, group, bars, MANY, seed + 1, False)[:, None]
        likely = prior.log_prob(Score(pieces, group.score.task))[:, 0, ends[0] :].sum(axis=1)
        best = likely.reshape(-1, MANY).argmax(axis=1)
        lines.append(pieces.reshape(len(best), MANY, -1)[np.arange(len(best)), best])
    nats = [[judge.nats(line, ends, pickup) for line in version] for version in lines]
    return np.array(nats).transpose(1, 0, 2, 3)


# -- the table -------------------------------------------------------------------------------------


def interval(figure, tunes, rng):
    """Return the 95% interval of a figure of rows, drawn anew tune by tune.

    Args:
        figure: returns a number for the numbers of some rows.
        tunes: (N,) of the rows.
        rng: draws.
    """
    by_tune = [np.flatnonzero(tunes == tune) for tune in np.unique(tunes)]
    figures = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(by_tune), len(by_tune))
        figures.append(figure(np.concatenate([by_tune[n] for n in chosen])))
    return np.quantile(figures, (0.025, 0.975))


def measured(prior, groups, judge, bars, draws=4, seed=0):
    """Return lines of figures of one place of the hidden bars."""
    rng = np.random.default_rng(seed)
    tunes = np.concatenate([group.tunes for group in groups])
    nats = np.concatenate([nats_of_hidden(prior, group, bars) for group in groups])
    joints = np.concatenate([joints_of(prior, judge, g, bars, draws, seed) for g in groups])

    def gain(rows):
        left, both = nats[rows].mean(axis=0)
        return 100 * (1 - both / left)

    left, both = nats.mean(axis=0)
    writes = isinstance(prior, Prior)
    names = ("left", "both sides") if writes else ("random order", "writing order")
    low, high = interval(gain, tunes, rng)
    lines = [
        f"bars {bars[0]}-{bars[1]} of {BARS}, {len(tunes)} windows of {len(set(tunes))} tunes",
        f"  nats per token: {names[0]} {left:.4f}, {names[1]} {both:.4f}: "
        f"{gain(np.arange(len(tunes))):.1f}% better ({low:.1f} to {high:.1f})",
    ]
    known = ~np.isnan(joints).any(axis=(1, 2, 3))
    tunes, joints = tunes[known], joints[known]
    whole = joints.sum(axis=(2, 3))
    likely = whole <= whole[:, :1] + 1e-9  # nats: fewer are likelier
    kinds = {"original": slice(1), "heard": slice(1, 1 + draws)}
    if writes:
        kinds |= {"unheard": slice(1 + draws, -1), "likeliest": slice(-1, None)}
    for name, columns in kinds.items():
        (a, b), (c, d) = joints[:, columns].mean(axis=(0, 1))
        share = likely[:, columns].mean(axis=1)
        low, high = interval(lambda rows, s=share: s[rows].mean(), tunes, rng)
        lines.append(
            f"  {name:9} in: interval {a:.2f}, time {b:.2f}; out: interval {c:.2f}, time {d:.2f}; "
            f"as likely: {share.mean():.3f} ({low:.3f} to {high:.3f})"
        )
    return lines


def main():
    """Measure a prior and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prior", default="melody", help="name or path of a checkpoint")
    parser.add_argument("--splits", nargs="+", default=["test"], choices=("test", "valid"))
    parser.add_argument("--draws", type=int, default=4, help="of the hidden bars of each window")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    prior, corpus = load_model(options.prior), load_corpus()
    if not hears_ahead(prior):
        print(f"{options.prior} does not hear what is given ahead")
    groups = list(windows([tune for name in options.splits for tune in corpus.select(name)]))
    judge = Joints(corpus.select("train"))
    for bars in HIDDEN:
        print("\n".join(measured(prior, groups, judge, bars, options.draws, options.seed)))


if __name__ == "__main__":
    main()
