"""A denoiser that is fast enough for tests: random weights, large enough to tell cells apart."""

import torch

from envs.music.codec import Codec
from pretrained.diffusion.denoiser import Denoiser, DenoiserShape
from pretrained.diffusion.masked_diffusion import MaskedDiffusion

SIZES = {"embed": 8, "hidden": 6, "blocks": 1, "heads": 1, "head_size": 6, "feed": 8}


def tiny_net(vocab=6, seed=0, **sizes):
    torch.manual_seed(seed)
    net = Denoiser(DenoiserShape(vocab=vocab, **{**SIZES, **sizes}))
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn_like(weight) * 0.4)
    return net.eval().requires_grad_(False)


def tiny_model(codec=None, **sizes):
    codec = codec or Codec()
    return MaskedDiffusion(tiny_net(codec.vocab, **sizes), codec)


def places(cells, bar):
    """Return places (1, cells, 6) of a piece of bars."""
    place = torch.zeros(1, cells, 6, dtype=torch.int64)
    place[..., 0], place[..., 1], place[..., 2] = torch.arange(cells) % bar, bar, 2
    return place
