"""Figures of a variational autoencoder on held-out tunes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from envs.music.codec import FIRST_PITCH, HOLD, Codec
from pretrained.corpora.edit_distance import edit_distances
from pretrained.corpora.folk import Tune
from pretrained.networks.lens import has_started
from pretrained.prior import ILLEGAL, draw
from pretrained.variational.latent_loss import active_units, rates
from pretrained.variational.latent_model import VariationalModel
from pretrained.variational.latent_network import LatentNet
from pretrained.variational.vae_fit import Batch, kinds_of
from pretrained.variational.windows import TuneWindows, windows_of

COMMON_TIME = 16  # cells of a bar, of the first figures
STEPS = 7  # points between two pieces, the ends not counted
PAIRS = 200  # of pieces between which is gone
DRAWN = 512  # pieces at points of the standard normal


def measure_vae(model: VariationalModel, tunes: Sequence[Tune]) -> dict[str, float]:
    """Return the figures of a model by name, on windows of held-out tunes from bar lines.

    onsets: share of the onsets whose pitch is written there, decoded greedily from the mean.
    tokens, exact: the same of tokens and of whole pieces.
    rate: nats of KL divergence of a piece.
    units: number of units with more than .1 nat.
    nats: of a piece given a point of its posterior; with the rate, a bound of what it costs.
    in order, ends apart: of going from one piece to the next, see `between_figures`.
    repeats: share of the bars of pieces at random points that are those of two bars before;
    `repeats of tunes` that of the tunes; only with eight bars.

    Raises:
        ValueError: no tune has as many bars in a metre that the model knows.
    """
    shape = model.net.shape
    tests = windows_of(tunes, shape.bars, kinds_of(shape), pickups=False)
    common = [windows for windows in tests if windows.bar == COMMON_TIME]
    others = [windows for windows in tests if windows.bar != COMMON_TIME]
    if not tests:
        raise ValueError(f"no held-out tune has {shape.bars} bars in {', '.join(shape.metres)}")
    figures: dict[str, float] = {}
    for words, windows in (("", common), (", other metres", others)):
        if windows:
            found = reconstruction(model, windows)
            figures |= {name + words: value for name, value in found.items()}
    shown = max(common or others, key=len)
    figures |= between_figures(model, shown)
    if shape.bars > 2:
        figures |= repeats(model, shown)
    return figures


@torch.inference_mode()
def reconstruction(model: VariationalModel, tests: Sequence[TuneWindows]) -> dict[str, float]:
    """Return figures of pieces that are decoded from their own means, see `measure_vae`."""
    net, right, onset, exact, nats, rate = model.net, [], [], [], [], []
    for windows in tests:
        batch = Batch.of(windows, model.codec)
        mean, log_variance = net.encode(batch.tokens, batch.places)
        same = greedy(net, mean, batch.places, model.codec) == batch.tokens
        z = (
            mean
            + torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
            * (log_variance / 2).exp()
        )
        logits = net(batch.tokens, batch.places, z).log_softmax(-1)
        nats.append(-logits.gather(2, batch.tokens[..., None]).sum((1, 2)))
        right.append(same.flatten())
        onset.append((batch.tokens >= FIRST_PITCH).flatten())
        exact.append(same.all(dim=1))
        rate.append(rates(mean, log_variance))
    rights, onsets, of_units = torch.cat(right), torch.cat(onset), torch.cat(rate)
    return {
        "onsets": float(rights[onsets].float().mean()),
        "tokens": float(rights.float().mean()),
        "exact": float(torch.cat(exact).float().mean()),
        "rate": float(of_units.sum(1).mean()),
        "units": float(active_units(of_units)),
        "nats": float(torch.cat(nats).mean()),
    }


def greedy(
    net: LatentNet,
    z: Tensor,
    places: Tensor,
    codec: Codec,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Return tokens (B, T) at points z, the likeliest that the grammar allows, or drawn by `rng`.

    Args:
        net: on the CPU.
        z: (B, n_latent).
        places: (B or 1, T, 6).
        codec: of the network.
        rng: draws at temperature 1; None for the likeliest.
    """
    legal = torch.from_numpy(codec.legal(np.array([False, True])))

    def choose(logits: Tensor, before: Tensor) -> Tensor:
        begun = has_started(torch.nn.functional.pad(before, (0, 1)))[:, -1]
        allowed = logits.masked_fill(~legal[begun.long()], ILLEGAL)
        if rng is None:
            return allowed.argmax(dim=-1)
        return draw(allowed, rng)

    return net.write(z, places, choose)


@torch.inference_mode()
def between_figures(
    model: VariationalModel, windows: TuneWindows, seed: int = 0
) -> dict[str, float]:
    """Return figures of the way from one piece to another in a straight line, decoded greedily.

    in order: share of the steps that are farther from the first decoded end than the step before,
    or as far, and nearer to the last one, or as near, by edit distance of the tokens.
    ends apart: mean edit distance of a piece to what is decoded of it, over its length.
    """
    rng = np.random.default_rng(seed)
    batch, count = Batch.of(windows, model.codec), min(PAIRS, len(windows) // 2)
    order = rng.permutation(len(windows))[: 2 * count]
    one, two = order[:count], order[count:]
    mean, _ = model.net.encode(batch.tokens, batch.places)
    share = torch.linspace(0, 1, STEPS + 2)[None, :, None]
    z = (1 - share) * mean[one][:, None] + share * mean[two][:, None]
    places = batch.places[one].repeat_interleave(STEPS + 2, dim=0)
    found = greedy(model.net, z.flatten(0, 1), places, model.codec).view(count, STEPS + 2, -1)
    lines, shape = found.numpy(), found.shape
    to_first, to_last = (
        edit_distances(
            lines.reshape(-1, shape[2]), np.repeat(lines[:, end], shape[1], axis=0)
        ).reshape(shape[:2])
        for end in (0, -1)
    )
    good = (np.diff(to_first) >= 0).mean() + (np.diff(to_last) <= 0).mean()
    apart = edit_distances(lines[:, 0], batch.tokens[one].numpy())
    return {"in order": float(good / 2), "ends apart": float(apart.mean())}


@torch.inference_mode()
def repeats(model: VariationalModel, windows: TuneWindows, seed: int = 0) -> dict[str, float]:
    """Return shares of bars that are those of two bars before, of random points and of tunes."""
    rng = torch.Generator().manual_seed(seed)
    rows = np.random.default_rng(seed).integers(0, len(windows), DRAWN)
    places = Batch.of(windows.take(rows), model.codec).places
    z = torch.randn(DRAWN, model.n_latent, generator=rng)
    drawn = greedy(model.net, z, places, model.codec, rng)
    return {
        "repeats": repeated(drawn.numpy(), windows.bar),
        "repeats of tunes": repeated(windows.tokens, windows.bar),
    }


def repeated(tokens: np.ndarray, bar: int) -> float:
    """Return the share of bars from the third on whose tokens (N, T) are those of two before.

    A bar without an onset is no repeat.
    """
    bars = tokens.reshape(len(tokens), -1, bar)
    same = (bars[:, 2:] == bars[:, :-2]).all(axis=2) & (bars[:, 2:] > HOLD).any(axis=2)
    return float(same.mean())
