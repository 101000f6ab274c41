"""Check a reward: does it keep the contract, what does it cost, and what does it pay for?"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from envs.contract import RewardFunction, RewardSpec
from envs.errors import RewardError
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.noise import HOLDS, noise
from envs.music.pitch import LETTERS
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from envs.notation.text_line import text
from rewards.build import build
from rewards.checking.cost import Cost, measure
from rewards.checking.panel import MOST, Panel, rank, share_below
from rewards.checking.probes import PIECES, broken_promises, same
from rewards.sum import RewardSum
from rewards.term import Term

TASKS = (
    Task(),
    Task(Key("A", "minor"), Meter(6, 8), bars=2, low=55, high=79, pickup=3),
)
TWO_VOICES = Task(bars=1, voices=2)
OF_VOICES = (TWO_VOICES, Task(Key("G", "minor"), Meter(3, 4), bars=1, low=40, high=79, voices=4))
PANEL_TASK = Task(bars=8)
# Pieces that a search finds the reward to pay most for, each with the name of what found it:
# `agents.training.exploit.exploits` is one.
Searcher = Callable[[RewardSum, Task, float], list[tuple[str, Score]]]
FOURTH = 5  # semitones by which pieces are moved
PANEL_SECONDS = 5.0  # about how long a slow reward may take over real melodies
FEW = 30  # real melodies that are tried however slow it is: of fewer, shares are chance


class RewardWarning(UserWarning):
    """A reward keeps the contract and still pays for what is no music."""


@dataclass
class CheckReport:
    """Result of a check.

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
    exploit: Searcher | None = None,
    panel: bool = True,
    cost: bool = True,
) -> CheckReport:
    """Check a reward; one line in a test of one's own.

    Args:
        reward: a function, a name, 'file.py:function', or a mapping of names to weights.
        task: what pieces are tried on; if None two short tasks of one voice, or of two and four
            for a rule between voices, and eight bars of 4/4 for the panel.
        strict: whether a bad verdict of the panel raises too. It warns otherwise; a rule alone,
            which only takes off, does neither.
        exploit: searches for pieces that are paid most, such as `agents.training.exploit.exploits`,
            which takes up to a minute; None for no search.
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
    exploit: Searcher | None = None,
) -> CheckReport:
    """Return the report of `check_reward`, with the same arguments, and raise for no fault."""
    total = build(reward)
    terms = list(total.terms.values())
    report = CheckReport(" + ".join(term.name for term in terms))
    of_voices = any(term.rule.needs == "voices" for term in terms)
    for term in terms:  # what is broken on one task is not told again of the next
        tasks = (task,) if task else OF_VOICES if term.rule.needs == "voices" else TASKS
        report.broken += next(filter(None, (broken_promises(term, each) for each in tasks)), [])
    if report.broken:
        return report
    if len(terms) == 1:
        melodies = task is None and not of_voices
        report.notes += [said for said in _notes(terms[0], tasks[0], melodies) if said]
    large = task or replace(PANEL_TASK, voices=1 + of_voices)
    parts = {term.name: term.rule for term in terms}
    timed = measure(total, large, parts) if cost or panel or exploit else None
    report.cost = timed if cost else None
    if timed and (panel or exploit):
        most = int(np.clip(PANEL_SECONDS / max(timed.batched, 1e-9), FEW, MOST))
        report.panel = rank(lambda score: _paid(total, score), large, most)
        if len(terms) == 1 and terms[0].rule.violation:
            report.notes.append(
                "a rule alone only takes off, so its best pieces may be no music; give it beside "
                "terms that pay for notes, such as prior=1"
            )
        else:
            report.verdicts += report.panel.verdicts
        if exploit:
            report.exploits = _exploits(exploit(total, large, timed.batched), total, report.panel)
    return report


def _exploits(found: list[tuple[str, Score]], total: RewardSum, panel: Panel) -> list[str]:
    paragraphs = []
    for name, piece in found:
        paid = float(_paid(total, piece)[0])
        above = share_below(panel.real, paid)
        more = "" if np.isnan(above) else f", more than {above:.0%} of real melodies"
        paragraphs.append(f"{name} found a piece that is paid {paid:.4g}{more}:\n  {text(piece)}")
    return paragraphs


def _paid(total: RewardFunction, score: Score) -> Array:
    return np.asarray(total(score).sum(axis=(1, 2), dtype=np.float64))


def _notes(term: Term, task: Task, voices: bool) -> list[str]:
    notes = [transposition(term, task)]
    if voices:
        broken = broken_promises(term, TWO_VOICES)
        notes.append(f"with two voices, {broken[0]}" if broken else "it works with two voices")
    return notes


def transposition(term: Term, task: Task) -> str:
    """Return a sentence on how a term's value changes when pieces are moved by a fourth."""
    if task.high - task.low < 2 * FOURTH or task.given or task.chords:
        return ""
    room = replace(task, high=task.high - FOURTH)
    tokens = np.concatenate([noise(room, seed, PIECES, HOLDS).tokens for seed in (5, 6)])
    up = np.where(tokens > 1, tokens + FOURTH, tokens)
    key = replace(task, key=_moved(task.key, FOURTH))
    home, there, beside = (
        np.asarray(term.raw(Score(each, place)), np.float64)
        for each, place in ((tokens, task), (up, key), (up, task))
    )
    if same(home, there).all() and same(home, beside).all():
        return "moved by a fourth, pieces are paid the same, with their key or without it"
    if same(home, there).all():
        return "moved by a fourth with their key, pieces are paid the same"
    worst = float(np.abs(home - there).max())
    return (
        f"moved by a fourth with their key, pieces are paid otherwise, by up to {worst:.3g} a "
        f"{'cell' if home.ndim > 1 else 'piece'}: it hears absolute pitch"
    )


def _moved(key: Key, semitones: int) -> Key:
    """The key with its tonic so much higher, written with the fewest accidentals."""
    names = [letter + sign for letter in LETTERS for sign in ("", "#", "b")]
    keys = [Key(name, key.mode) for name in names]
    wanted = (key.pitch_class + semitones) % 12
    return min((k for k in keys if k.pitch_class == wanted), key=lambda k: abs(k.fifths))
