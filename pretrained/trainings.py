"""The trainings of models that are no priors, by the name that --model knows."""

from __future__ import annotations

from pretrained.adversarial.gan_course import TRAINING as GAN
from pretrained.diffusion.denoising import TRAINING as DIFFUSION
from pretrained.training.family import Training
from pretrained.variational.vae_training import VAE

TRAININGS: dict[str, Training] = {each.name: each for each in (VAE, DIFFUSION, GAN)}
