"""Fitting a variational autoencoder to windows of tunes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from envs.music.codec import FIRST_PITCH, Codec
from envs.music.meter import Meter
from pretrained.corpora.folk import Tune
from pretrained.corpora.tunes import for_codec
from pretrained.device import find_device, has_bf16, whole_float32
from pretrained.training.family import Pass, Tell
from pretrained.training.schedule import warm_cosine
from pretrained.variational.latent_loss import (
    active_units,
    collapse,
    discrepancy,
    drawn,
    rates,
    with_free_bits,
)
from pretrained.variational.latent_model import VariationalModel
from pretrained.variational.latent_network import LatentNet, LatentShape
from pretrained.variational.vae_settings import VaeSettings
from pretrained.variational.windows import TuneWindows, windows_of

MUON_RATE = 5.0  # learning rate of Muon over AdamW's
STEEPEST = 5.0  # norm to which gradients are cut
SHOWN = 512  # windows of each metre by which a training is watched
EVERY = 4  # batches between two updates of the average


@dataclass(frozen=True)
class Batch:
    """Windows as the network reads them: tokens (B, T) and places (B, T, 6)."""

    tokens: Tensor
    places: Tensor

    @staticmethod
    def of(windows: TuneWindows, codec: Codec, device: str | torch.device = "cpu") -> Batch:
        """Return windows in the vocabulary of a codec."""
        tokens = torch.from_numpy(for_codec(windows.tokens, codec))
        return Batch(tokens.to(device), torch.from_numpy(windows.places()).to(device))


def kinds_of(shape: LatentShape) -> list[tuple[int, int]]:
    """Return cells in a bar and in a beat of the metres that a network knows."""
    metres = [Meter.parse(name) for name in shape.metres]
    return [(metre.bar_cells(Codec.grid), metre.beat_cells(Codec.grid)) for metre in metres]


@whole_float32()
def fit_vae(
    settings: VaeSettings,
    train: Sequence[Tune],
    valid: Sequence[Tune],
    codec: Codec,
    tell: Tell = lambda progress: None,
) -> VariationalModel:
    """Train a model and return it with the running average of its weights.

    Args:
        settings: sizes and schedule.
        train: tunes to learn from.
        valid: tunes to report on after each epoch; nothing is chosen by them.
        codec: the vocabulary.
        tell: called after each epoch; says so if the posterior has collapsed.

    Raises:
        ValueError: no tune has so many bars in a metre that the model knows; another grid; a
            device or a checkpoint to start from that is not there, or serves not.
    """
    if codec.grid != Codec.grid:
        raise ValueError(f"a grid of {codec.grid} cells per quarter note: expected {Codec.grid}")
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    rng, device = np.random.default_rng(settings.seed), find_device(settings.device)
    net = LatentNet(settings.shape_for(codec.vocab), settings.dropout).to(device)
    if settings.start:
        begin_with(net, settings.start)
    lessons = windows_of(train, settings.bars, kinds_of(net.shape))
    watched = windows_of(valid, settings.bars, kinds_of(net.shape), pickups=False)
    for found, which in ((lessons, "to train on"), (watched, "to watch it by")):
        if not found:
            raise ValueError(
                f"no tune {which} has {settings.bars} bars of notes in "
                f"{', '.join(net.shape.metres)}; choose fewer bars, or other tunes"
            )
    net.blind = settings.blind
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(settings.average**EVERY))
    kept: Any = averaged.module
    training = _Training(net, settings, device)
    steps = max(1, sum(w.tokens.size for w in lessons) // settings.batch_cells)
    for epoch in range(settings.epochs):
        net.train()
        for step, shown in enumerate(_batches(lessons, steps, settings, rng)):
            share = (epoch + step / steps) / settings.epochs
            training.descend(Batch.of(shown, codec, device), share)
            if step % EVERY == 0:
                averaged.update_parameters(net)
        tell(Pass(epoch + 1, _figures(kept, watched, codec, device, settings.beta_at(share))))
    return VariationalModel(kept.cpu(), codec)


class _Training:
    """A network in training and its optimisers: Muon for matrices inside it, AdamW for the rest."""

    def __init__(self, net: LatentNet, settings: VaeSettings, device: str) -> None:
        self._net, self._settings, self._device = net, settings, device
        self._bf16 = has_bf16(device)
        inside: list[nn.Module] = [net.reader, net.pool, net.of_code, net.of_place, net.layers]
        inside += [net.features, net.writer, net.cells, *net.upper]
        matrices = [w for part in inside for w in part.parameters() if w.ndim == 2]
        chosen = {id(weight) for weight in matrices}
        others = [weight for weight in net.parameters() if id(weight) not in chosen]
        rate, decay = settings.learning_rate, settings.weight_decay
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, rate, (0.9, 0.98), weight_decay=decay),
            torch.optim.Muon(matrices, MUON_RATE * rate, decay, adjust_lr_fn="match_rms_adamw"),
        ]
        self._peaks = [optimizer.param_groups[0]["lr"] for optimizer in self._optimizers]

    def descend(self, batch: Batch, share: float) -> None:
        """Change the weights by one batch, when a share of the training is done."""
        net, settings = self._net, self._settings
        with torch.autocast(self._device.partition(":")[0], torch.bfloat16, enabled=self._bf16):
            mean, log_variance = net.encode(batch.tokens, batch.places)
            z = drawn(mean, log_variance)
            logits = net(batch.tokens, batch.places, z)
        nats = functional.cross_entropy(
            logits.flatten(0, 1), batch.tokens.flatten(), reduction="sum"
        )
        rate = with_free_bits(rates(mean, log_variance), settings.free_bits)
        loss = nats / len(z) + settings.beta_at(share) * rate
        if settings.mmd:
            loss = loss + settings.mmd * discrepancy(z)
        for optimizer, peak in zip(self._optimizers, self._peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * warm_cosine(share, 0.01)
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), STEEPEST)
        for optimizer in self._optimizers:
            optimizer.step()


def begin_with(net: LatentNet, name: str) -> None:
    """Copy the weights that a model of fewer bars has in common with a network.

    Raises:
        FileNotFoundError, ValueError: there is no such model, or it has none in common.
    """
    from pretrained.checkpoint import load_model

    model = load_model(name)
    if not isinstance(model, VariationalModel):
        raise ValueError(f"start={name}: expected a variational autoencoder, such as vae-2")
    own, theirs = net.state_dict(), model.net.state_dict()
    common = [k for k, weight in theirs.items() if k in own and own[k].shape == weight.shape]
    if "reader.weight_hh_l0" not in common:
        raise ValueError(
            f"start={name}: its parts have other sizes; expected those of its shape: {model.shape}"
        )
    for key in common:
        if not key.startswith("point."):
            own[key].copy_(theirs[key])


def _batches(
    lessons: Sequence[TuneWindows], steps: int, settings: VaeSettings, rng: np.random.Generator
) -> Iterator[TuneWindows]:
    """Yield batches of one metre, each as often as its windows have cells, in random order."""
    cells = np.array([windows.tokens.size for windows in lessons])
    for number in rng.choice(len(lessons), steps, p=cells / cells.sum()):
        windows = lessons[number]
        size = max(1, settings.batch_cells // windows.tokens.shape[1])
        yield windows.take(rng.integers(0, len(windows), size)).moved(rng, settings.moved)


@torch.inference_mode()
def _figures(
    net: LatentNet, watched: Sequence[TuneWindows], codec: Codec, device: str, beta: float
) -> str:
    """Return nats and rate on watched tunes, teacher-forced at drawn points, in words."""
    net.eval()
    found, nats, notes = [], 0.0, 0
    for windows in watched:
        batch = Batch.of(windows.take(np.arange(len(windows))[:SHOWN]), codec, device)
        mean, log_variance = net.encode(batch.tokens, batch.places)
        logits = net(batch.tokens, batch.places, drawn(mean, log_variance))
        nats += float(
            functional.cross_entropy(logits.flatten(0, 1), batch.tokens.flatten(), reduction="sum")
        )
        notes += int((batch.tokens >= FIRST_PITCH).sum())
        found.append(rates(mean, log_variance))
    rate = torch.cat(found)
    words = (
        f"beta {beta:.4f}  valid {nats / len(rate):.2f} nats + rate {float(rate.sum(1).mean()):.1f}"
        f" a piece, {nats / notes:.3f} nats a note, {active_units(rate)} of {rate.shape[1]} units"
    )
    return "; ".join(filter(None, [words, collapse(rate)]))
