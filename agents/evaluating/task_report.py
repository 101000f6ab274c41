"""The report of a run: payments of prior and agent on the same tasks, and what is not rewarded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import NamedTuple

import numpy as np

from agents.evaluating.comparison import DISTINCT, EDIT, JUDGE, KL, PAID, RETURN, compare, table
from agents.settings.tasks import differences, shares
from envs.music.task import Task
from pretrained.ngrams.judge import Judge
from pretrained.prior import Prior
from rewards.adaptive.fresh import ACCURACY, AREA
from rewards.spec import short_names
from rewards.sum import RewardSum

Columns = Mapping[str, Mapping[str, float]]
COST = "all broken rules"
SHOWN = 0.005  # nats a piece; less is shown as nothing


class BothSides(NamedTuple):
    """A number of the prior's pieces, and the same number of the agent's."""

    name: str
    prior: float
    agent: float


@dataclass(frozen=True)
class TaskReport:
    """Numbers of a prior and an agent on the same tasks; as text the report of a run.

    Attributes:
        columns: those of `agents.evaluating.comparison.compare`; means over the tasks if there are
            several, and the sum of the distinct pieces.
        pieces: of each, on all tasks together.
        tasks: that they were drawn on.
        reward: pays them.
    """

    columns: Columns
    pieces: int
    tasks: Sequence[Task]
    reward: RewardSum

    def row(self, row: str, name: str = "") -> BothSides:
        """Return a row of the columns under a shorter name; NaN for a number that is missing."""
        prior, agent = (self.columns[head].get(row, nan) for head in ("prior", "agent"))
        return BothSides(name or row, prior, agent)

    @property
    def terms(self) -> list[BothSides]:
        """The mean payment of a piece by each term that is no rule, weighted."""
        return self._paid(rules=False)

    @property
    def broken(self) -> list[BothSides]:
        """The mean charge of a piece by each rule, weighted, the agent's costliest first."""
        return sorted(self._paid(rules=True), key=lambda each: (each.agent, each.prior))

    @property
    def cost(self) -> BothSides:
        """The mean charge of a piece by all rules together."""
        broken = self._paid(rules=True)
        return BothSides(COST, sum(each.prior for each in broken), sum(e.agent for e in broken))

    @property
    def unrewarded(self) -> list[BothSides]:
        """Diversity, nats per note of the held-out judge, likeness to real tunes in per cent."""
        names = [EDIT, DISTINCT, JUDGE]
        overlaps = [name for name in self.columns["agent"] if name.endswith(", overlap")]
        names += [*overlaps, ACCURACY, AREA]
        return [each for each in map(self.row, names) if not isnan(each.agent)]

    def _paid(self, rules: bool) -> list[BothSides]:
        short = short_names(self.reward.terms)
        return [
            self.row(PAID + name, short[name])
            for name, term in self.reward.terms.items()
            if term.rule.violation == rules
        ]

    def __str__(self) -> str:
        over = f", over {len(self.tasks)} tasks: {differences(self.tasks)}" * (len(self.tasks) > 1)
        seen = [each for each in self.broken if min(each.prior, each.agent) <= -SHOWN]
        kept = [each.name for each in self.broken if each not in seen]
        paid = [self.row(RETURN, "return"), *self.terms, self.cost]
        lines = [f"{self.pieces:,} pieces each{over}", ""]
        lines += _lines("paid a piece", [*paid, self.row(KL)])
        lines += _lines("broken rules, the agent's costliest first", seen)
        if kept:
            lines += [f"not broken by either: {', '.join(kept)}", ""]
        lines += _lines("not rewarded", self.unrewarded)
        return "\n".join(lines).rstrip()


def _lines(head: str, changes: Iterable[BothSides]) -> list[str]:
    """Return a head and a line for each change; no lines if there are no changes."""
    rows = list(changes)
    if not rows:
        return []
    lines = [f"{head:<44}{'prior':>10}{'agent':>10}{'change':>10}"]
    for name, prior, agent in rows:
        form = ",.0f" if name == DISTINCT else ".2f"
        share = f"  ({agent / prior - 1:+.0%})" if name == COST and prior else ""
        numbers = f"{prior:>10{form}}{agent:>10{form}}{agent - prior:>+10{form}}"
        lines.append(f"{name:<44}{numbers}{share}")
    return [*lines, ""]


def report_on(
    agent: Prior,
    prior: Prior,
    tasks: Sequence[Task],
    n: int,
    seed: int,
    reward: RewardSum,
    *,
    temperature: float = 1.0,
    mask: RewardSum | None = None,
    judge: Judge | None = None,
    apart: bool = False,
) -> TaskReport:
    """Draw pieces of a prior and an agent on the same tasks, and report on them.

    Args:
        agent: drawn from, behind its mask.
        prior: drawn from, and what the KL is measured against.
        tasks: the pieces are divided among them.
        n: pieces of each in all.
        seed: of the draws.
        reward: pays them.
        temperature: of the agent's draws; the KL is measured at 1 only.
        mask: rules that the agent cannot break.
        judge: the held-out judge, None for none.
        apart: also train discriminators afresh, see `agents.evaluating.comparison.compare`.
    """
    drawn = shares(tasks, n)
    parts = [
        compare(agent, prior, task, count, seed + number, temperature, mask, reward, judge, apart)
        for number, (task, count) in enumerate(drawn)
    ]
    columns = {head: _mean([part[head] for part in parts]) for head in ("prior", "agent")}
    return TaskReport(columns, n, [task for task, _ in drawn], reward)


def _mean(columns: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the means of columns row by row over those that have a number, the sum of DISTINCT."""
    if len(columns) == 1:
        return dict(columns[0])
    names = dict.fromkeys(name for column in columns for name in column)
    found = {}
    for name in names:
        known = [column[name] for column in columns if not isnan(column.get(name, nan))]
        found[name] = float(np.mean(known)) if known else nan
    return found | {DISTINCT: sum(column[DISTINCT] for column in columns)}


def as_text(report: TaskReport) -> str:
    """Return a report as text: on the paper's task the table, with the published figures if it can.

    On other tasks it is `str(report)`.
    """
    if list(report.tasks) == [Task()]:
        return table(report.columns, report.pieces, Task(), report.reward)
    return str(report)
