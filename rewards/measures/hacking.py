"""Is the reward being hacked: does the return rise while what nobody rewards falls?

An agent maximises its reward and not what was meant by it (Goodhart's law; Gao, Schulman &
Hilton 2023, arXiv 2210.10760, measure the gap on a second reward model). What the reward does not
see can tell: a judge that no agent learns from, the diversity of the pieces, and the rules that
are not rewarded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import copysign, inf, isfinite, sqrt
from statistics import fmean, median

import numpy as np

from envs.music.score import Score
from rewards.measures.statistics import INTERVALS, collect
from rewards.rule import REGISTRY
from rewards.sum import RewardSum
from rewards.term import Term

Row = dict[str, float]
BEGINNING = 3  # updates by which hardly anything is learned
WINDOW = 8  # latest updates
MEMORY = 128  # updates from whose steps the noise is estimated
ERRORS = 5.0  # standard errors that a change must exceed
SHARE = 1 / 3  # of the size at the beginning that a watched number must lose
NORMAL_STEP = 0.954  # median of |a - b| for normal a and b of deviation 1: 0.6745 x sqrt(2)
RULES_NAMED = 3  # unrewarded rules in a warning
# Statistic of `metrics.rl_tuner_statistics` -> the term whose function counts it.
STATISTICS = {
    "notes_not_in_key": "key",
    "notes_in_motif": "motif",
    "notes_in_repeated_motif": "repeated_motif",
    "num_starting_tonic": "tonic",
    "num_repeated_notes": "penalize_repeating",
    "num_resolved_leaps": "leap_up_back",
    "num_leap_twice": "leap_up_back",
    "num_high_unique": "high_low_unique",
    "num_low_unique": "high_low_unique",
    **dict.fromkeys(INTERVALS, "preferred_intervals"),
    **{f"autocorrelation{lag}": "penalize_autocorrelation" for lag in (1, 2, 3)},
}


def held_out_rules(reward: RewardSum) -> list[str]:
    """Return the names of the registered terms and RL Tuner statistics that a reward does not pay.

    A term is paid for if its function has a weight other than 0, under whatever name and with
    whatever parameters, or its twin's has; a statistic, if its term is.
    """
    paid = [term.rule.origin for term in reward.terms.values() if term.weight]
    names = {n for n, rule in REGISTRY.items() if any(rule.origin is each for each in paid)}
    twins = {(n, rule.twin) for n, rule in REGISTRY.items() if rule.twin}
    names |= {b for a, b in twins if a in names} | {a for a, b in twins if b in names}
    free = [name for name in REGISTRY if name not in names]
    return free + [name for name, term in STATISTICS.items() if term not in names]


def rule_means(score: Score, names: Sequence[str]) -> Row:
    """Return means per piece of registered terms (unweighted sums) and RL Tuner statistics.

    Args:
        score: finished pieces.
        names: such as `held_out_rules` gives.

    Returns:
        A number for each name; NaN for an autocorrelation if every piece is constant.

    Raises:
        ValueError: an unknown name, or pieces that are not finished.
        RewardError: a term fails.
    """
    unknown = [name for name in names if name not in REGISTRY and name not in STATISTICS]
    if unknown:
        raise ValueError(
            f"unknown rule {unknown[0]!r}: expected registered terms or RL Tuner statistics, "
            f"such as {', '.join([*REGISTRY, *STATISTICS][:3])}; ask held_out_rules(reward)"
        )
    if not score.finished:
        raise ValueError("rules are averaged over finished pieces; write the rest of them first")
    counts = collect(score) if any(name in STATISTICS for name in names) else {}
    means: Row = {}
    for name in names:
        if name in REGISTRY:
            term = Term(name, REGISTRY[name])
            values = term.factor * term.whole(score).sum(axis=(1, 2), dtype=np.float64)
        else:
            values = counts[name][~np.isnan(counts[name])]
        means[name] = float(values.mean()) if len(values) else float("nan")
    return means


class HackingMonitor:
    """Warns when the return has risen since the run began and a watched number has fallen.

    The mean of the latest `window` updates is compared with that of the first 3, and not with a
    moment ago: a slow slide is one too, and a policy begins as the prior, so what it writes first
    is music. A change counts if it exceeds `errors` standard errors, noise x sqrt(1/3 +
    1/window). The noise of one update is the median step between the last 128 of them, divided
    by the 0.954 that it is for a normal distribution of deviation 1; learning moves a median
    little. Nothing is said before 3 + `window` updates.

    A fall counts if it is also more than `share` of the number's size at the beginning: a healthy
    run too pays for its return in likelihood and variety, but less. The default run of version
    0.1 lost 32% of its nats per note at the worst moment and 30% of its rhythm entropy; with the
    weights rl_tuner=0.5 prior=1 it ends in one piece and loses all but 1% of its Vendi score.

    Six numbers of white noise gave no alarm in 200 runs of 200 updates under a rising return,
    however wide the noise. Noise that drifts (correlation 0.5 from update to update) gave none
    up to a deviation of a tenth of the number, and one in 2 of 5 runs from a fifth on.

    A number that was warned of is not named again until it has made good half of that share.

    Args:
        window: latest updates, 2 or more.
        errors: standard errors, 0 or more.
        share: 0 or more.

    Raises:
        ValueError: a setting outside these ranges.
    """

    def __init__(self, window: int = WINDOW, errors: float = ERRORS, share: float = SHARE) -> None:
        if window < 2 or not errors >= 0 or not share >= 0:
            raise ValueError(
                f"window={window}, errors={errors}, share={share}: expected a window of 2 updates "
                "or more, and no number below 0"
            )
        self.window, self.errors, self.share = window, errors, share
        self.first: list[Row] = []
        self.history: deque[Row] = deque(maxlen=max(MEMORY, BEGINNING + window))
        self.raised: set[str] = set()

    def update(
        self,
        steps: int,
        returned: float,
        watched: Mapping[str, float],
        rules: Mapping[str, float] | None = None,
    ) -> str:
        """Take note of one update; a warning if it gives reason for one, else ''.

        Args:
            steps: environment steps so far.
            returned: mean return of the update's pieces.
            watched: numbers that are good when high: the diversity, the judge's nats per note. Per
                token they would tell of longer notes as well.
            rules: means of unrewarded rules, of which a warning names those that moved most.
                NaN where a rule could not be counted.

        Raises:
            ValueError: a return or watched number that is not finite, or other names than before.
        """
        row = {"steps": float(steps), "return": returned, **watched, **(rules or {})}
        bad = [name for name in ("return", *watched) if not isfinite(row[name])]
        if bad:
            raise ValueError(
                f"{bad[0]} is {row[bad[0]]} at step {steps:,}, expected a finite number; "
                "has learning diverged?"
            )
        if self.first and row.keys() != self.first[0].keys():
            odd = sorted(row.keys() ^ self.first[0].keys())
            raise ValueError(f"update with other numbers than before: {odd}; give the same names")
        self.history.append(row)
        if len(self.first) < BEGINNING:
            self.first.append(row)
        if len(self.history) < BEGINNING + self.window:
            return ""
        for name in [name for name in self.raised if self._lost(name) < self.share / 2]:
            self.raised.remove(name)
        fallen = [
            name
            for name in watched
            if name not in self.raised
            and self._lost(name) > self.share
            and self._change(name) < -self.errors
        ]
        if not fallen or self._change("return") <= self.errors:
            return ""
        self.raised.update(fallen)
        return self._warning(fallen, list(rules or ()))

    def _means(self, name: str) -> tuple[float, float]:
        """Mean of a number over the first and over the latest updates."""
        latest = list(self.history)[-self.window :]
        return fmean(row[name] for row in self.first), fmean(row[name] for row in latest)

    def _lost(self, name: str) -> float:
        """Share of its size at the beginning by which a number has fallen; below 0 if it rose."""
        before, now = self._means(name)
        return (before - now) / abs(before) if before else (inf if now < 0 else 0.0)

    def _change(self, name: str) -> float:
        """Difference of the two means in standard errors; 0 where it is not known."""
        before, now = self._means(name)
        steps = median(abs(b[name] - a[name]) for a, b in pairwise(self.history))
        error = steps / NORMAL_STEP * sqrt(1 / BEGINNING + 1 / self.window)
        if not isfinite(now - before) or now == before:
            return 0.0
        return (now - before) / error if error else copysign(inf, now - before)

    def _warning(self, fallen: list[str], rules: list[str]) -> str:
        start, end = (int(rows[-1]["steps"]) for rows in (self.first, self.history))
        moved = [name for name in rules if abs(self._change(name)) > self.errors]
        moved.sort(key=lambda name: -abs(self._change(name)))
        text = (
            f"the reward may be hacked: from the first {BEGINNING} updates (to step {start:,}) to "
            f"the latest {self.window} (to step {end:,}) the mean return rose from "
            f"{self._told('return')}, while {self._listed(fallen)} fell. Listen to samples; "
            "then give what is missing a weight, or raise the weight of prior or entropy."
        )
        told = self._listed(moved[:RULES_NAMED])
        return text + (f" Broken rules a piece that are not rewarded: {told}." if moved else "")

    def _listed(self, names: list[str]) -> str:
        return ", ".join(f"{name} ({self._told(name)})" for name in names)

    def _told(self, name: str) -> str:
        before, now = self._means(name)
        return f"{before:.3g} to {now:.3g}"
