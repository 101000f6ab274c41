"""Tiny networks that hear what is given ahead, of every architecture, and pages for them."""

from dataclasses import replace

import numpy as np
import torch

from envs.music.codec import UNWRITTEN, Codec
from envs.music.task import Task
from pretrained.networks.architectures import SumPrior, model_named
from tests.helpers import random_pieces

RECURRENT = {"hidden": 12, "embed": 8}
ATTENTION = {"heads": 2, "feed": 8, "window": 11}
SIZES = {
    "lstm": RECURRENT | {"layers": 2},
    "gru": RECURRENT,
    "lstm-attention": RECURRENT | ATTENTION | {"blocks": 2, "head_size": 8},
    "transformer": ATTENTION | {"width": 24, "layers": 2},
}
KINDS = [*SIZES, "sum"]
TASKS = {
    "two voices in G": Task(bars=3, key="G major", low=55, high=79, voices=2),
    "waltz with a pickup": Task(bars=3, meter="3/4", key="Eb major", pickup=4),
    "bars of 8": Task(bars=6, meter="2/4", key="E minor"),
    "bars of 6, three voices": Task(bars=4, meter="3/8", pickup=2, voices=3, low=48, high=88),
}


def hearing(kind, seed=0, ahead=10):
    """Return a prior of random weights, all of which show; a sum is of one that is deaf too."""
    if kind == "sum":
        return SumPrior(hearing("lstm-attention", seed, ahead), hearing("gru", seed + 1, 0))
    model = model_named(kind)
    sizes = model.sizes(vocab=38, lookback=(1, 2), places=6, ahead=ahead, **SIZES[kind])
    torch.manual_seed(seed)
    return model(loud(model.network(sizes)), Codec())


def loud(module):
    """Return a module with random weights that are large enough for all parts to count."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0.0, 0.4)
    return module


def partly_given(task, seed=0, share=0.5):
    """Return a task of which runs of cells, and some cells here and there, are given."""
    rng = np.random.default_rng((seed, 1))
    piece = random_pieces(task, 1, seed).tokens[0].astype(int)
    shown = np.repeat(rng.random((task.voices, -(-task.cells // 5))) < share, 5, axis=1)
    shown = shown[:, : task.cells] ^ (rng.random(piece.shape) < 0.15)
    shown[:, task.cells // 2] = True
    page = np.where(shown, piece, UNWRITTEN)
    for row, known in zip(page, shown, strict=True):
        row[known.argmax()] = task.codec.token(task.low + 5)  # a hold needs a given note before it
    return replace(task, given=tuple(map(tuple, page.tolist())))
