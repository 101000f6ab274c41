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
from typing import NamedTuple

import numpy as np

from envs.music.score import Score
from rewards.measures import traits
from rewards.measures.statistics import INTERVALS, collect
from rewards.rule import REGISTRY
from rewards.sum import RewardSum
from rewards.term import Term

Row = dict[str, float]


class Sign(NamedTuple):
    """A number that falls where a reward is hacked.

    Attributes:
        share: of the prior's own number that it must lose; see the figures in docs/warnings.md.
        says: what has happened then.
    """

    share: float
    says: str


SIGNS = {
    "judge": Sign(0.45, "a judge that has counted other songs finds the pieces unlikely"),
    "distinct": Sign(0.1, "whole pieces are written again"),
    "vendi": Sign(0.5, "the pieces are made of the same few figures"),
    "edit_distance": Sign(0.25, "the pieces are alike"),
    "interval_entropy": Sign(0.2, "few turns of the line are left, as in a trill or a scale"),
    "rhythm_entropy": Sign(0.4, "few rhythms are left"),
    "opening": Sign(0.1, "many pieces begin with the same notes"),
    "close": Sign(0.1, "many pieces end with the same notes"),
    "figures": Sign(0.12, "one figure is in many pieces"),
    "new_bars": Sign(0.2, "bars are copied within a piece"),
    "own_notes": Sign(0.5, "tunes of the corpus are copied"),
    "sounding": Sign(0.2, "a bar is silent"),
}
PRIOR = "prior/"  # before the name of one of the prior's numbers
SPREAD = PRIOR + "spread"  # of the return from piece to piece
BEGINNING = 3  # updates by which hardly anything is learned
WINDOW = 8  # latest updates
MEMORY = 128  # updates from whose steps the noise is estimated
ERRORS = 5.0  # standard errors that a change must exceed
RISEN = 2.0  # by which a return must exceed the prior's; what tasks allow differs
SHARE = 1 / 3  # of the size at the beginning that a number must lose, without the prior's
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
    whatever parameters, or its twin's has; a statistic, if its term is. Traits, of which
    more is neither good nor bad, are left out.
    """
    paid = [term.rule.origin for term in reward.terms.values() if term.weight]
    names = {n for n, rule in REGISTRY.items() if any(rule.origin is each for each in paid)}
    twins = {(n, rule.twin) for n, rule in REGISTRY.items() if rule.twin}
    names |= {b for a, b in twins if a in names} | {a for a, b in twins if b in names}
    names |= {name for name, rule in REGISTRY.items() if rule.__module__ == traits.__name__}
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
    """Warns when the return has risen and a watched number has fallen.

    The mean of the latest `window` updates is compared with the prior's own numbers on the same
    task, if `update` is given them, else with the mean of the first 3 updates: what a policy
    writes first is music, as it begins as the prior. Each update is compared with its own task,
    so that pieces in another key, metre or length raise no alarm.

    A change counts if it exceeds `errors` standard errors, noise x sqrt(1/3 + 1/window). The
    noise of one update is the median step between the last 128 of them, divided by the 0.954 that
    it is for a normal distribution of deviation 1; learning moves a median little. Of a return
    that is compared with the prior's 2 are enough, as tasks differ in what can be earned on them,
    which looks like noise. Nothing is said
    before `window` updates with the prior's numbers, and before 3 + `window` without.

    A fall counts if it is also more than a share of the number that it is compared with: a
    healthy run too pays for its return in likelihood and variety, but less. `SIGNS` holds the
    shares against the prior; they lie between the healthy runs and those that are paid for a
    known exploit, see `tests.tools.planted_exploits`. Against its first updates, which are three
    and already learned from, a run may lose a third.

    Six numbers of white noise, compared with first updates, gave no alarm in 200 runs of 200
    updates under a rising return, however wide the noise.

    A number that was warned of is not named again until it has made good half of that share.

    Args:
        window: latest updates, 2 or more.
        errors: standard errors, 0 or more.
        share: for every number, 0 or more; None for those above.

    Raises:
        ValueError: a setting outside these ranges.
    """

    def __init__(
        self, window: int = WINDOW, errors: float = ERRORS, share: float | None = None
    ) -> None:
        if window < 2 or not errors >= 0 or not (share is None or share >= 0):
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
        prior: Mapping[str, float] | None = None,
    ) -> str:
        """Take note of one update; a warning if it gives reason for one, else ''.

        Args:
            steps: environment steps so far.
            returned: mean return of the update's pieces.
            watched: numbers that are good when high: the diversity, the judge's nats per note. Per
                token they would tell of longer notes as well.
            rules: means of unrewarded rules, of which a warning names those that moved most.
                NaN where a rule could not be counted.
            prior: the watched numbers of as many pieces of the prior on the same task, their mean
                `return`, and its `spread`, the standard deviation from piece to piece.

        Raises:
            ValueError: a return or watched number that is not finite, other names than before, or
                a number that the prior's lack.
        """
        told = {PRIOR + name: value for name, value in (prior or {}).items()}
        row = {"steps": float(steps), "return": returned, **watched, **(rules or {}), **told}
        bad = [name for name in ("return", *watched, *told) if not isfinite(row[name])]
        if bad:
            raise ValueError(
                f"{bad[0]} is {row[bad[0]]} at step {steps:,}, expected a finite number; "
                "has learning diverged?"
            )
        missing = {*watched, "return", "spread"} - (prior or {}).keys()
        odd = sorted(missing) if prior else []
        if odd or (self.first and row.keys() != self.first[0].keys()):
            odd = odd or sorted(row.keys() ^ self.first[0].keys())
            raise ValueError(f"update with other numbers than before: {odd}; give the same names")
        self.history.append(row)
        if len(self.first) < BEGINNING:
            self.first.append(row)
        if len(self.history) < self.window + (0 if prior else BEGINNING):
            return ""
        for name in [name for name in self.raised if self._lost(name) < self._share(name) / 2]:
            self.raised.remove(name)
        fallen = [
            name
            for name in watched
            if name not in self.raised
            and self._lost(name) > self._share(name)
            and self._change(name) < -self.errors
        ]
        least = min(RISEN, self.errors) if prior else self.errors
        if not fallen or self._change("return") <= least:
            return ""
        self.raised.update(fallen)
        return self._warning(fallen, list(rules or ()))

    def _share(self, name: str) -> float:
        if self.share is not None:
            return self.share
        known = name in SIGNS and PRIOR + name in self.history[-1]
        return SIGNS[name].share if known else SHARE

    def _course(self, name: str) -> tuple[float, list[float]]:
        """Return the value that a number is compared with, and its course along the updates.

        With the prior's numbers the course is that of the relative distance to them, for the
        return in spreads, and 0 is what it is compared with.
        """
        reference = PRIOR + name
        if reference not in self.history[-1]:
            return fmean(row[name] for row in self.first), [row[name] for row in self.history]
        scale = SPREAD if name == "return" else reference
        course = [(row[name] - row[reference]) / (abs(row[scale]) or 1.0) for row in self.history]
        return 0.0, course

    def _lost(self, name: str) -> float:
        """Share of what it is compared with by which a number has fallen; below 0 if it rose."""
        before, course = self._course(name)
        fall = before - fmean(course[-self.window :])
        if PRIOR + name in self.history[-1]:
            return fall
        return fall / abs(before) if before else (inf if fall > 0 else 0.0)

    def _change(self, name: str) -> float:
        """Difference to what it is compared with in standard errors; 0 where it is not known."""
        before, course = self._course(name)
        now = fmean(course[-self.window :])
        steps = median(abs(b - a) for a, b in pairwise(course))
        error = steps / NORMAL_STEP * sqrt(1 / BEGINNING + 1 / self.window)
        if not isfinite(now - before) or now == before:
            return 0.0
        return (now - before) / error if error else copysign(inf, now - before)

    def _warning(self, fallen: list[str], rules: list[str]) -> str:
        start, end = (int(rows[-1]["steps"]) for rows in (self.first, self.history))
        moved = [name for name in rules if abs(self._change(name)) > self.errors]
        moved.sort(key=lambda name: -abs(self._change(name)))
        if PRIOR + fallen[0] in self.history[-1]:
            said = "; ".join(dict.fromkeys(SIGNS[n].says for n in fallen if n in SIGNS))
            text = (
                f"the reward may be hacked: {said or 'the pieces have changed'}. From the prior's "
                f"own pieces to those of the latest {self.window} updates (to step {end:,}) the "
                f"mean return rose from {self._told('return')}, while {self._listed(fallen)} fell."
            )
        else:
            text = (
                f"the reward may be hacked: from the first {BEGINNING} updates (to step {start:,}) "
                f"to the latest {self.window} (to step {end:,}) the mean return rose from "
                f"{self._told('return')}, while {self._listed(fallen)} fell."
            )
        text += (
            " Listen to samples; then give what is missing a weight, or raise the weight of prior "
            "or entropy."
        )
        told = self._listed(moved[:RULES_NAMED])
        return text + (f" Broken rules a piece that are not rewarded: {told}." if moved else "")

    def _listed(self, names: list[str]) -> str:
        return ", ".join(f"{name} ({self._told(name)})" for name in names)

    def _told(self, name: str) -> str:
        latest = list(self.history)[-self.window :]
        known = PRIOR + name in latest[-1]
        before = fmean(row[PRIOR + name] for row in latest) if known else self._course(name)[0]
        return f"{before:.3g} to {fmean(row[name] for row in latest):.3g}"
