"""Pieces of a variational autoencoder, judged by a model of what is likely."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from envs.music.codec import FIRST_PITCH, HOLD, REST
from envs.music.meter import Meter
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.prior import Scorer
from pretrained.variational.latent_model import VariationalModel
from pretrained.variational.vae_fit import Batch
from pretrained.variational.vae_measure import PAIRS, greedy
from pretrained.variational.windows import TuneWindows


def task_of(model: VariationalModel, windows: TuneWindows) -> Task:
    """Return the task of windows that begin at bar lines, in C major."""
    kind = windows.bar, windows.beat
    for name in model.net.shape.metres:
        meter = Meter.parse(name)
        if (meter.bar_cells(model.codec.grid), meter.beat_cells(model.codec.grid)) == kind:
            low, high = model.codec.low, model.codec.high
            return Task(meter=meter, bars=windows.bars, low=low, high=high)
    raise ValueError(
        f"windows of bars of {kind[0]} cells: the model knows {model.net.shape.metres}"
    )


@torch.inference_mode()
def midpoint_figures(
    model: VariationalModel,
    windows: TuneWindows,
    judge: Scorer,
    spherical: bool = False,
    seed: int = 0,
) -> dict[str, float]:
    """Return what pieces half-way between two cost under a judge, beside a splice of the ends.

    midpoint, splice, ends: nats per token of what is decoded half-way, of the first half of one
    decoded end with the second half of the other, and of the decoded ends.
    cheaper: share of the pairs of which the midpoint costs less than the splice.

    Args:
        model: decodes greedily.
        windows: of held-out tunes, that begin at bar lines.
        judge: tells how likely pieces are.
        spherical: go along a great circle and not straight, see `on_the_sphere`.
        seed: of the pairs.
    """
    task, batch = task_of(model, windows), Batch.of(windows, model.codec)
    count = min(PAIRS, len(windows) // 2)
    order = np.random.default_rng(seed).permutation(len(windows))[: 2 * count]
    mean, _ = model.net.encode(batch.tokens, batch.places)
    one, two = mean[order[:count]], mean[order[count:]]
    half = on_the_sphere(one, two, 0.5) if spherical else (one + two) / 2
    places = batch.places[order[:count]]
    ends = [greedy(model.net, z, places, model.codec).numpy() for z in (one, two)]
    middle = greedy(model.net, half, places, model.codec).numpy()
    cut = windows.tokens.shape[1] // 2
    splice = whole(np.concatenate([ends[0][:, :cut], ends[1][:, cut:]], axis=1))
    costs = [
        -judge.log_prob(Score(tokens[:, None], task)).mean(axis=(1, 2))
        for tokens in (middle, splice, *ends)
    ]
    return {
        "midpoint": float(costs[0].mean()),
        "splice": float(costs[1].mean()),
        "ends": float(np.mean(costs[2:])),
        "cheaper": float((costs[0] < costs[1]).mean()),
    }


def on_the_sphere(one: Tensor, two: Tensor, share: float) -> Tensor:
    """Return points (B, Z) at a share of the way along great circles (slerp, Shoemake 1985)."""
    cosine = torch.cosine_similarity(one, two, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)[:, None]
    angle = cosine.acos()
    parts = ((1 - share) * angle).sin() * one + (share * angle).sin() * two
    found: Tensor = parts / angle.sin()
    return found


def whole(tokens: Array) -> Array:
    """Return tokens (N, T) in which what is held before the first note is a rest."""
    begun = np.maximum.accumulate(tokens >= FIRST_PITCH, axis=1)
    return np.where((tokens == HOLD) & ~begun, REST, tokens)
