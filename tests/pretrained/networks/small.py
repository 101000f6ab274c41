"""Small networks of every architecture with weights large enough for all parts to count."""

import torch

from envs.music.codec import Codec
from pretrained.networks.architectures import model_named

SMALL = {
    "lstm": {"hidden": 10, "layers": 2, "embed": 6},
    "gru": {"hidden": 10, "layers": 2, "embed": 6},
    "lstm-attention": {
        **{"hidden": 10, "embed": 6, "blocks": 2, "heads": 2, "head_size": 6, "feed": 5},
        "window": 7,
    },
    "transformer": {"width": 12, "layers": 2, "heads": 2, "feed": 5, "window": 7},
}


def loud(module, seed=0, spread=0.4):
    """Return a module with weights that are large enough for all parts to count."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=rng) * spread)
    return module


def small(name, **sizes):
    """Return a small prior of an architecture, with random weights."""
    kind = model_named(name)
    shape = kind.sizes(vocab=38, places=6, lookback=(1, 3), **SMALL[name], **sizes)
    return kind(loud(kind.network(shape)), Codec())
