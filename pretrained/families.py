"""The models that checkpoints can hold and that are no priors, by format."""

from __future__ import annotations

from pretrained.adversarial.gan import Gan
from pretrained.diffusion.masked_diffusion import MaskedDiffusion
from pretrained.networks.architectures import ARCHITECTURES
from pretrained.saved_model import Model
from pretrained.variational.latent_model import VariationalModel

FAMILIES: dict[str, type[Model]] = {
    kind.format: kind for kind in (Gan, MaskedDiffusion, VariationalModel)
}


def model_kinds() -> dict[str, type[Model]]:
    """Return the class of every format that a checkpoint may have."""
    return {**ARCHITECTURES, **FAMILIES}
