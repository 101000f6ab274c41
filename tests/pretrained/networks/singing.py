"""A tiny network of voices that hear each other."""

import torch

from envs.music.codec import Codec
from pretrained.networks.voices import VoicesNet, VoicesPrior, VoicesShape
from tests.pretrained.networks.hearing import loud

SIZES = {"hidden": 12, "layers": 2, "embed": 8, "blocks": 2, "heads": 2, "head_size": 8}
SIZES |= {"feed": 8, "window": 9, "units": 10, "ahead": 8}
TOLD = {"coming": 3, "compass": 1, "depth": 3}  # what the smallest network does without
WIDE = Codec(36, 83)


def singing(seed=0, codec=WIDE, **sizes):
    """Return a prior of random weights, all of which show."""
    torch.manual_seed(seed)
    net = loud(VoicesNet(VoicesShape(vocab=codec.vocab, **SIZES | sizes)))
    with torch.no_grad():
        net.head.weight *= 0.3
    return VoicesPrior(net, codec)
