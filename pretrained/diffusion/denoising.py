"""Training of a denoiser on tunes, and its figures on tunes that are held out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.errors import quoted
from envs.music.codec import Codec
from pretrained.corpora.tunes import GridTune
from pretrained.device import find_device, has_bf16, whole_float32
from pretrained.diffusion.corruption import batches_of, draw_masked
from pretrained.diffusion.denoiser import Denoiser, DenoiserShape
from pretrained.diffusion.masked_diffusion import MaskedDiffusion
from pretrained.training.fit import Epoch, warm_cosine
from pretrained.training.optimizers import Optimizers

if TYPE_CHECKING:
    from torch import Tensor

MEASURED = 16_384  # cells that are measured at once
LIMITS: dict[str, tuple[float, float]] = {
    **{"epochs": (1, 10**6), "batch_tokens": (1, 10**9), "dropout": (0.0, 0.99)},
    **{"learning_rate": (1e-12, 1.0), "weight_decay": (0.0, 1e3), "average": (0.0, 0.999999)},
    **{"seed": (0, 2**32 - 1), "threads": (1, 1024)},
}


@dataclass(frozen=True)
class DiffusionConfig:
    """Settings of a training of a denoiser.

    Attributes:
        hidden: units of the LSTM in each direction.
        embed: size of its input embedding.
        blocks: of attention.
        heads: of each block.
        head_size: of each head.
        feed: units of each feed-forward layer.
        mix: units by which voices hear each other; 0 for tunes of one voice.
        epochs: passes over the training tunes.
        batch_tokens: cells in a batch.
        dropout: share of inputs, outputs and units in the blocks dropped while training.
        optimizer: muon for the matrices inside the network, or adamw for all.
        learning_rate: of AdamW, and of Muon matched to it; warms up, then falls to zero along a
            cosine.
        weight_decay: of both.
        average: decay per batch of the running average of weights, which is what is kept.
        seed: of weights, order, masks and dropout.
        threads: CPU threads of torch.
        device: torch device; auto takes a GPU if there is one.
        bf16: multiply matrices in bfloat16 while training, but not on a GPU that cannot.

    Raises:
        ValueError: a value out of its bounds.
    """

    hidden: int = 176
    embed: int = 128
    blocks: int = 1
    heads: int = 4
    head_size: int = 32
    feed: int = 320
    mix: int = 0
    epochs: int = 60
    batch_tokens: int = 3072
    dropout: float = 0.1
    optimizer: str = "muon"
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    average: float = 0.998
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    bf16: bool = True

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not least <= value <= most:
                raise ValueError(f"{name}={quoted(value)}: expected {least:g} to {most:g}")
        if self.optimizer not in ("muon", "adamw"):
            raise ValueError(f"optimizer={quoted(self.optimizer)}: expected muon or adamw")
        self.shape(Codec())

    def shape(self, codec: Codec) -> DenoiserShape:
        """Return the sizes of the network for a vocabulary."""
        sizes = {name: getattr(self, name) for name in SIZES}
        return DenoiserShape(vocab=codec.vocab, **sizes)

    def setting(self, name: str) -> Any:
        """Return a setting by name."""
        return getattr(self, name)


SIZES = ("embed", "hidden", "blocks", "heads", "head_size", "feed", "mix")


@dataclass(frozen=True)
class HeldOutMasks:
    """Figures of held-out tunes whose cells are masked as in a training.

    Attributes:
        nats_per_token: mean over pieces of the mean over masked cells.
        accuracy: share of masked cells whose likeliest token is right.
    """

    nats_per_token: float
    accuracy: float

    def __str__(self) -> str:
        return f"{self.nats_per_token:.4f} nats/token  accuracy {self.accuracy:.3f}"


@whole_float32()
def fit(
    config: DiffusionConfig,
    train: Sequence[GridTune],
    valid: Sequence[GridTune],
    codec: Codec,
    after_epoch: Callable[[Epoch], object] | None = None,
) -> MaskedDiffusion:
    """Train a denoiser; return the running average of its weights as a model.

    Args:
        config: sizes and schedule.
        train: tunes to learn from.
        valid: tunes to report on after each epoch; nothing is chosen by them.
        codec: the vocabulary.
        after_epoch: called with the figures of each epoch.

    Raises:
        ValueError: a device that is not there.
    """
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    rng, device = np.random.default_rng(config.seed), find_device(config.device)
    bf16 = config.bf16 and (device == "cpu" or has_bf16(device))
    net = Denoiser(config.shape(codec), config.dropout).to(device)
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(config.average))
    kept: Any = averaged.module
    optimizers = Optimizers(net, config)
    for epoch in range(config.epochs):
        net.train()
        losses, began = [], time.monotonic()
        shown = list(batches_of(train, codec, config.batch_tokens, rng))
        for done, (tokens, place) in enumerate(shown):
            loss, *_ = figures_of(net, tokens.to(device), place.to(device), rng, bf16)
            optimizers.descend(loss, warm_cosine((epoch + done / len(shown)) / config.epochs))
            averaged.update_parameters(net)
            losses.append(loss.item())
        if after_epoch is not None:
            figures = measure(kept, valid, codec, draws=1)
            seconds = time.monotonic() - began
            after_epoch(Epoch(epoch + 1, float(np.mean(losses)), figures, seconds))
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


def measure(
    net: Denoiser, tunes: Sequence[GridTune], codec: Codec, draws: int = 8, seed: int = 0
) -> HeldOutMasks:
    """Return the figures of held-out tunes.

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
            tokens, place = tokens.to(device), place.to(device)
            loss, hits, count = figures_of(net, tokens, place, rng, False)
            nats, right = nats + float(loss) * len(tokens), right + hits
            pieces, cells = pieces + len(tokens), cells + count
    net.train(training)
    return HeldOutMasks(nats / pieces, right / cells)
