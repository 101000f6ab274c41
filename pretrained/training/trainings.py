"""The trainings of models that are no priors, by the name that --model knows."""

from __future__ import annotations

from pretrained.training.family import Training

TRAININGS: dict[str, Training] = {}
