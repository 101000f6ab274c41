"""Training of a denoiser on tunes, and its figures on tunes that are held out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.checked import bounded, one_of
from envs.music.codec import Codec
from pretrained.corpora.folk import Tune
from pretrained.device import find_device, has_bf16, whole_float32
from pretrained.diffusion.corruption import batches_of, draw_masked
from pretrained.diffusion.denoiser import BOUNDS, Denoiser, DenoiserShape
from pretrained.diffusion.masked_diffusion import MaskedDiffusion
from pretrained.training.family import FamilySettings, Pass, Tell, Training
from pretrained.training.optimizers import Optimizers
from pretrained.training.schedule import warm_cosine

if TYPE_CHECKING:
    from torch import Tensor

DRAWS = 8  # of parts and masks of each held-out tune, in a measurement
MEASURED = 16_384  # cells that are measured at once
SIZES = ("embed", "hidden", "blocks", "heads", "head_size", "feed", "mix")


@dataclass(frozen=True)
class DiffusionSettings(FamilySettings):
    """Settings of a training of a denoiser.

    Attributes:
        hidden: units of the LSTM in each direction.
        embed: size of its input embedding.
        blocks: of attention.
        heads: of each block.
        head_size: of each head.
        feed: units of each feed-forward layer.
        mix: units by which voices hear each other; 0 for tunes of one voice.
        batch_tokens: cells in a batch.
        dropout: share of inputs, outputs and units in the blocks dropped while training.
        optimizer: muon for the matrices inside the network, or adamw for all.
        learning_rate: of AdamW, and of Muon matched to it; warms up, then falls to zero along a
            cosine.
        weight_decay: of both.
        average: decay per batch of the running average of weights, which is what is kept.
        bf16: multiply matrices in bfloat16 while training, but not on a GPU that cannot.
    """

    epochs: int = bounded(36, 1, 10**6)
    hidden: int = bounded(176, *BOUNDS["hidden"])
    embed: int = bounded(128, *BOUNDS["embed"])
    blocks: int = bounded(1, *BOUNDS["blocks"])
    heads: int = bounded(4, *BOUNDS["heads"])
    head_size: int = bounded(32, *BOUNDS["head_size"])
    feed: int = bounded(320, *BOUNDS["feed"])
    mix: int = bounded(0, *BOUNDS["mix"])
    batch_tokens: int = bounded(3072, 1, 10**9)
    dropout: float = bounded(0.2, 0.0, 0.99)
    optimizer: str = one_of("muon", "adamw")
    learning_rate: float = bounded(1.5e-3, 1e-12, 1.0)
    weight_decay: float = bounded(0.2, 0.0, 1e3)
    average: float = bounded(0.998, 0.0, 0.999999)
    bf16: bool = True

    def shape(self, codec: Codec) -> DenoiserShape:
        """Return the sizes of the network for a vocabulary."""
        sizes = {name: getattr(self, name) for name in SIZES}
        return DenoiserShape(vocab=codec.vocab, **sizes)

    def setting(self, name: str) -> Any:
        """Return the setting of a name."""
        return getattr(self, name)


@whole_float32()
def fit(
    settings: DiffusionSettings,
    train: Sequence[Tune],
    valid: Sequence[Tune],
    codec: Codec,
    tell: Tell,
) -> MaskedDiffusion:
    """Train a denoiser; return the running average of its weights as a model.

    Args:
        settings: sizes and schedule.
        train: tunes to learn from.
        valid: tunes to report on after each epoch; nothing is chosen by them.
        codec: the vocabulary.
        tell: called after each epoch.

    Raises:
        ValueError: a device that is not there.
    """
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    rng, device = np.random.default_rng(settings.seed), find_device(settings.device)
    bf16 = settings.bf16 and (device == "cpu" or has_bf16(device))
    net = Denoiser(settings.shape(codec), settings.dropout).to(device)
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(settings.average))
    kept: Any = averaged.module
    optimizers, epochs = Optimizers(net, settings), settings.epochs
    for epoch in range(epochs):
        net.train()
        losses, began = [], time.monotonic()
        shown = list(batches_of(train, codec, settings.batch_tokens, rng))
        for done, (tokens, place) in enumerate(shown):
            loss, *_ = figures_of(net, tokens.to(device), place.to(device), rng, bf16)
            optimizers.descend(loss, warm_cosine((epoch + done / len(shown)) / epochs))
            averaged.update_parameters(net)
            losses.append(loss.item())
        nats, accuracy = held_out(kept, valid, codec)
        tell(
            Pass(
                epoch + 1,
                f"train {np.mean(losses):.4f}  valid {nats:.4f} nats/token  accuracy "
                f"{accuracy:.3f}  {time.monotonic() - began:.0f} s",
            )
        )
    return MaskedDiffusion(kept.cpu(), codec)


def figures_of(
    net: Denoiser, tokens: Tensor, place: Tensor, rng: np.random.Generator, bf16: bool
) -> tuple[Tensor, int, int]:
    """Mask cells of pieces (N, T); return nats per masked cell, hits, and their number.

    Each piece counts the same, whatever the number of its masked cells: with every cell masked with
    a probability drawn from 0 to 1 that is the order-agnostic bound (Hoogeboom et al. 2022).
    """
    from torch.nn import functional

    masked = draw_masked(place, rng)
    logits = net(tokens.masked_fill(masked, net.mask)[:, None], place, bf16)[:, 0][masked]
    nats = functional.cross_entropy(logits, tokens[masked], reduction="none")
    count = masked.sum(dim=1)
    loss = (nats / count.repeat_interleave(count)).sum() / len(tokens)
    hits = int((logits.argmax(dim=1) == tokens[masked]).sum())
    return loss, hits, len(nats)


def held_out(
    net: Denoiser, tunes: Sequence[Tune], codec: Codec, draws: int = 1, seed: int = 0
) -> tuple[float, float]:
    """Return nats per masked cell and the share of right ones, of tunes masked as in a training.

    Args:
        net: is measured.
        tunes: in parts of which cells are masked.
        codec: the vocabulary.
        draws: of parts and masks of each tune.
        seed: of the draws.
    """
    import torch

    rng, nats = np.random.default_rng(seed), 0.0
    right = pieces = cells = 0
    training, device = net.training, net.head.weight.device
    net.eval()
    with torch.inference_mode():
        for tokens, place in batches_of(list(tunes) * draws, codec, MEASURED, rng):
            part = tokens.to(device), place.to(device)
            loss, hits, count = figures_of(net, *part, rng, False)
            nats, right = nats + float(loss) * len(tokens), right + hits
            pieces, cells = pieces + len(tokens), cells + count
    net.train(training)
    return nats / max(pieces, 1), right / max(cells, 1)


def measure(model: MaskedDiffusion, tunes: Sequence[Tune]) -> Mapping[str, float]:
    """Return the figures of a model by name, of tunes that are held out."""
    nats, accuracy = held_out(model.net, tunes, model.codec, DRAWS)
    return {"nats per masked token": nats, "masked tokens right": accuracy}


TRAINING = Training(
    "diffusion", "masked diffusion, fills any cells", DiffusionSettings, fit, measure
)
