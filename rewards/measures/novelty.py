"""Novelty of a piece: near-copies of the tunes that the prior has learned from.

A prior can write a tune of its corpus again, and a reward with the prior's likelihood pays for
that; `pretrained.corpora.copies` has the measures.

Folk tunes have phrases in common, so real tunes are sometimes near-copies as well: compare the rate
of near-copies in a batch with that of held-out tunes, at RUN there.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from envs.music.codec import FIRST_PITCH
from envs.music.score import Score
from pretrained.corpora.copies import Novelty, TuneIndex
from pretrained.corpora.folk import load_corpus


def novelty(score: Score, *, index: TuneIndex | None = None) -> list[Novelty]:
    """Return the likeness of each of B finished pieces to the tunes of a corpus.

    Voices are compared one by one; a piece has the result of its most copied voice.

    Args:
        score: B finished pieces on any grid.
        index: the tunes to compare with; by default those that the prior was trained on.

    Raises:
        ValueError: the pieces are not finished.
    """
    if not score.finished:
        raise ValueError("novelty: expected finished pieces; write their remaining cells first")
    index = training_tunes() if index is None else index
    low = score.task.codec.low - FIRST_PITCH
    pieces = []
    for piece in score.tokens:
        lines = [tokens[tokens >= FIRST_PITCH].astype(np.int64) + low for tokens in piece]
        voices = [index.find(pitches, voice) for voice, pitches in enumerate(lines)]
        pieces.append(max(voices, key=lambda v: (v.near_copy, v.run, v.share or 0)))
    return pieces


@lru_cache(maxsize=1)
def training_tunes() -> TuneIndex:
    """Return the index of the training tunes; it is made once, in about a second."""
    return TuneIndex(load_corpus().select("train"))
