"""Check a reward: does it keep the contract, what does it cost, and what does it pay for?

    python -m agents.check my_rewards.py:swing
    python -m agents.check in_key=2 my_rewards.py:swing=0.5 --meter 3/4 --exploit

    def test_my_reward():
        check_reward(swing)

Each promise of the contract that is broken is told with what was expected, what was found and
what to do. Then a panel of pieces that are no music is ranked beside real melodies; with
`--exploit` a search and a short training look for what pays most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import tyro

from agents.settings import commands
from agents.settings.config import TrainConfig

if TYPE_CHECKING:
    from envs.music.task import Task


@dataclass(frozen=True)
class CheckConfig:
    """Settings of a check: the reward and the pieces it is tried on.

    Attributes:
        reward: names as name or name=weight, parameters behind commas: my_rewards.py:swing
            in_key=2 leap_recovery=0.5,min_leap=7
        key: of the pieces it is tried on.
        meter: of those pieces.
        bars: of those pieces; without key, metre, bars or voices several tasks are tried.
        voices: of those pieces.
        exploit: also search for the pieces that are paid most, by a beam and a short training.
        strict: fail if the panel's verdict is bad.
    """

    reward: Annotated[tuple[str, ...], tyro.conf.Positional]
    key: str = ""
    meter: str = ""
    bars: int = 0
    voices: int = 0
    exploit: bool = False
    strict: bool = False

    @property
    def task(self) -> Task | None:
        """The task that is asked for, None if nothing is said of it."""
        from rewards.checking.check_report import PANEL_TASK

        asked = {name: getattr(self, name) for name in ("key", "meter", "bars", "voices")}
        asked = {name: value for name, value in asked.items() if value}
        return replace(PANEL_TASK, **asked) if asked else None


def check(config: CheckConfig) -> int:
    """Print the report. Returns the exit status: 1 if something is broken."""
    from agents.training.exploit import examine

    if not config.reward:
        raise ValueError("no reward is named; expected such as my_rewards.py:swing or in_key=2")
    spec = TrainConfig(reward=config.reward).terms
    report = examine(spec, config.task, exploit=config.exploit)
    print(report)
    return 1 if report.broken or (config.strict and report.verdicts) else 0


def main() -> None:
    """Command line."""
    commands.run(lambda: check(commands.parse(CheckConfig, "check", __doc__)))


if __name__ == "__main__":
    main()
