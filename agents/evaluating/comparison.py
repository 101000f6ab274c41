"""The table of an evaluation: agent beside prior and published figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isnan, nan
from typing import Any

import numpy as np

from agents.evaluating.sampling import log_policy, sample_many
from envs.music.score import Score
from envs.music.task import Task
from pretrained.ngrams.judge import Judge
from pretrained.prior import Prior
from rewards.build import read_pack
from rewards.measures.diversity import edit_distance
from rewards.measures.likeness import likeness, mean_violations
from rewards.measures.statistics import distinct, format_table, table_rows
from rewards.spec import short_names
from rewards.sum import RewardSum, total

RETURN = "mean return, this reward"
PAID = "mean per piece, "  # and a term's name: what this reward's term pays, weighted
KL = "mean KL to the prior (nats)"
COSTS = ("mean cost of broken rules", "mean violations")
BROKEN = "mean violations, "
LIKELY = "mean log p per token (nats)"
DISTINCT = "distinct pieces"
EDIT = "mean edit distance of two pieces"
JUDGE = "mean log p per note, held-out judge (nats)"


def column(
    score: Score,
    prior: Prior,
    writer: Prior | None = None,
    mask: RewardSum | None = None,
    reward: RewardSum | None = None,
    judge: Judge | None = None,
) -> dict[str, float]:
    """Return one column of the table: statistics, mean log p under `prior`, distinct pieces.

    With a reward also what it pays on average, in all and term by term, and how often its rules
    are broken; and, where there are real tunes to compare with, how like them the pieces are
    (`rewards.measures.likeness`). With the `writer` the pieces were drawn from (at temperature 1,
    behind its mask) also its KL to the prior: the mean of log pi - log p over the cells that are
    not given. With a judge also what it says of them.
    """
    rows, likely = table_rows(score), prior.log_prob(score)
    rows[LIKELY] = float(likely.mean())
    if writer is not None:
        own = likely if writer is prior and mask is None else log_policy(writer, score, mask)
        rows[KL] = float((own - likely)[:, score.task.free].mean())
    if reward is not None:
        parts = reward.breakdown(score)
        rows[RETURN] = float(total(parts).sum(axis=(1, 2)).mean())
        rows |= {PAID + name: float(part.sum(axis=(1, 2)).mean()) for name, part in parts.items()}
        if score.task != Task():  # the paper's table is left as it is
            rows |= mean_violations(score, reward)
    rows |= likeness(score)
    rows[EDIT] = edit_distance(score, np.random.default_rng(0)) if score.batch > 1 else nan
    if judge is not None:
        rows[JUDGE] = judge.per_note(score)
    rows[DISTINCT] = float(distinct(score))
    return rows


def compare(
    agent: Prior,
    prior: Prior,
    task: Task,
    n: int,
    seed: int,
    temperature: float = 1.0,
    mask: RewardSum | None = None,
    reward: RewardSum | None = None,
    judge: Judge | None = None,
    apart: bool = False,
) -> dict[str, dict[str, float]]:
    """Return columns of prior and agent, `n` pieces each; the agent's are drawn behind its mask.

    If `apart`, also how well fresh discriminators tell both from real tunes, see `adaptive.fresh`.
    """
    known, pieces = (
        sample_many(prior, task, n, seed),
        sample_many(agent, task, n, seed, temperature, mask),
    )
    writer = agent if temperature == 1 else None
    return {
        "prior": column(known, prior, prior, None, reward, judge) | _apart(known, apart),
        "agent": column(pieces, prior, writer, mask, reward, judge) | _apart(pieces, apart),
    }


def _apart(score: Score, asked: bool) -> dict[str, float]:
    if not asked or score.batch < 2:
        return {}
    from rewards.adaptive.fresh import told_apart

    return told_apart(score)


def table(
    columns: Mapping[str, Mapping[str, float]], n: int, task: Task, reward: RewardSum | None = None
) -> str:
    """Return the columns as text.

    The published figures stand beside them where the task and the rules are the paper's. With
    another reward its return and its terms come first.
    """
    terms = {} if reward is None else reward.terms
    papers = reward is None or read_pack("rl_tuner").keys() <= terms.keys()
    short = short_names(terms).items()
    paid, broken = ({head + name: head + word for name, word in short} for head in (PAID, BROKEN))
    labels = paid | broken
    first = () if papers else (RETURN, *paid, *COSTS, *broken, KL, LIKELY, DISTINCT)
    shown: dict[str, dict[str, float]] = {}
    for head, column in columns.items():
        names = [name for name in dict.fromkeys((*first, *column)) if name in column]
        shown[head] = {labels.get(name, name): column[name] for name in names}
    return f"{n:,} pieces each\n\n{format_table(shown, published=papers and task == Task())}"


def as_json(facts: Mapping[str, Any], columns: Mapping[str, Mapping[str, float]]) -> str:
    """Return the columns for a file; null where nothing could be counted, as JSON has no NaN."""
    known = {
        head: {name: None if isnan(value) else value for name, value in column.items()}
        for head, column in columns.items()
    }
    return json.dumps({**facts, "columns": known}, indent=2) + "\n"
