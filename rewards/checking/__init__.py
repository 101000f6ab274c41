"""Checks of a reward: its promises, its cost, and what it pays for."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Late, because terms ask the probes here before a reward can be built.
    if name in ("CheckReport", "RewardWarning", "check_reward"):
        from rewards.checking import check_report

        return getattr(check_report, name)
    raise AttributeError(f"module 'rewards.checking' has no attribute {name!r}")
