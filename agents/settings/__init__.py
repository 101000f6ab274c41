"""Settings of the verbs: dataclasses, files and command lines."""

from agents.settings.config import TrainConfig, from_preset

__all__ = ["TrainConfig", "from_preset"]
