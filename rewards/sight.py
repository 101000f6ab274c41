"""RuleSight: what the terms of a reward see of each token that may be written next.

Of each term that is cell-wise, it gives the value that the token would have, and what the term's
scans say in its cell: the running state of a rule that is judged later. All of it comes from the
term itself, asked of the pieces with one more cell (`rewards.masks.children`), so every rule has
it, one of a user's own too.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from envs.contract import LearningReward
from envs.errors import RewardError, quoted
from envs.music.codec import UNWRITTEN
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.noise import noise
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.networks.sighted import SightError
from rewards.likelihood import Likelihood
from rewards.masks import children
from rewards.rule import OWN, REGISTRY, as_rule
from rewards.term import Term

MOST = 1e4  # larger numbers of a scan are cut
MOST_COLUMNS = 512
ALLOWED = "allowed"  # the first column
TRIED = (
    Task(),
    Task(bars=8),
    Task(
        bars=8,
        meter=Meter.parse("3/4"),
        key=Key.parse("A minor"),
        chords="i | iv | V | i",
        phrases="AABA",
    ),
)


class RuleSight:
    """Columns that terms give, see `pretrained.networks.sighted.Sight`.

    Args:
        terms: cell-wise ones; their weights do not matter.
        columns: names of the columns of their scans; those of the first of TRIED if None.

    Attributes:
        terms: the terms.
        columns: names of all columns.
        width: their number.
    """

    def __init__(self, terms: Sequence[Term], columns: Sequence[str] | None = None) -> None:
        self.terms = tuple(terms)
        self._scans: dict[Task, list[tuple[int, Any, int]]] = {}
        if columns is None:
            names = [name for task in TRIED for name, *_ in self._scans_of(task)]
            columns = [ALLOWED, *(term.name for term in self.terms), *dict.fromkeys(names)]
        self.columns, self.width = tuple(columns), len(columns)
        if self.width > MOST_COLUMNS:
            raise SightError(
                f"{len(self.terms)} terms have {self.width} columns; expected {MOST_COLUMNS}"
            )

    def __deepcopy__(self, memo: Any) -> RuleSight:
        return self  # it is never written into

    @classmethod
    def of(cls, terms: Iterable[Term]) -> RuleSight | None:
        """Return the sight of all terms that can be seen, None if there is none.

        Those are cell-wise, can be asked of pieces of TRIED, and do not learn: a checkpoint has to
        find them again as they were.
        """
        seeing = [term for term in terms if _can_be_seen(term)]
        return cls(seeing) if seeing else None

    # -- seeing ----------------------------------------------------------------------------------

    def require(self, task: Task) -> None:
        """Do nothing: rules judge pieces of every task, or raise when they are asked."""

    def at(self, score: Score) -> Array:
        """Return float32 (B, vocab, width), see `Sight.at`."""
        seen = np.zeros((score.batch, score.task.codec.vocab, self.width), np.float32)
        if score.n_written:
            self._ask(score.newest)  # known once here, it is not worked out by every child
        for rows, tokens, child in children(score, score.allowed()):
            values, cell = self._ask(child.newest), child.n_written - 1
            known = child.scanned()
            row = np.zeros((child.batch, self.width), np.float32)
            row[:, 0] = 1
            for number, value in enumerate(values, 1):
                row[:, number] = value[:, 0, 0]
            for column, key, output in self._columns_of(score.task):
                row[:, column] = _cut(known[key][output][cell])
            seen[rows, tokens] = row
        return seen

    def along(self, score: Score) -> Array:
        """Return float32 (B, V * T, vocab, width), see `Sight.along`."""
        written = score.written_since(0)
        page = Score(np.where(score.task.free, UNWRITTEN, score.tokens), score.task, 0)
        seen = []
        for cell in range(score.task.steps):
            seen.append(self.at(page))
            page = page.write(written[:, cell])
        return np.stack(seen, axis=1)

    def facts(self, score: Score) -> Array:
        """Return float32 (B, V * T, width): what is seen of the written tokens, in their order."""
        facts = np.zeros((score.batch, score.task.steps, self.width), np.float32)
        facts[..., 0] = 1
        for number, value in enumerate(self._ask(score), 1):
            facts[..., number] = value.swapaxes(1, 2).reshape(score.batch, -1)
        known = score.scanned()
        for column, key, output in self._columns_of(score.task):
            facts[..., column] = _cut(known[key][output]).T
        return facts

    def _ask(self, score: Score) -> list[Array]:
        """Return the values of the terms, whose scans are then up to date."""
        return [term.raw(score) for term in self.terms]

    def _columns_of(self, task: Task) -> list[tuple[int, Any, int]]:
        """Return each column of a scan, with the key of the scan and the number of its output."""
        if task not in self._scans:
            found = [(name, *scan) for name, *scan in self._scans_of(task) if name in self.columns]
            self._scans[task] = [(self.columns.index(name), *scan) for name, *scan in found]
        return self._scans[task]

    def _scans_of(self, task: Task) -> list[tuple[str, Any, int]]:
        """Return name, key and number of each output of the scans that the terms run."""
        outputs: dict[Any, tuple[str, int]] = {}
        for term in self.terms:
            score, count = noise(task, 0, 1), Counter[str]()
            term.raw(score.newest)
            for key, values in score.scanned().items():
                step = getattr(key[0], "__name__", "scan")
                count[step] += 1
                name = f"{term.name} {step} {count[step]}"
                outputs.setdefault(key, (name, len(values)))
        return [
            (f"{name}.{number}", key, number)
            for key, (name, size) in outputs.items()
            for number in range(size)
        ]

    # -- writing down ----------------------------------------------------------------------------

    @property
    def description(self) -> dict[str, Any]:
        """The terms by their names, parameters and fingerprints, and the names of all columns."""
        terms = [
            {
                "name": term.name,
                "rule": term.rule.name if term.rule.ships else term.name,
                "parameters": dict(getattr(term.rule.fn, "keywords", {})),
                "fingerprint": fingerprint(term),
            }
            for term in self.terms
        ]
        return {"terms": terms, "columns": list(self.columns)}


def _can_be_seen(term: Term) -> bool:
    learns = any(isinstance(layer, LearningReward) for layer in term.rule.layers())
    if learns or not term.cellwise or isinstance(term.rule.fn, Likelihood):
        return False
    try:
        fingerprint(term)
    except RewardError:  # it judges other pieces only; a training with it says so where it cannot
        return False
    return True


def _cut(values: Array) -> Array:
    return np.nan_to_num(values).clip(-MOST, MOST)


def fingerprint(term: Term) -> str:
    """Return a hash of what a term and its scans say of pieces of noise; it tells the rule."""
    digest = hashlib.sha256()
    for task in TRIED:
        score = noise(task, 1, 4, holds=4.0)
        values = [term.raw(score)]
        values += [_cut(output) for scan in score.scanned().values() for output in scan]
        for each in values:
            digest.update((np.round(each.astype(np.float64), 3) + 0.0).tobytes())
    return digest.hexdigest()[:16]


def read(description: Mapping[str, Any]) -> RuleSight:
    """Return the sight of a description; nothing that it names is imported.

    Raises:
        SightError: a rule that neither ships nor is in a reward that was built before (`OWN`), or
            that gives other values than those the network learned with.
    """
    terms = []
    for facts in description["terms"]:
        name = str(facts["rule"])
        rule = REGISTRY.get(name) or OWN.get(str(facts["name"]))
        if rule is None:
            raise SightError(
                f"its policy learned to see {quoted(name)}, which does not ship; build the reward "
                "with that rule first (rewards.build), or name the run and give --trust"
            )
        bound = rule.bind(facts["parameters"]) if name in REGISTRY else as_rule(rule)
        term = Term(str(facts["name"]), bound)
        if fingerprint(term) != facts["fingerprint"]:
            raise SightError(
                f"its policy learned to see {quoted(name)}, which now gives other values; use the "
                "version that it was trained with, or train anew"
            )
        terms.append(term)
    columns = [str(name) for name in description["columns"]]
    if gone := set(columns) - set(RuleSight(terms).columns):
        raise SightError(
            f"its policy learned to see {quoted(min(gone))}, which its rules do not tell any more; "
            "use the version that it was trained with, or train anew"
        )
    return RuleSight(terms, columns)
