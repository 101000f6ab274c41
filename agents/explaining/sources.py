"""Pieces, rules and prior of a run directory, for an explanation of its samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.explaining.explainer import rules_for, speaks
from envs.music.piece import Piece
from envs.notation.reading.readers import read_piece
from rewards.build import build
from rewards.sum import RewardSum

if TYPE_CHECKING:
    from agents.runs.directory import Run
    from agents.settings.config import TrainConfig
    from envs.music.task import Task

MOST_SAMPLES = 200  # of a run


def read_with_plan(path: str | Path, known: Mapping[str, Any], plan: Mapping[str, Any]) -> Piece:
    """Return the piece of a file with chords and phrases that the file does not tell.

    Args:
        path: the file.
        known: arguments of `read_piece`.
        plan: fields of the task: chords and phrases.

    Raises:
        ValueError: the file cannot be read, or the plan does not fit it.
    """
    piece = read_piece(path, **known)
    return replace(piece, score=piece.score_for(replace(piece.task, **plan)))


def samples_of(
    run: Run, task: Task, known: Mapping[str, Any], plan: Mapping[str, Any]
) -> Iterator[tuple[str, Piece]]:
    """Yield the name and piece of each melody that a training left, as pieces of its task.

    Args:
        run: the run directory.
        task: of the run.
        known: arguments of `read_piece` that are not as the run's task has them.
        plan: chords and phrases in place of the task's.

    Raises:
        ValueError: the run holds no melodies, or one cannot be read.
    """
    files = sorted(run.samples.glob("*.musicxml"))
    if not files:
        raise ValueError(f"{run.samples} holds no melodies; expected those that training leaves")
    own = {"grid": task.grid, "key": task.key, "meter": task.meter, "pickup": task.pickup}
    known = {**own, **known}
    as_task = {name: known[name] for name in own} == own and not any(plan.values())
    for file in files[:MOST_SAMPLES]:
        piece = read_with_plan(file, known, plan)
        if as_task and piece.voices <= task.voices and piece.bars <= task.bars:
            piece = replace(piece, score=piece.score_for(task))
        yield file.name, piece


def rules_of(run: Run, settings: TrainConfig, without: Sequence[str] = ()) -> RewardSum:
    """Return the terms of a run's reward that can speak, with the values they have learned.

    Those of `rules_for` if none of them can.

    Args:
        run: the run directory.
        settings: of the run.
        without: names of terms that are left out, such as code that is not trusted; then no term
            has the values it has learned.
    """
    spec = {name: value for name, value in settings.reward_spec.items() if name not in without}
    if not spec:
        return rules_for(settings.task.voices)
    reward = build(spec)
    if not without:
        run.restore_reward(reward)
    terms = [term for term in reward.terms.values() if speaks(term)]
    return RewardSum(terms) if terms else rules_for(settings.task.voices)
