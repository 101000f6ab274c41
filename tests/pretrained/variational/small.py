"""Small variational autoencoders."""

import torch

from envs.music.codec import Codec
from pretrained.variational.latent_model import VariationalModel
from pretrained.variational.latent_network import LatentNet
from pretrained.variational.vae_settings import VaeSettings

SIZES = {"width": 12, "reads": 6, "pooled": 8, "field": 10, "cell": 7, "hidden": 9}


def small_vae(bars=2, seed=0, codec=None, z=0):
    codec = codec or Codec()
    settings = VaeSettings(bars=bars, z=z or 6, **SIZES)
    torch.manual_seed(seed)
    net = LatentNet(settings.shape_for(codec.vocab))
    with torch.no_grad():  # beyond first weights, so that logits differ
        for weight in net.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return VariationalModel(net, codec)
