"""Settings of the verbs: dataclasses, files and command lines."""

from agents.settings.config import TrainConfig

__all__ = ["TrainConfig"]
