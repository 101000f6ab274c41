"""Training runs."""

from agents.training.job import train
from agents.training.listener import Listener

__all__ = ["Listener", "train"]
