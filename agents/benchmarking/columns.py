"""The numbers of a benchmark's tables: their heads, and which of them are better high or low."""

from __future__ import annotations

import math

from rewards.measures.hidden_bars import HIDDEN
from rewards.measures.statistics import PUBLISHED

LOWER = ("notes excessively repeated", "notes not in key")  # published rows where less is better
WATCHED = (
    "judge per note",
    "distinct",
    "diversity/edit_distance",
    "diversity/interval_entropy",
    "diversity/rhythm_entropy",
)
COLUMNS = {  # of the second table: head, number
    "pieces in a cell": "pieces",
    "reward of the rules": "reward",
    "reward with log p": "reward with log p",
    "KL, nats per token": "kl",
    "log p per token": "log p",
    "distinct share": "distinct",
    "gap to the limit, nats a piece": "gap",
    "share of the possible gain": "share",
    "edit distance": "diversity/edit_distance",
    "Vendi score": "diversity/vendi",
    "judge, nats per token": "judge",
    "LSTM judge, nats per token": "lstm judge",
    "told from real tunes": "told apart",
    "overlap of histograms, %": "overlap",
    "near-copies, %": "near copies",
    "training steps": "steps",
    "training, CPU s": "train_cpu",
    "a piece, CPU s": "piece_cpu",
    "network tokens per piece": "tokens",
    "cells scored per piece": "cells",
}
HEARD = {  # of the table of hidden bars, behind the bars: head, number
    "notes right, %": "right",
    "true bars, nats per token": "nats",
    "judge, nats per token": "judge",
    "interval in, nats": "in",
    "interval out, nats": "out",
}
HIDDEN_BARS = "hidden/"  # before the name of one of its numbers
BARS = {  # head, number
    f"bars {a}-{b}: {head}": f"{HIDDEN_BARS}{a}-{b} {number}"
    for a, b in HIDDEN
    for head, number in HEARD.items()
}
APART, EVEN = "told apart", 0.5  # a share, and what it is where nothing can be told
MORE = (
    "reward",
    "reward with log p",
    "log p",
    "distinct",
    "share",
    "diversity/vendi",
    "judge",
    "lstm judge",
    "overlap",
    *WATCHED,
    *(name for name in BARS.values() if name.endswith("right")),
)
LESS = ("near copies", "gap", *(name for name in BARS.values() if not name.endswith("right")))


def cost(number: str, value: float) -> float:
    """Return a number as a cost, lower being better; NaN for one that is neither.

    A correlation of notes is best at 0, and a share told apart at a half: below it is chance.
    """
    if "autocorrelation" in number:
        return abs(value)
    if number == APART:
        return max(value, EVEN)
    if number in LOWER or number in LESS:
        return value
    return -value if number in PUBLISHED or number in MORE else math.nan
