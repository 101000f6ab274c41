"""Check a reward: does it keep the contract, what does it cost, and what does it pay for?

    python -m envs.check my_rewards.py:swing
    python -m envs.check in_key=2 my_rewards.py:swing=0.5 --meter 3/4 --exploit

    def test_my_reward():
        check_reward(swing)

Each promise of the contract that is broken is told with what was expected, what was found and
what to do. Then a panel of pieces that are no music is ranked beside real melodies; with
`--exploit` a search and a short training look for what pays most.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
import tyro

from envs.contract import BUILDER, RewardError, RewardFunction, RewardSpec, RewardTerm, resolve
from envs.cost import Cost, measure
from envs.notation import text
from envs.panel import MOST, Panel, rank, share_below
from envs.probes import broken_promises, transposition
from envs.score import Score
from envs.tape import Array
from envs.task import Task
from envs.theory import Key, Meter

# Found when they are asked for: `envs` imports neither.
EXPLOITER = "agents.exploit:exploits"
PARSER = "agents.config:parse_term"

TASKS = (
    Task(),
    Task(Key("A", "minor"), Meter(6, 8), bars=2, low=55, high=79, pickup=3),
)
TWO_VOICES = Task(bars=1, voices=2)
PANEL_TASK = Task(bars=8)
PANEL_SECONDS = 5.0  # about how long a slow reward may take over real melodies


class RewardWarning(UserWarning):
    """A reward keeps the contract and still pays for what is no music."""


@dataclass
class Report:
    """What a check found.

    Attributes:
        name: of the reward.
        broken: a message for each promise of the contract that a term breaks.
        verdicts: what is wrong with the panel's ranking.
        notes: what is worth knowing and no fault.
        cost: time per piece; None if not measured.
        panel: the ranking; None if not asked for.
        exploits: a paragraph for each piece that a search found.
    """

    name: str
    broken: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cost: Cost | None = None
    panel: Panel | None = None
    exploits: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [
            f"{self.name}: " + ("breaks the contract" if self.broken else "keeps the contract")
        ]
        parts += [f"broken: {said}" for said in self.broken]
        parts += [f"note: {said}" for said in self.notes]
        parts += [str(self.cost)] if self.cost else []
        parts += [str(self.panel)] if self.panel else []
        parts += [f"warning: {said}" for said in self.verdicts]
        return "\n".join(parts + self.exploits)


def check_reward(
    reward: RewardSpec | RewardFunction,
    task: Task | None = None,
    *,
    strict: bool = False,
    exploit: bool = False,
    panel: bool = True,
    cost: bool = True,
) -> Report:
    """Check a reward; one line in a test of one's own.

    Args:
        reward: a function, a name, 'file.py:function', or a mapping of names to weights.
        task: what pieces are tried on; if None two short tasks of one voice, and eight bars of
            4/4 for the panel.
        strict: whether a bad verdict of the panel raises too. It warns otherwise; a rule alone,
            which only takes off, does neither.
        exploit: whether to search for pieces that are paid most; takes up to a minute.
        panel: whether to rank the panel.
        cost: whether to measure the time.

    Returns:
        what was found; print it.

    Raises:
        RewardError: a promise of the contract is broken, or a verdict is bad and `strict`.
        ValueError: an unknown reward.
    """
    report = examine(reward, task, panel=panel, cost=cost, exploit=exploit)
    faults = report.broken + (report.verdicts if strict else [])
    if faults:
        raise RewardError("\n".join(faults))
    for said in report.verdicts:
        warnings.warn(f"reward {report.name!r}: {said}", RewardWarning, stacklevel=2)
    return report


def examine(
    reward: RewardSpec | RewardFunction,
    task: Task | None = None,
    *,
    panel: bool = True,
    cost: bool = True,
    exploit: bool = False,
) -> Report:
    """The same without raising for what it finds; arguments as `check_reward`."""
    total: Any = resolve(BUILDER)(reward)
    terms: list[RewardTerm] = list(total.terms.values())
    report = Report(" + ".join(term.name for term in terms))
    tasks = TASKS if task is None else (task,)
    for term in terms:  # what is broken on one task is not told again of the next
        report.broken += next(filter(None, (broken_promises(term, each) for each in tasks)), [])
    if report.broken:
        return report
    if len(terms) == 1:
        report.notes += [said for said in _notes(terms[0], tasks[0], task is None) if said]
    large = task or PANEL_TASK
    parts = {term.name: term.fn for term in terms}
    timed = measure(total, large, parts) if cost or panel or exploit else None
    report.cost = timed if cost else None
    if timed and (panel or exploit):
        most = int(np.clip(PANEL_SECONDS / max(timed.batched, 1e-9), 10, MOST))
        report.panel = rank(lambda score: _paid(total, score), large, most)
        if len(terms) == 1 and getattr(terms[0].fn, "violation", False):
            report.notes.append(
                "a rule alone only takes off, so its best pieces may be no music; give it beside "
                "terms that pay for notes, such as prior=1"
            )
        else:
            report.verdicts += report.panel.verdicts
        if exploit:
            report.exploits = _exploits(total, large, report.panel, timed)
    return report


def _paid(total: RewardFunction, score: Score) -> Array:
    return np.asarray(total(score).sum(axis=(1, 2), dtype=np.float64))


def _notes(term: RewardTerm, task: Task, voices: bool) -> list[str]:
    notes = [transposition(term, task)]
    if voices:
        broken = broken_promises(term, TWO_VOICES)
        notes.append(f"with two voices, {broken[0]}" if broken else "it works with two voices")
    return notes


def _exploits(total: Any, task: Task, panel: Panel, cost: Cost) -> list[str]:
    said = []
    for name, found in resolve(EXPLOITER)(total, task, cost.batched):
        paid = float(_paid(total, found)[0])
        above = share_below(panel.real, paid)
        more = "" if np.isnan(above) else f", more than {above:.0%} of real melodies"
        said.append(f"{name} found a piece that is paid {paid:.4g}{more}:\n  {text(found)}")
    return said


@dataclass(frozen=True)
class CheckConfig:
    """What to check.

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
        asked = {name: getattr(self, name) for name in ("key", "meter", "bars", "voices")}
        asked = {name: value for name, value in asked.items() if value}
        return replace(PANEL_TASK, **asked) if asked else None


def check(config: CheckConfig) -> int:
    """Print the report. Returns the exit status: 1 if something is broken."""
    if not config.reward:
        raise ValueError("no reward is named; expected such as my_rewards.py:swing or in_key=2")
    parse = resolve(PARSER)
    spec = dict(parse(word) for word in config.reward)
    report = examine(spec, config.task, exploit=config.exploit)
    print(report)
    return 1 if report.broken or (config.strict and report.verdicts) else 0


def main() -> None:
    """Command line."""
    config = tyro.cli(CheckConfig, prog="python -m envs.check", description=__doc__)
    try:
        status = check(config)
    except (ValueError, TypeError, OSError, RewardError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        status = 2
    sys.exit(status)


if __name__ == "__main__":
    main()
