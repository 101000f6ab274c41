"""Training runs: `train(TrainConfig(...))` returns a `Run`."""

from typing import Any

from agents.training.listener import Listener

__all__ = ["Listener", "train"]


def __getattr__(name: str) -> Any:
    # Late, because it brings torch with it, and `--help` must not.
    if name == "train":
        from agents.training.job import train

        return train
    raise AttributeError(f"module 'agents.training' has no attribute {name!r}")
