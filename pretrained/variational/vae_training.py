"""The training of a variational autoencoder, for `python -m pretrained.train --model vae`."""

from __future__ import annotations

from pretrained.training.family import Training
from pretrained.variational.vae_fit import fit_vae
from pretrained.variational.vae_measure import measure_vae
from pretrained.variational.vae_settings import VaeSettings

VAE = Training(
    "vae",
    "a variational autoencoder: melodies of 2, 4 or 8 bars as points",
    VaeSettings,
    fit_vae,
    measure_vae,
)
