"""The trainings of models that are no priors, by the name that --model knows."""

from __future__ import annotations

from pretrained.training.family import Training
from pretrained.variational.vae_training import VAE

TRAININGS: dict[str, Training] = {VAE.name: VAE}
