"""Side effects of adapting a prior: what it forgets of the old corpus, and copies of the tunes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from envs.music.codec import FIRST_PITCH, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.corpora.copies import Novelty, TuneIndex
from pretrained.corpora.folk import FOLK2, Tune, load_corpus
from pretrained.corpora.pieces import piece
from pretrained.corpora.split import near_duplicate_pairs
from pretrained.corpora.tunes import GridTune, fits
from pretrained.prior import Prior, Trainable, sample
from pretrained.training.adapting import adaptable, bits_per_note, costs

PIECES, BARS = 64, 8  # of the samples that are compared with the tunes


@dataclass(frozen=True)
class Forgetting:
    """Figures of the shipped corpus's test tunes before and after.

    Attributes:
        tunes: number of them; those that are like a tune that was learned do not count.
        before, after: bits per note.
        known: number of tunes that were learned and are like training tunes of that corpus.
    """

    tunes: int
    before: float
    after: float
    known: int


@dataclass(frozen=True)
class Copying:
    """How much of some samples of a prior occurs in tunes.

    Attributes:
        pieces: number of samples.
        near: number of them that are near-copies, see `corpora.copies`.
        closest: of the sample with the longest run of notes.
    """

    pieces: int
    near: int
    closest: Novelty


def forgetting(before: Trainable, after: Trainable, tunes: Sequence[GridTune]) -> Forgetting:
    """Return what a prior that was adapted to tunes has lost on the corpus that ships.

    Args:
        before, after: of one codec.
        tunes: that were learned.
    """
    corpus, own = load_corpus(), len(tunes)
    old = [*corpus.select("train"), *load_corpus(FOLK2).select("train"), *corpus.select("test")]
    alike = list(near_duplicate_pairs([tune.tokens for tune in (*tunes, *old)]))
    pairs = [(i, old[j - own]) for i, j in alike if i < own <= j]
    like = {id(tune) for _, tune in pairs}
    kept = [t for t in corpus.select("test") if id(t) not in like and fits(t, before.codec)]
    known = {number for number, tune in pairs if tune.split == "train"}
    was, became = (bits_per_note(costs(adaptable(p), kept, p.codec)) for p in (before, after))
    return Forgetting(len(kept), was, became, len(known))


def copying(prior: Prior, tunes: Sequence[GridTune], seed: int = 0) -> Copying:
    """Return how much of PIECES samples of a prior occurs in tunes.

    The samples have BARS bars, in the key and the metre that most of the tunes have.
    """
    index = TuneIndex([_credited(tune) for tune in tunes])
    page = Score.page(_usual_task(tunes, prior.codec), PIECES)
    low = page.task.codec.low - FIRST_PITCH
    found = [
        index.find(tokens[tokens >= FIRST_PITCH].astype(np.int64) + low)
        for (tokens,) in sample(prior, page, seed).tokens
    ]
    closest = max(found, key=lambda each: (each.run, each.share or 0.0))
    return Copying(PIECES, sum(each.near_copy for each in found), closest)


def _credited(tune: GridTune) -> Tune:
    """Return a tune that is credited to its file, or by its own corpus."""
    if isinstance(tune, Tune):
        return tune
    source = getattr(tune, "source", "")
    fields = tune.tokens, tune.position, tune.meter, tune.tonic, tune.title
    return Tune(*fields, source, "train", 0)


def _usual_task(tunes: Sequence[GridTune], codec: Codec) -> Task:
    """Return the task of BARS bars that most tunes are like; the default's key if none is whole."""
    tasks = [whole[0] for whole in map(piece, tunes) if whole is not None]
    ranged = [replace(task, bars=BARS, low=codec.low, high=codec.high) for task in tasks]
    likely = Counter(ranged).most_common(1)
    return likely[0][0] if likely else Task(bars=BARS, low=codec.low, high=codec.high)
