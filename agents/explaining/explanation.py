"""Explain a piece: what is wrong, where, how badly, and how surprised the prior is there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from envs.errors import RewardError
from envs.music.piece import Piece, notes_of, roomy_range, score_of
from envs.music.score import Score
from rewards.build import build
from rewards.remarks import Remark, remarks
from rewards.rule import REGISTRY
from rewards.sum import RewardSum
from rewards.term import Term

if TYPE_CHECKING:
    from pretrained.prior import Scorer

Nats = npt.NDArray[np.float32]
NEVER = 1e6  # nats: priors give more to what they can never write


@dataclass(frozen=True)
class Message:
    """One rule that is broken at one place.

    Attributes:
        number: of the message, from 1.
        term: name of the rule.
        weight: of the rule.
        value: what the rule gives there; a violation is 1 where it is broken altogether.
        cost: what that costs, weight included.
        voice, cell: where it is broken.
        start: cell at which the note begins that it is about.
        where: the place in words.
        text: what the rule says.
        surprise: of the prior at that note, in nats; None without a prior.
    """

    number: int
    term: str
    weight: float
    value: float
    cost: float
    voice: int
    cell: int
    start: int
    where: str
    text: str
    surprise: float | None = None

    def __str__(self) -> str:
        much = "" if np.isclose(self.cost, abs(self.weight)) else f", costs {self.cost:.3g}"
        known = (
            "" if self.surprise is None else f"; surprising to the prior: {self.surprise:.1f} nats"
        )
        return f"{self.where}: {self.text} ({self.term}, weight {self.weight:g}{much}){known}"


@dataclass(frozen=True)
class Line:
    """How a rule fares in the whole piece."""

    term: str
    times: int
    cost: float


@dataclass(frozen=True)
class Explanation:
    """A piece, and what the rules and the prior have to say about it.

    Attributes:
        name: of the file.
        piece: as it was read.
        score: the same as a score.
        messages: in order of place.
        table: a line for each rule, the costliest first.
        paid: sums of the terms that name no places.
        surprise: nats (voices, cells); None without a prior.
        notices: what a reader should know.
    """

    name: str
    piece: Piece
    score: Score
    messages: tuple[Message, ...]
    table: tuple[Line, ...]
    paid: dict[str, float] = field(default_factory=dict)
    surprise: Nats | None = None
    notices: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The piece's title, or the file's name."""
        return self.piece.title or self.name

    @property
    def cost(self) -> float:
        """Of all messages."""
        return sum(message.cost for message in self.messages)


def speaks(term: Term) -> bool:
    """True if a term has words for the places where it costs."""
    return bool(term.rule.says) or term.rule.violation


def speaking_rules() -> RewardSum:
    """Return all registered rules that have a message, each with weight 1."""
    names = [name for name, rule in REGISTRY.items() if rule.violation and rule.says]
    return build(dict.fromkeys(names, 1.0))


def place(score: Score, cell: int, numbers: Sequence[int] = ()) -> str:
    """'bar 3, beat 2' for a time index.

    Args:
        score: any score.
        cell: time index.
        numbers: of the bars, the pickup's included; counted from 1, the pickup 0, if empty.
    """
    task = score.task
    index = bisect_right(task.bar_lines, cell) - 1
    bar = numbers[index] if numbers else index + (task.pickup == 0)
    beat = 1 + task.place_in_bar(cell) / task.beat_cells
    return f"bar {bar}, beat {round(beat, 2):g}"


