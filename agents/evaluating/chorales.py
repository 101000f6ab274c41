"""Voice leading of the pieces that an agent writes on the pages of chorales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agents.evaluating.sampling import log_policy, sample_many
from envs.music.task import Task
from pretrained.corpora.chorales import Chorale
from pretrained.prior import Prior
from rewards.measures.voice_leading import VoiceLeading, voice_leading
from rewards.sum import RewardSum


@dataclass(frozen=True)
class PageCounts:
    """Counts of the pieces on some pages.

    Attributes:
        counts: of voice leading.
        kl: to a prior, in nats per frame, a sixteenth of all voices; NaN where none was given.
    """

    counts: VoiceLeading
    kl: float = math.nan


def empty_page(chorale: Chorale, ranges: str = "SATB") -> Task:
    """Return the page of a chorale: its key, metre, length and phrases.

    Args:
        chorale: of the corpus.
        ranges: of the voices; "" for the range of all chorales in each.
    """
    if not ranges:
        return chorale.task
    return replace(chorale.task, ranges=ranges, low=Task.low, high=Task.high)


def write_on(
    agent: Prior,
    pages: Sequence[Task],
    each: int = 1,
    seed: int = 0,
    mask: RewardSum | None = None,
    prior: Prior | None = None,
) -> PageCounts:
    """Let an agent write on pages, and return the counts of its pieces.

    Args:
        agent: draws the pieces.
        pages: their tasks.
        each: pieces on each page.
        seed: of the draws.
        mask: rules that are kept as by `agents.composing.search.masked`.
        prior: the KL is measured to it.
    """
    counts, nats, frames = VoiceLeading(), 0.0, 0
    for number, task in enumerate(pages):
        score = sample_many(agent, task, each, seed + number, mask=mask)
        counts += voice_leading(score)
        frames += score.batch * task.cells
        if prior is not None:
            nats += float((log_policy(agent, score, mask) - prior.log_prob(score)).sum())
    return PageCounts(counts, nats / frames if prior is not None else math.nan)
