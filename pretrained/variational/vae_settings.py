"""Settings of a training of a variational autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

from envs.checked import bounded
from envs.errors import quoted
from pretrained.training.family import FamilySettings
from pretrained.variational.latent_network import LENGTHS, PART, LatentShape


@dataclass(frozen=True)
class VaeSettings(FamilySettings):
    """Settings of a training of a variational autoencoder.

    Attributes:
        epochs: a window of the tunes is shown as often, on average.
        bars: of a piece: 2, 4 or 8.
        z: numbers of a point; 32 for 2 bars, 48 for 4 and 64 for 8 if 0.
        beta: weight of the KL divergence at the end. It begins at beta_first and grows
            exponentially, so that the rate comes down from above.
        beta_first: at the beginning.
        rising: share of the training in which beta grows.
        free_bits: nats of each unit that cost nothing.
        mmd: weight of InfoVAE's maximum mean discrepancy between the points of a batch and a
            standard normal distribution, in nats.
        blind: share of the tokens before a cell that are not seen while training.
        dropout: share of features dropped while training.
        moved: share of the windows that are moved along the scale by 1 to 3 steps.
        batch_cells: cells in a batch.
        learning_rate: of AdamW, and of Muon matched to it; falls to zero along a cosine.
        weight_decay: of both.
        average: decay per batch of the running average of weights, which is what is kept.
        width: features of a group of four cells.
        reads: units of the encoder in each direction.
        pooled: features of a part of two bars.
        field: units of the layers between a code and the features of groups.
        cell: units of the network that writes cells.
        hidden: units of the LSTM that writes.
        start: checkpoint of a model of fewer bars, with whose weights the parts begin.
    """

    epochs: int = bounded(20, 1, 10**6)
    bars: int = bounded(2, 2, 8)
    z: int = bounded(0, 1, 4096, or_else=0)
    beta: float = bounded(0.2, 0.0, 1e3)
    beta_first: float = bounded(0.002, 1e-9, 1e3)
    rising: float = bounded(0.8, 1e-6, 1.0)
    free_bits: float = bounded(0.0, 0.0, 100.0)
    mmd: float = bounded(0.0, 0.0, 1e6)
    blind: float = bounded(0.25, 0.0, 0.99)
    dropout: float = bounded(0.1, 0.0, 0.99)
    moved: float = bounded(0.5, 0.0, 1.0)
    batch_cells: int = bounded(6144, 1, 10**9)
    learning_rate: float = bounded(2e-3, 1e-12, 1.0)
    weight_decay: float = bounded(0.02, 0.0, 1e3)
    average: float = bounded(0.995, 0.0, 0.999999)
    width: int = bounded(128, 1, 4096)
    reads: int = bounded(96, 1, 4096)
    pooled: int = bounded(80, 1, 4096)
    field: int = bounded(160, 1, 4096)
    cell: int = bounded(64, 1, 4096)
    hidden: int = bounded(160, 1, 4096)
    start: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bars not in LENGTHS:
            raise ValueError(f"bars={quoted(self.bars)}: expected one of {LENGTHS}")

    @property
    def n_latent(self) -> int:
        """Numbers of a point."""
        return self.z or {2: 32, 4: 48, 8: 64}[self.bars]

    def shape_for(self, vocab: int) -> LatentShape:
        """Return the sizes of the network."""
        names = ("width", "reads", "pooled", "field", "cell", "hidden")
        code = self.n_latent if self.bars == PART else 32
        sizes = {name: getattr(self, name) for name in names}
        plan = self.bars == max(LENGTHS)
        return LatentShape(vocab, self.bars, self.n_latent, code, plan=plan, **sizes)

    def beta_at(self, share: float) -> float:
        """Return the weight of the KL divergence when a share of the training is done."""
        first = min(self.beta_first, self.beta)
        left = max(0.0, 1 - share / self.rising)
        return self.beta * (first / self.beta) ** left if self.beta else 0.0
