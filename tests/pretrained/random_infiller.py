"""A toy that is no prior: it fills pages with notes that it has learned to like, in any order."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from envs.checked import bounded
from envs.music.codec import Codec
from pretrained.training.family import FamilySettings, Pass, Training


class RandomInfiller:
    """Draws each cell by how often its tokens are, whatever stands beside it."""

    format = "random/1"

    def __init__(self, codec):
        self.codec = codec
        self.net = nn.ParameterDict({"counts": nn.Parameter(torch.ones(codec.vocab))})

    @property
    def shape(self):
        return {"vocab": self.codec.vocab}

    @classmethod
    def build(cls, shape, codec):
        if shape["vocab"] != codec.vocab:
            raise ValueError("another vocabulary")
        return cls(codec)

    def require(self, task):
        if str(task.meter) == "7/8":
            raise ValueError("meter 7/8: random fills other metres; choose one of them")

    def fill(self, page, n=1, seed=0, temperature=1.0):
        self.require(page.task)
        rng = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        score = page.take(np.zeros(n, int))
        share = self.net["counts"].detach() ** (1 / temperature)
        while not score.finished:
            allowed = torch.from_numpy(score.allowed())
            low = score.task.codec.low - self.codec.low
            pitches = share[2 + low : allowed.shape[1] + low]
            weight = torch.cat([share[:2], pitches]) * allowed
            score = score.write(torch.multinomial(weight, 1, generator=rng)[:, 0].numpy())
        return score


@dataclass(frozen=True)
class RandomSettings(FamilySettings):
    """Settings of the toy.

    Attributes:
        shyness: added to each count.
    """

    shyness: float = bounded(1.0, 0.0, 100.0)


def fit(settings, train, valid, codec, tell):
    model = RandomInfiller(codec)
    for number in range(settings.epochs):
        tokens = np.concatenate([tune.tokens for tune in train]) + (Codec().low - codec.low)
        counts = np.bincount(tokens, minlength=codec.vocab)[: codec.vocab] + settings.shyness
        model.net["counts"].data = torch.tensor(counts, dtype=torch.float32)
        tell(Pass(number + 1, f"{counts.sum():.0f} tokens"))
    return model


def measure(model, tunes):
    counts = model.net["counts"].detach()
    return {"rests": float(counts[0] / counts.sum())}


TRAINING = Training("random", "a toy", RandomSettings, fit, measure)
