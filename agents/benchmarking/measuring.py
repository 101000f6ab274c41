"""Numbers of a benchmark's cell, measured on its pieces."""

from __future__ import annotations

import numpy as np

from agents.benchmarking.bench import Bench, Drawn
from agents.training.monitor import find_judge
from envs.music.score import Score
from rewards.measures.diversity import diversity
from rewards.measures.hacking import held_out_rules, rule_means
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


def measure(bench: Bench, drawn: Drawn) -> dict[str, float]:
    """Return all numbers of a cell; NaN where nothing could be counted."""
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
    return numbers
