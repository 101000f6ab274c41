"""Messages of rules for a person, and payments of terms for each note."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from envs.contract import RewardFunction
from envs.music.codec import Note
from envs.music.pitch import interval_name
from envs.music.score import Score
from envs.music.voices.pairs import pairs, voice_name
from envs.notation.text_line import score_from_text
from rewards.rule import COUNTS, NOTE_NAMES, PAIR_NAMES, as_rule


@dataclass(frozen=True)
class Remark:
    """One message about one cell. `value` is what the term gave there, unweighted.

    `other` is the number of the other voice that the message is about, -1 if there is none.
    """

    term: str
    piece: int
    voice: int
    cell: int
    where: str
    text: str
    value: float
    other: int = -1

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def place(score: Score, cell: int, numbers: Sequence[int] = ()) -> str:
    """Return 'bar 1, beat 2.5' for a time index.

    Args:
        score: any score.
        cell: time index.
        numbers: of the bars, the pickup's included; counted from 1, the pickup 0, if empty.
    """
    bar, beat = bar_and_beat(score, cell, numbers)
    return f"bar {bar}, beat {round(beat, 2):g}"


def bar_and_beat(score: Score, cell: int, numbers: Sequence[int] = ()) -> tuple[int, float]:
    """Return number of the bar and beat, from 1, of a time index, as `place` says them."""
    task = score.task
    index = bisect_right(task.bar_lines, cell) - 1
    bar = numbers[index] if numbers else index + (task.pickup == 0)
    return bar, 1 + task.place_in_bar(cell) / task.beat_cells


def _last_run(pitches: Sequence[int]) -> tuple[int, int]:
    """Numbers of the first and last note of the last straight run that is complete.

    A note that turns back completes the run before it; otherwise the run reaches the last note.
    Repeated notes are taken as one.
    """
    line = [i for i, pitch in enumerate(pitches) if i == 0 or pitch != pitches[i - 1]]
    ways = [pitches[j] > pitches[i] for i, j in pairwise(line)]
    end = len(ways) - 1 if len(ways) > 1 and ways[-1] != ways[-2] else len(ways)
    start = end
    while start > 0 and ways[start - 1] == ways[end - 1]:
        start -= 1
    return line[start], line[end]


def _counts(pitches: Sequence[int], starts: Sequence[int], cells: int) -> dict[str, float]:
    """Return the numbers that messages hold, COUNTS, from a line in a piece of `cells` cells."""
    sizes = [abs(b - a) for a, b in pairwise(pitches) if a != b]
    climax = starts[pitches.index(max(pitches))] / cells if pitches else 0.0
    steps = sum(size <= 2 for size in sizes)
    return dict(zip(COUNTS, (steps, len(sizes), len(set(pitches)), climax), strict=True))


def describe(
    score: Score,
    piece: int,
    voice: int,
    cell: int,
    says: str,
    parameters: Mapping[str, object] | None = None,
    other: int = -1,
) -> str:
    """Fill a rule's message with the notes up to a cell.

    {note}, {previous}, {before}: this note and the two before it; {first}, {lowest}, {highest}:
    of the line so far; {start}, {turn}: the ends of its last straight run, complete when a note
    turns back; {interval}: from the note before; {leap}: between the two before; {key}. Numbers
    of the line so far are {steps} among {moves}, {pitches} that are different, and {climax}, the
    share of the piece before its first highest note. {voice} is the name of the voice;
    {other_voice}, {other} and {other_previous} are name and notes of another one; beside it the
    notes of both are what sounds in the cell, and what sounded just before.

    Args:
        score, piece, voice, cell: where.
        says: the message.
        parameters: of the rule; the message may hold them by name, in place of a word above too.
        other: number of the other voice, -1 for none.
    """
    task = score.task
    notes = _notes_until(score, piece, voice, cell)
    pitches = [note.pitch for note in notes]
    chosen = dict(zip(("note", "previous", "before"), reversed(pitches), strict=False))
    if pitches:
        start, turn = _last_run(pitches)
        chosen |= {"first": pitches[0], "lowest": min(pitches), "highest": max(pitches)}
        chosen |= {"start": pitches[start], "turn": pitches[turn]}
    names = {"voice": voice_name(task.voices, voice), "other_voice": "another voice"}
    if other >= 0:
        names["other_voice"] = voice_name(task.voices, other)
        of_both = {voice: ("note", "previous"), other: ("other", "other_previous")}
        for line, pair in of_both.items():
            chosen |= dict(zip(pair, _sounding(score, piece, line, cell), strict=True))
    values = {name: task.key.pitch_name(pitch) for name, pitch in chosen.items() if pitch >= 0}
    moves = [b - a for a, b in pairwise([*pitches[:1] * 3, *pitches][-3:])] or [0, 0]
    leap, interval = (interval_name(move) for move in moves)
    silent = dict.fromkeys((*NOTE_NAMES, *PAIR_NAMES), "silence")
    words = {**silent, **names, **values, "leap": leap, "interval": interval}
    counts = _counts(pitches, [note.start for note in notes], task.cells)
    return says.format(**{**words, **counts, "key": task.key, **(parameters or {})})


def _notes_until(score: Score, piece: int, voice: int, cell: int) -> list[Note]:
    """Return the notes of a voice that begin up to a cell."""
    notes = score.task.codec.decode(score.tokens[piece, voice])
    return [note for note in notes if note.start <= cell]


def _sounding(score: Score, piece: int, voice: int, cell: int) -> tuple[int, int]:
    """Return the pitches that sound in a cell and in the cell before, -1 for silence."""
    sounding = score.sounding[piece, voice]
    return int(sounding[cell]), int(sounding[cell - 1]) if cell else -1


def remarks(fn: RewardFunction, score: Score, name: str = "", sign: float = -1.0) -> list[Remark]:
    """A message for each cell where a term costs, in order of time.

    Args:
        fn: a rule or reward function that gives one number per cell.
        score: any batch.
        name: of the term, its own by default.
        sign: sign of the term's weight: a cost is where value times sign is negative.
    """
    rule = as_rule(fn)
    name = name or rule.name
    says = rule.says or "{note}: " + name
    valued = [(-1, np.asarray(fn(score)) * 1.0)]
    if rule.against is not None and sign < 0:
        valued = [(pair.other, np.asarray(rule.against(pair)) * 1.0) for pair in pairs(score)]
    cells = [
        (b, t, v, n)
        for n, each in enumerate(valued)
        for b, v, t in np.argwhere(each[1] * sign < 0).tolist()
    ]
    made = []
    for b, t, v, n in sorted(cells):
        other, values = valued[n]
        text = describe(score, b, v, t, says, rule.defaults, other)
        made.append(Remark(name, b, v, t, place(score, t), text, float(values[b, v, t]), other))
    return made


def explain(fn: RewardFunction, piece: str | Score, **where: Any) -> None:
    """Print a rule's remarks on a score, or on notes written in a line.

    >>> from rewards.rules.melody import in_key
    >>> explain(in_key, "C4 F#4 G4")
    bar 1, beat 2: F#4 is not in C major
    """
    score = score_from_text(piece, **where) if isinstance(piece, str) else piece
    sign = -1.0 if as_rule(fn).violation else 1.0
    for remark in remarks(fn, score, sign=sign):
        print(remark)


def payments(fn: RewardFunction, score: Score, name: str = "") -> list[Remark]:
    """Return what a term gives while each note sounds, or a silence lasts, where that is not 0.

    Args:
        fn: a rule or reward function that gives one number per cell.
        score: any batch.
        name: of the term, its own by default.
    """
    name = name or as_rule(fn).name
    values = np.broadcast_to(np.asarray(fn(score)) * 1.0, score.tokens.shape)
    found = []
    for b, v in np.ndindex(score.tokens.shape[:2]):
        begins = score.onset[b, v] | score.rest[b, v]
        begins[0] = True
        starts = np.flatnonzero(begins)
        for t, value in zip(starts.tolist(), np.add.reduceat(values[b, v], starts), strict=True):
            pitch = int(score.pitch[b, v, t])
            said = score.task.key.pitch_name(pitch) if score.onset[b, v, t] else "silence"
            text = f"{said} {value:+.3g}"
            if value:
                found.append(Remark(name, b, v, t, place(score, t), text, float(value)))
    return sorted(found, key=lambda payment: (payment.piece, payment.cell, payment.voice))


def paid(fn: RewardFunction, piece: str | Score, **where: Any) -> None:
    """Print what a term gives for each note of a score, or of notes written in a line.

    >>> from rewards.rules.rl_tuner import motif
    >>> paid(motif, "C4:2 D4:2 E4:2 F4:2")  # the last eight tokens, and four pitches in them
    bar 1, beat 2.5: F4 +1.1
    bar 1, beat 3: silence +2
    """
    score = score_from_text(piece, **where) if isinstance(piece, str) else piece
    for payment in payments(fn, score):
        print(payment)
