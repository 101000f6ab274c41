"""Listener: what hears of a training while it runs, and may stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.runs.directory import Run
    from agents.settings.config import TrainConfig


class Listener:
    """Hears of a training and says nothing; a subclass may show or stop it."""

    def begun(self, run: Run, config: TrainConfig) -> None:
        """Called when the run's directory is there."""

    def noted(self, text: str) -> None:
        """Called with a note or a warning."""

    def stepped(self, steps: int) -> bool:
        """Called before the first step and after each, with the steps done; False stops the run.

        A run that is stopped is saved, and can be resumed.
        """
        return True

    def updated(self, row: Mapping[str, float]) -> None:
        """Called after each rollout with its row of metrics.csv."""

    def learned(self) -> None:
        """Called when learning has ended, before the report is made."""
