"""Rewards, pages and all pieces of small tasks, for the tests of search."""

import itertools

import numpy as np

from envs.music.codec import UNWRITTEN
from envs.music.score import Score
from envs.music.task import Task
from rewards.build import build
from rewards.functions import per_piece
from rewards.likelihood import Likelihood
from rewards.sum import RewardSum
from rewards.term import Term

NARROW = Task(bars=1, meter="2/4", low="C4", high="C4")  # 8 cells of three tokens
TASKS = {
    "one voice": NARROW,
    "two voices": Task(bars=1, meter="1/4", low="C4", high="C4", voices=2),
    "three pitches": Task(bars=1, meter="1/4", low="B3", high="C#4"),
    "given cells": Task(bars=1, meter="2/4", low="C4", high="Db4", given=((-1, 15, 1, -1) * 2,)),
}
PIECES = 10_000  # more than any of these tasks has


@per_piece
def few_notes(notes):
    return -float(len(notes)) / 3


def page_of(task, n=1):
    return Score.page(task, n)


def everything(task):
    """Return all finished pieces of a task, from the product of all tokens."""
    tokens = [0, 1, *range(task.codec.token(task.low), task.codec.token(task.high) + 1)]
    given = Score.page(task, 1).tokens[0].T.reshape(-1)
    choice = [tokens if token == UNWRITTEN else [int(token)] for token in given]
    pieces = np.array(list(itertools.product(*choice)), np.int16)
    pieces = pieces.reshape(len(pieces), task.cells, task.voices).transpose(0, 2, 1)
    begun = np.maximum.accumulate(pieces > 1, axis=2)
    return Score(pieces[~((pieces == 1) & ~begun).any(axis=(1, 2))], task)


def returns_of(reward, score):
    return sum(part.sum(axis=(1, 2), dtype=np.float64) for part in reward.breakdown(score).values())


def rows_of(score):
    return [tuple(piece) for piece in score.tokens.reshape(score.batch, -1).tolist()]


def rules_and_prior(prior, weight=1.0):
    likelihood = Term(
        "prior", Likelihood(checkpoint=prior, floor=-1.0), weight
    )  # a floor that bites
    terms = build({"rl_tuner": 0.3, "in_key": 0.5}).terms.values()
    return RewardSum([*terms, likelihood, Term("few_notes", few_notes, 1.0)])
