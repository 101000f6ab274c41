"""The explanation of a piece: messages of rules, in lines for people and as a mapping."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.music.piece import Piece
from envs.music.score import Score

Nats = npt.NDArray[np.float32]


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
        bar, beat: the place in numbers, the bar as the file counts it.
        who: names of the voices that it is about, the upper one first; none in a melody.
        other: the other voice that it is about, -1 if there is none.
        other_start: cell at which the note of the other voice begins, -1 if there is none.
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
    bar: int = 0
    beat: float = 1.0
    who: tuple[str, ...] = ()
    other: int = -1
    other_start: int = -1

    @property
    def notes(self) -> tuple[tuple[int, int], ...]:
        """Voice and first cell of each note that it is about."""
        other = ((self.other, self.other_start),) * (self.other >= 0)
        return (*other, (self.voice, self.start))

    def __str__(self) -> str:
        much = "" if np.isclose(self.cost, abs(self.weight)) else f", costs {self.cost:.3g}"
        line = f"{self.where}: {self.text} ({self.term}, weight {self.weight:g}{much})"
        if self.surprise is None:
            return line
        return f"{line}; surprising to the prior: {self.surprise:.1f} nats"


@dataclass(frozen=True)
class RuleLine:
    """How often and how badly a rule is broken in the whole piece."""

    term: str
    times: int
    cost: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """The remarks of rules on a piece, and the surprise of a prior.

    Attributes:
        name: of the file.
        piece: that is explained.
        messages: in order of place.
        table: a line for each rule, the costliest first.
        paid: sums of the terms that name no places.
        surprise: nats (voices, cells); None without a prior.
        judge: name of that prior, which says if it hears each voice alone.
        notices: what a reader should know.
    """

    name: str
    piece: Piece
    messages: tuple[Message, ...]
    table: tuple[RuleLine, ...]
    paid: dict[str, float] = field(default_factory=dict)
    surprise: Nats | None = None
    judge: str = ""
    notices: tuple[str, ...] = ()

    @property
    def score(self) -> Score:
        """The piece as a score."""
        return self.piece.score

    @property
    def title(self) -> str:
        """The piece's title, or the file's name."""
        return self.piece.title or self.name

    @property
    def groups(self) -> list[tuple[str, list[Message]]]:
        """The messages by the voices that they are about, such as 'soprano and bass'.

        First the pairs, from the upper voices to the lower ones, then each voice alone.
        """
        groups: dict[tuple[int, ...], list[Message]] = {}
        for message in self.messages:
            groups.setdefault((message.other < 0, message.other, message.voice), []).append(message)
        return [(" and ".join(groups[key][0].who), groups[key]) for key in sorted(groups)]

    @property
    def cost(self) -> float:
        """The sum of the costs of all messages."""
        return sum(message.cost for message in self.messages)

    @property
    def totals(self) -> list[RuleLine]:
        """The lines of the rules that are broken and of all of them together; none if none is."""
        broken = [line for line in self.table if line.times]
        return broken and [*broken, RuleLine("together", len(self.messages), self.cost)]

    @property
    def kept(self) -> str:
        """The names of the rules that are kept, in one line."""
        return ", ".join(line.term for line in self.table if not line.times)

    @property
    def mean_surprise(self) -> float | None:
        """Nats a cell on average; None if there are none."""
        if self.surprise is None or np.isnan(self.surprise).all():
            return None
        return float(np.nanmean(self.surprise))

    @property
    def facts(self) -> str:
        """Key, metre and size of the piece in one line."""
        return self.piece.facts

    def __repr__(self) -> str:
        count = len(self.messages)
        return f"<Explanation of {self.title}: {self.facts}; {count} messages, cost {self.cost:g}>"

    def __str__(self) -> str:
        return as_text(self)


def as_text(explanation: Explanation) -> str:
    """Return the explanation in lines: facts of the piece, the messages, and a table."""
    lines = [f"{explanation.title}: {explanation.facts}"]
    lines += [f"({notice})" for notice in explanation.notices]
    for who, messages in explanation.groups:
        lines += ["", *[f"{who}: {len(messages)}"] * bool(who), *map(str, messages)]
    if not explanation.messages:
        count = len(explanation.table)
        lines.append("")
        lines.append(f"no rule is broken; {count} {'was' if count == 1 else 'were'} asked")
    lines.append("")
    if explanation.totals:
        width = max(len("rule"), *(len(line.term) for line in explanation.totals[:-1]))
        lines.append(f"{'rule':{width}}  times   cost")
        for line in explanation.totals:
            lines.append(f"{line.term:{width}}  {line.times:5d}  {line.cost:5.3g}")
    if explanation.kept:
        lines.append(f"kept: {explanation.kept}")
    lines += [f"{name} paid {value:.4g}" for name, value in explanation.paid.items()]
    mean = explanation.mean_surprise
    if mean is not None:
        name = f" {explanation.judge}" if explanation.judge else ""
        lines.append(f"surprise of the prior{name}: {mean:.2f} nats a cell on average")
    return "\n".join(lines).rstrip() + "\n"


def as_dict(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation as a JSON file has it."""
    piece, task = explanation.piece, explanation.piece.task
    mean = explanation.mean_surprise
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
                "bar": message.bar,
                "beat": round(message.beat, 4),
                "voices": list(message.who),
                "voice": message.voice + 1,
                "cell": message.cell,
                "note_cell": message.start,
                "other_voice": message.other + 1 if message.other >= 0 else None,
                "other_note_cell": message.other_start if message.other >= 0 else None,
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
        "mean_surprise": None if mean is None else round(mean, 4),
    }