def explain(
    piece: Piece,
    reward: RewardSum,
    prior: Scorer | None = None,
    name: str = "",
    score: Score | None = None,
    lenient: bool = False,
) -> Explanation:
    """Ask every term of a reward about a piece.

    Args:
        piece: as it was read.
        reward: its terms are asked; those that cannot speak are only added up.
        prior: its surprise is told where it can read the piece.
        name: of the file.
        score: the piece as a score, where its task is known better than by the file.
        lenient: whether a term that fails is left out with a notice.

    Raises:
        RewardError: a term failed.
    """
    score = piece.score if score is None else score
    notices = list(piece.notices)
    found: list[tuple[Remark, Term]] = []
    paid: dict[str, float] = {}
    judged: list[str] = []
    idle: list[str] = []  # what has nothing to judge here
    for term in reward.terms.values():
        try:
            if not term.rule.judges(score.task):
                idle.append(term.name)
            elif speaks(term) and term.raw(score).ndim == 3:
                found += [(remark, term) for remark in _remarks(term, score)]
                judged.append(term.name)
            else:
                paid[term.name] = float(term.whole(score).sum())
        except RewardError as error:
            if not lenient:
                raise
            notices.append(f"rule {term.name} is left out: {error}")
    if idle:
        notices.append(f"not asked, as no chords or phrases are given: {', '.join(idle)}")
    surprise = None
    if prior is not None:
        try:
            surprise = surprises(prior, score)
            unknown = int(np.isnan(surprise).sum())
            notices += [f"{unknown} cells hold what the prior cannot write"] if unknown else []
        except ValueError as error:
            notices.append(f"no surprise of the prior: {error}")
    found.sort(key=lambda each: (each[0].cell, each[0].voice))
    messages = tuple(
        _message(number, remark, term, score, piece.numbers, surprise)
        for number, (remark, term) in enumerate(found, 1)
    )
    return Explanation(
        name, piece, score, messages, _table(judged, messages), paid, surprise, tuple(notices)
    )


def surprises(prior: Scorer, score: Score) -> Nats:
    """Return nats (voices, cells) of a prior's surprise; NaN for what it can never write.

    To a prior that hears one voice at a time each is a piece of its own, in its own range.

    Raises:
        ValueError: the prior cannot read the piece.
    """
    from pretrained.networks.per_voice import PerVoice
    from pretrained.networks.regrid import OnGrid, on_grid

    task, page = score.task, score.tokens[0]
    prior = on_grid(prior, task)
    if task.voices == 1 or not isinstance(prior, (PerVoice, OnGrid)):
        nats = -prior.log_prob(score)[0]
    else:
        lines = []
        for voice in range(task.voices):
            notes = [replace(note, voice=0) for note in task.codec.decode(page[voice])]
            low, high = roomy_range([note.pitch for note in notes] or [task.low, task.high])
            alone = replace(task, voices=1, low=low, high=high, given=())
            lines.append(-prior.log_prob(score_of(notes, alone))[0, 0])
        nats = np.stack(lines)
    return np.where(nats < NEVER, nats, np.float32(np.nan)).astype(np.float32)


def _remarks(term: Term, score: Score) -> list[Remark]:
    try:
        return remarks(term.rule, score, term.name, sign=term.factor)
    except (KeyError, IndexError, ValueError) as error:  # of the words, as the values were checked
        raise RewardError(
            f"reward term {term.name!r} has words that cannot be filled in: {error!r}"
        ) from error


def _message(
    number: int,
    remark: Remark,
    term: Term,
    score: Score,
    numbers: Sequence[int],
    surprise: Nats | None,
) -> Message:
    voice, cell = remark.voice, remark.cell
    start = _note_start(score, voice, cell)
    last = cell == score.task.cells - 1 and cell != start
    where = "at the end" if last else place(score, cell, numbers)
    if score.task.voices > 1:
        where += f", voice {voice + 1}"
    return Message(
        number=number,
        term=term.name,
        weight=term.weight,
        value=remark.value,
        cost=abs(term.factor * remark.value),
        voice=voice,
        cell=cell,
        start=start,
        where=where,
        text=remark.text,
        surprise=_known(surprise, voice, start),
    )


def _known(surprise: Nats | None, voice: int, cell: int) -> float | None:
    """The surprise at a cell, None where there is none."""
    if surprise is None or np.isnan(surprise[voice, cell]):
        return None
    return float(surprise[voice, cell])


