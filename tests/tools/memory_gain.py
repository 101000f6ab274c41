"""Held-out nats per token with and without a memory of the piece, and the time that it takes.

    python -m tests.tools.memory_gain melody folk       # names or paths of priors of one line

Whole tunes of the test split, as `fit.held_out` reads them.
"""

import sys
import time
from itertools import groupby

import numpy as np
import torch

from envs.music.codec import HOLD
from envs.music.meter import Meter
from envs.music.score import Score
from envs.music.task import Task
from pretrained import load
from pretrained.corpora.folk import load_corpus
from pretrained.corpora.tunes import fits
from pretrained.memory import WithMemory
from pretrained.networks.lens import has_started
from pretrained.prior import ILLEGAL, sample
from pretrained.training.by_bar import by_bar, by_bar_table
from pretrained.training.fit import collate
from pretrained.training.lessons import lesson

TOGETHER = 16  # tunes
DRAWN = 1024, Task(bars=8, meter="2/4")  # pieces of 64 cells


class Known:
    """A prior whose nats (B, T, vocab) are computed already."""

    def __init__(self, codec, nats):
        self.codec, self.nats = codec, nats

    def require(self, task):
        """Accept every task."""

    def start(self, task, batch):
        """Return no state."""

    def step(self, state, score):
        """Return the nats of the next cell."""
        return self.nats[:, score.n_written], None

    def take(self, state, rows):
        """Return no state."""

    def log_prob(self, score):
        """Not asked."""
        raise NotImplementedError


def nats_of(prior, tunes):
    """Return nats without and with a memory, and bars (N,), of every token of tunes of one bar."""
    bar, codec = tunes[0].bar_cells, prior.codec
    tokens, place, real = collate([lesson(tune) for tune in tunes], codec)
    legal = torch.from_numpy(codec.legal(np.array([False, True])))
    with torch.inference_mode():
        logits = prior.net(tokens, place)[0]
        nats = logits.masked_fill(~legal[has_started(tokens).long()], ILLEGAL).log_softmax(-1)
    plain = nats.gather(2, tokens[..., None])[..., 0]
    cells = -(-tokens.shape[1] // bar) * bar
    pad = (0, cells - tokens.shape[1])
    nats = torch.nn.functional.pad(nats, (0, 0, *pad))
    page = torch.nn.functional.pad(tokens, pad, value=HOLD).numpy()[:, None]
    task = Task(bars=cells // bar, meter=Meter(bar, 16), low=codec.low, high=codec.high)
    mixed = WithMemory(Known(codec, nats)).log_prob(Score(page, task))[:, 0, : tokens.shape[1]]
    bars = np.broadcast_to(np.arange(tokens.shape[1]) // bar + 1, tokens.shape)
    return -plain.numpy()[real], -mixed[real], bars[real]


def speed(prior):
    """Return tokens per second of drawing."""
    pieces, task = DRAWN
    began = time.process_time()
    sample(prior, Score.page(task, pieces))
    return pieces * task.cells / (time.process_time() - began)


def main():
    """Print the table."""
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        prior = load(name)
        tunes = sorted(load_corpus().select("test"), key=lambda t: (t.bar_cells, len(t.tokens)))
        parts = []
        for _, group in groupby(
            filter(lambda t: fits(t, prior.codec), tunes), lambda t: t.bar_cells
        ):
            alike = list(group)
            groups = [alike[n : n + TOGETHER] for n in range(0, len(alike), TOGETHER)]
            parts += [nats_of(prior, some) for some in groups]
        plain, mixed, bars = map(np.concatenate, zip(*parts, strict=True))
        rows = {name: plain, f"{name}+memory": mixed}
        print(by_bar_table({name: by_bar(nats, bars) for name, nats in rows.items()}))
        print("nats per token: {:.4f} and {:.4f}".format(*(nats.mean() for nats in rows.values())))
        speeds = [speed(model) for model in (prior, WithMemory(prior))]
        print("tokens/s of CPU time: {:,.0f} and {:,.0f}".format(*speeds))


if __name__ == "__main__":
    main()
