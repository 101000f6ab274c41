"""The presets that ship: settings of a run by name, each a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envs.errors import unknown

PRESETS = Path(__file__).parents[1] / "presets"
DEFAULT = "eight_bars"  # of python -m agents.train
# Environments of several voices have a preset each, which has their reward and a prior for them.
OF_ENVIRONMENT = {
    "composition/Chorale-v0": "chorale",
    "composition/Counterpoint-v0": "counterpoint",
}
ASKED = ("env", "task", "vary", "prior", "reward")  # what is learned, whatever the algorithm
REFERENCE = "reference"  # has what others leave out; see the file
OBJECTIVE = ("reward", "entropy", "entropy_end")  # the weights were found along the reward


def preset_names() -> list[str]:
    """Return the names of the presets that ship; each algorithm has one of its own name."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def read_preset(name: str) -> dict[str, Any]:
    """Return a preset that ships, as settings that `agents.settings.config.from_mapping` takes.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in preset_names():
        raise unknown("preset", name, preset_names())
    return tomllib.loads((PRESETS / f"{name}.toml").read_text("utf-8"))


def preset_of(algo: Any) -> dict[str, Any]:
    """Return the preset of an algorithm's name, {} if none ships."""
    return read_preset(algo) if algo in preset_names() else {}


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings filled up from the preset of their algorithm, and then from the reference.

    The reference's weights of the entropy belong to its reward: they are left out if the settings
    have a reward or a weight of the entropy of their own.
    """
    values = {**preset_of(values.get("algo")), **values}
    reference = read_preset(REFERENCE)
    if any(name in values for name in OBJECTIVE):
        reference = {name: v for name, v in reference.items() if not name.startswith("entropy")}
    return {**reference, **values}