def _note_start(score: Score, voice: int, cell: int) -> int:
    """Where the last note began that was there by a cell; the cell itself before the first."""
    starts = [n.start for n in notes_of(score, 0) if n.voice == voice and n.start <= cell]
    return starts[-1] if starts else cell


def _table(judged: Sequence[str], messages: Sequence[Message]) -> tuple[Line, ...]:
    lines = []
    for name in judged:
        costs = [message.cost for message in messages if message.term == name]
        lines.append(Line(name, len(costs), sum(costs)))
    return tuple(sorted(lines, key=lambda line: (-line.cost, -line.times)))


# -- for people and for programs -------------------------------------------------------------------


def as_text(explanation: Explanation) -> str:
    """The explanation in lines: what the piece is, the messages, and a table."""
    lines = [facts(explanation)]
    lines += [f"({notice})" for notice in explanation.notices]
    lines += ["", *map(str, explanation.messages)]
    if not explanation.messages:
        count = len(explanation.table)
        lines.append(f"no rule is broken; {count} {'was' if count == 1 else 'were'} asked")
    lines += ["", *_summary(explanation)]
    return "\n".join(lines).rstrip() + "\n"


def facts(explanation: Explanation) -> str:
    """One line on what piece it is."""
    task, piece = explanation.score.task, explanation.piece
    many = [(task.bars, "bar"), (task.voices, "voice"), (len(piece.notes), "note")]
    counts = ", ".join(f"{count} {what}{'s' * (count != 1)}" for count, what in many)
    key = f"{task.key}{' (estimated)' * piece.estimated}"
    return f"{explanation.title}: {key}, {task.meter}, {counts}"


def _summary(explanation: Explanation) -> list[str]:
    broken = [line for line in explanation.table if line.times]
    kept = [line.term for line in explanation.table if not line.times]
    lines = []
    if broken:
        width = max(len("rule"), *(len(line.term) for line in broken))
        lines.append(f"{'rule':{width}}  times   cost")
        lines += [f"{line.term:{width}}  {line.times:5d}  {line.cost:5.3g}" for line in broken]
        total = len(explanation.messages)
        lines.append(f"{'together':{width}}  {total:5d}  {explanation.cost:5.3g}")
    if kept:
        lines.append("kept: " + ", ".join(kept))
    lines += [f"{name} paid {value:.4g}" for name, value in explanation.paid.items()]
    if explanation.surprise is not None and not np.isnan(explanation.surprise).all():
        mean = float(np.nanmean(explanation.surprise))
        lines.append(f"surprise of the prior: {mean:.2f} nats a cell on average")
    return lines


def as_dict(explanation: Explanation) -> dict[str, Any]:
    """The explanation for a JSON file."""
    piece, task = explanation.piece, explanation.score.task
    nats = explanation.surprise
    mean = None if nats is None or np.isnan(nats).all() else round(float(np.nanmean(nats)), 4)
    return {
        "file": explanation.name,
        "title": piece.title,
        "key": str(task.key),
        "key_estimated": piece.estimated,
        "meter": str(task.meter),
        "tempo": piece.tempo,
        "grid": task.grid,
        "pickup": task.pickup,
        "bars": task.bars,
        "voices": task.voices,
        "notices": list(explanation.notices),
        "messages": [
            {
                "where": message.where,
                "text": message.text,
                "rule": message.term,
                "weight": message.weight,
                "value": round(message.value, 6),
                "cost": round(message.cost, 6),
                "voice": message.voice + 1,
                "cell": message.cell,
                "note_cell": message.start,
                "surprise": None if message.surprise is None else round(message.surprise, 4),
            }
            for message in explanation.messages
        ],
        "rules": [
            {"rule": line.term, "times": line.times, "cost": round(line.cost, 6)}
            for line in explanation.table
        ],
        "cost": round(explanation.cost, 6),
        "paid": {name: round(value, 6) for name, value in explanation.paid.items()},
        "mean_surprise": mean,
    }
