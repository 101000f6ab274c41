"""The trainings of models that are no priors, by the name that --model knows."""

from __future__ import annotations

from pretrained.adversarial.gan_course import TRAINING as GAN
from pretrained.diffusion.denoising import TRAINING as DIFFUSION
from pretrained.training.family import Training

TRAININGS: dict[str, Training] = {each.name: each for each in (DIFFUSION, GAN)}
