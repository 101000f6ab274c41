"""The models that checkpoints can hold and that are no priors, by format."""

from __future__ import annotations

from pretrained.networks.architectures import ARCHITECTURES
from pretrained.saved_model import Model
from pretrained.variational.latent_model import VariationalModel

FAMILIES: dict[str, type[Model]] = {VariationalModel.format: VariationalModel}


def model_kinds() -> dict[str, type[Model]]:
    """Return the class of every format that a checkpoint may have."""
    return {**ARCHITECTURES, **FAMILIES}
