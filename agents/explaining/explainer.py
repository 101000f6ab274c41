"""Explain a piece: ask rules where it breaks them, and a prior how surprised it is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.explaining.explanation import Explanation, Message, Nats, RuleLine
from agents.explaining.gathering import costs_of, doublings
from envs.contract import RewardSpec
from envs.errors import RewardError, quoted
from envs.music.piece import Piece, roomy_range, score_of
from envs.music.score import Score
from envs.music.voices.pairs import voice_name
from envs.notation.reading.readers import read_piece
from rewards.build import build, read_pack
from rewards.remarks import Remark, bar_and_beat, place
from rewards.rule import REGISTRY
from rewards.sum import RewardSum
from rewards.term import Term

if TYPE_CHECKING:
    from envs.music.task import Task
    from pretrained.prior import Scorer

CHOIR = "satb_common_practice"  # the pack of several voices
FEWEST_OF_CHOIR, FOUR = 3, 4  # voices
MELODY = "melody"  # the prior of one line
NEVER = 1e6  # nats: priors give more to what they can never write


def speaks(term: Term) -> bool:
    """True if a term has words for the places where it costs."""
    return bool(term.rule.says) or term.rule.violation


def speaking_rules() -> RewardSum:
    """Return the registered rules that have a message, each with weight 1.

    Of the rules across voices those of CHOIR: the others are exercises of the species.
    """
    choir = read_pack(CHOIR)
    rules = {name: rule for name, rule in REGISTRY.items() if rule.violation and rule.says}
    names = [name for name, rule in rules.items() if rule.needs != "voices" or name in choir]
    return build(dict.fromkeys(names, 1.0))


def rules_for(voices: int) -> RewardSum:
    """Return the rules that are asked about pieces of so many voices where none are named.

    Those of CHOIR from three voices on, else every rule that can speak.
    """
    return build(CHOIR) if voices >= FEWEST_OF_CHOIR else speaking_rules()


def explain(
    music: Piece | Score | str | Path,
    reward: RewardSpec | RewardSum | None = None,
    prior: Scorer | str | Path | None = "",
    name: str = "",
    *,
    row: int = 0,
    lenient: bool | None = None,
) -> Explanation:
    """Ask rules where a piece breaks them, and a prior how surprised it is there.

    Args:
        music: a piece or what has one, such as a melody; a score; or a MIDI, MusicXML or ABC file.
        reward: its terms are asked; those that cannot speak are only added up. Those of `rules_for`
            if None.
        prior: asked where it can read the piece; a checkpoint's name or path is loaded once. If ""
            "chorale" for four voices where it has been trained, else "melody". None to ask none.
        name: of the piece; that of its file if empty.
        row: number of the piece in a score.
        lenient: leave a term that fails out, with a notice; None to do so without a reward.

    Raises:
        ValueError: an unfinished score, a file that cannot be read, or as `rewards.build.build`.
        FileNotFoundError: there is no such checkpoint.
        RewardError: a term failed.
    """
    piece = _piece_of(music, row)
    score, notices = piece.score, list(piece.notices)
    lenient = reward is None if lenient is None else lenient
    asked = rules_for(score.task.voices) if reward is None else build(reward)
    costs, paid, judged, told = _asked(asked, piece, lenient)
    notices += told
    if reward is None and score.task.voices >= FEWEST_OF_CHOIR:
        notices.append(f"the rules of {CHOIR} are asked; name others with reward= or --reward")
    surprise, judge, more = _surprise(prior, score)
    costs.sort(key=lambda cost: (cost[0].cell, cost[0].voice))
    messages = tuple(
        _message(number, *each, piece, surprise) for number, each in enumerate(costs, 1)
    )
    lines = [_line(term, messages) for term in judged]
    table = tuple(sorted(lines, key=lambda line: (-line.cost, -line.times)))
    name = name or Path(piece.source).name
    return Explanation(name, piece, messages, table, paid, surprise, judge, (*notices, *more))


def _asked(
    asked: RewardSum, piece: Piece, lenient: bool
) -> tuple[list[tuple[Remark, float, Term]], dict[str, float], list[str], list[str]]:
    """Return what terms say and what it costs, sums of the others, names of the first, notices."""
    score, doubled = piece.score, doublings(piece.score)
    costs: list[tuple[Remark, float, Term]] = []
    paid: dict[str, float] = {}
    judged: list[str] = []
    idle: list[str] = []  # terms that have nothing to judge here
    notices = list(doubled.values())
    for term in asked.terms.values():
        try:
            if not term.rule.judges(score.task):
                idle += [term.name] if term.rule.needs != "voices" else []
            elif speaks(term) and term.raw(score).ndim == 3:
                costs += [
                    (remark, cost, term)
                    for remark, cost in costs_of(term, piece)
                    if (remark.other, remark.voice) not in doubled
                ]
                judged.append(term.name)
            else:
                paid[term.name] = float(term.whole(score).sum())
        except RewardError as error:
            if not lenient:
                raise
            notices.append(f"rule {term.name} is left out: {error}")
    if idle:
        notices.append(f"not asked, as no chords or phrases are given: {', '.join(idle)}")
    return costs, paid, judged, notices


def _piece_of(music: Any, row: int) -> Piece:
    music = getattr(music, "piece", music)
    if isinstance(music, (str, Path)):
        return read_piece(music)
    if isinstance(music, Piece):
        return music
    if not isinstance(music, Score):
        raise TypeError(f"explain: expected a Piece, a Score or a file, got {type(music).__name__}")
    if not music.finished:
        raise ValueError("explain: the score is not finished; write the rest of it first")
    return Piece.of(music, row)


def _surprise(
    prior: Scorer | str | Path | None, score: Score
) -> tuple[Nats | None, str, list[str]]:
    """Return the surprise of a prior, its name, and notices on what it cannot read."""
    if prior is None:
        return None, "", []
    from pretrained.prior import hears_one_line

    if prior == "":
        prior = prior_for(score.task)
    judge = ""
    if isinstance(prior, (str, Path)):
        from pretrained.checkpoint import load_once

        judge = Path(prior).stem
        prior = load_once(prior)
    if not hasattr(prior, "log_prob"):
        raise TypeError(f"prior={quoted(prior)}: expected a prior, or a checkpoint's name or path")
    if score.task.voices > 1 and hears_one_line(prior):
        judge = f"{judge} (each voice alone)".strip()
    try:
        surprise = surprises(prior, score)
    except ValueError as error:
        return None, judge, [f"no surprise of the prior: {error}"]
    unknown = int(np.isnan(surprise).sum())
    notices = [f"{unknown} cells hold what the prior cannot write"] if unknown else []
    return surprise, judge, notices


def prior_for(task: Task) -> str:
    """Return the name of the prior that suits pieces of a task best, of those that are here."""
    from pretrained.checkpoint import CHORALE, locate

    try:
        if task.voices == FOUR:
            locate(CHORALE)
            return CHORALE
    except FileNotFoundError:
        pass
    return MELODY


def surprises(prior: Scorer, score: Score) -> Nats:
    """Return nats (voices, cells) of a prior's surprise; NaN for what it can never write.

    To a prior that hears one voice at a time each is a piece of its own, in its own range.

    Raises:
        ValueError: the prior cannot read the piece.
    """
    from pretrained.networks.regrid import on_grid
    from pretrained.prior import hears_one_line

    task, page = score.task, score.tokens[0]
    prior = on_grid(prior, task)
    if task.voices == 1 or not hears_one_line(prior):
        nats = -prior.log_prob(score)[0]
    else:
        lines = []
        for voice in range(task.voices):
            notes = [replace(note, voice=0) for note in task.codec.decode(page[voice])]
            low, high = roomy_range([note.pitch for note in notes] or [task.low, task.high])
            alone = replace(task, voices=1, ranges="", low=low, high=high, given=())
            lines.append(-prior.log_prob(score_of(notes, alone))[0, 0])
        nats = np.stack(lines)
    return np.where(nats < NEVER, nats, np.float32(np.nan)).astype(np.float32)


def _message(
    number: int, remark: Remark, cost: float, term: Term, piece: Piece, surprise: Nats | None
) -> Message:
    score, voice, cell, other = piece.score, remark.voice, remark.cell, remark.other
    start = note_start(score, voice, cell)
    last = cell == score.task.cells - 1 and cell != start
    where = "at the end" if last else place(score, cell, piece.numbers)
    numbers = [other, voice] if other >= 0 else [voice]
    count = score.task.voices
    who = tuple(voice_name(count, each) for each in numbers) if count > 1 else ()
    unnamed = [name for name in who if name not in remark.text]
    bar, beat = bar_and_beat(score, cell, piece.numbers)
    nats = None if surprise is None else float(surprise[voice, start])
    return Message(
        number=number,
        term=term.name,
        weight=term.weight,
        value=remark.value,
        cost=cost,
        voice=voice,
        cell=cell,
        start=start,
        where=", ".join([where, *[" and ".join(unnamed)] * bool(unnamed)]),
        text=remark.text,
        surprise=None if nats is None or np.isnan(nats) else nats,
        bar=bar,
        beat=beat,
        who=who,
        other=other,
        other_start=note_start(score, other, cell) if other >= 0 else -1,
    )


def note_start(score: Score, voice: int, cell: int) -> int:
    """Return the cell of the last onset up to a cell; the cell itself before the first note."""
    if score.onset[0, voice, cell] or score.previous_onset[0, voice, cell] < 0:
        return cell
    return int(score.previous_onset[0, voice, cell])


def _line(term: str, messages: tuple[Message, ...]) -> RuleLine:
    costs = [message.cost for message in messages if message.term == term]
    return RuleLine(term, len(costs), sum(costs))
