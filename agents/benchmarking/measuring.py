"""Numbers of a benchmark's cell, measured on its pieces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from agents.benchmarking.bench import Bench, Drawn
from agents.benchmarking.columns import APART, HIDDEN_BARS
from agents.training.monitor import Note, find_judge
from envs.music.score import Score
from envs.music.task import Task
from pretrained.infiller import Infiller
from pretrained.judging.lstm_judge import load_lstm_judge
from pretrained.prior import Prior
from rewards.adaptive.fresh import ToldApart, tell_apart
from rewards.measures.diversity import diversity
from rewards.measures.hacking import held_out_rules, rule_means
from rewards.measures.hidden_bars import HiddenBars, held_out_bars
from rewards.measures.likeness import likeness
from rewards.measures.novelty import novelty
from rewards.measures.statistics import distinct, table_rows
from rewards.rules.rl_tuner import FINAL, repeated_motif, tonic

GROUP = 64  # pieces whose diversity is measured together, as it depends on their number


def goals(score: Score) -> dict[str, float]:
    """Return per cent of pieces that reach each goal of the whole piece which `table_rows` has not.

    Tonic frame: in one voice the `tonic` term pays at the first cell and at each of the last four.
    Repeated motif: the `repeated_motif` term pays somewhere.
    """
    ends = [0, *range(max(0, score.task.cells - FINAL), score.task.cells)]
    frame, again = tonic(score)[:, :, ends], repeated_motif(score)
    reached = {"tonic frame": frame.min(axis=2), "repeated motif": again.max(axis=2)}
    return {name: 100.0 * float((v.max(axis=1) > 0).mean()) for name, v in reached.items()}


def group_diversity(score: Score) -> dict[str, float]:
    """Return the mean `rewards.measures.diversity` of groups of GROUP pieces, fewer if need be."""
    size = min(GROUP, score.batch)
    groups = [score[start : start + size] for start in range(0, score.batch - size + 1, size)]
    found = [diversity(group) for group in groups]
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


def second_judge(task: Task, note: Note = str) -> Prior | None:
    """Return the LSTM judge of a task; None, and a note, if there is none."""
    try:
        judge = load_lstm_judge(note)
        judge.require(task)
    except (ValueError, OSError) as error:
        note(f"no LSTM judge: {error}")
        return None
    return judge


def hidden_bars(
    writer: Prior | Infiller, most: int, seed: int = 0, temperature: float = 1.0
) -> dict[str, float]:
    """Return how a model fills hidden bars of at most so many windows of held-out tunes.

    Returns:
        the figures of `rewards.measures.hidden_bars`; {} for a model that cannot read the windows.
    """
    exam = windows(most)
    try:
        for group in exam.groups:
            writer.require(group.score.task)
    except ValueError:
        return {}
    found = exam.figures(writer, seed, temperature)
    return {HIDDEN_BARS + name: value for name, value in found.items()}


def windows(most: int) -> HiddenBars:
    """Return windows of held-out tunes with hidden bars, and with the judge if there is one."""
    exam = held_out_bars().some(most)
    return replace(exam, judge=find_judge(exam.groups[0].score.task))


def measure(bench: Bench, drawn: Drawn, seed: int = 0) -> dict[str, float]:
    """Return all numbers of a cell; NaN where nothing could be counted."""
    numbers = numbers_of(bench, drawn)
    apart = tell_apart(drawn.score, seed) if drawn.score.batch > 1 else None
    if apart is not None:
        numbers |= {f"{APART}{end}": value for end, value in _ends(apart).items()}
    if drawn.writer is not None:
        numbers |= hidden_bars(drawn.writer, bench.pieces, seed, drawn.temperature)
    return numbers


def _ends(apart: ToldApart) -> dict[str, float]:
    return {"": apart.accuracy, "/low": apart.low, "/high": apart.high, "/area": apart.area}


def numbers_of(bench: Bench, drawn: Drawn) -> dict[str, float]:
    """Return the numbers of a cell that nothing has to be trained for."""
    score, first = drawn.score, drawn.score[: drawn.independent]
    parts, rules = bench.paid(score)
    numbers = table_rows(score) | goals(score)
    numbers |= {
        "reward": float(rules.mean()),
        "reward with log p": float(sum(parts.values(), np.zeros(score.batch)).mean()),
        "log p": float(bench.prior.log_prob(score).mean(dtype=np.float64)),
        "kl": drawn.kl,
        "distinct": distinct(first) / first.batch,
        "pieces": score.batch,
        "independent": first.batch,
        "draws": drawn.draws,
        "tokens": drawn.cost.tokens / score.batch,
        "cells": drawn.cost.cells / score.batch,
    }
    numbers |= {f"diversity/{name}": value for name, value in group_diversity(first).items()}
    numbers |= {f"term/{name}": float(values.mean()) for name, values in parts.items()}
    held_out = rule_means(score, held_out_rules(bench.reward))
    numbers |= {f"held out/{name}": value for name, value in held_out.items()}
    judge = find_judge(bench.task)
    if judge is not None:
        numbers["judge"] = float(judge.log_prob(score).mean(dtype=np.float64))
        numbers["judge per note"] = judge.per_note(score)
    other = second_judge(bench.task)
    if other is not None:
        nats = other.log_prob(score)
        numbers["lstm judge"] = float(nats.mean(dtype=np.float64))
        notes = max(1, int(score.onset.sum()))
        numbers["lstm judge per note"] = float(nats.sum(dtype=np.float64)) / notes
    if score.task.voices == 1:
        alike = likeness(score)
        numbers |= {f"likeness/{name}": value for name, value in alike.items()}
        shared = [value for name, value in alike.items() if name.endswith("overlap")]
        numbers |= {"overlap": float(np.mean(shared))} if shared else {}
        numbers["near copies"] = 100 * float(np.mean([n.near_copy for n in novelty(score)]))
    return numbers
