"""Rules that a short line breaks, for the tests of explanations."""

import numpy as np

LINE = "C4 F#4 D4:8 C5 B4:2 Bb4:2 C4:8 C4:16"


def sharp(score):
    """Broken by every black key."""
    return (score.onset & np.isin(score.pitch % 12, [1, 3, 6, 8, 10])).astype(np.float32)


def wide(score):
    """Broken by leaps, the more the wider they are."""
    return np.clip(np.abs(score.interval) / 12.0, 0, 1) * (np.abs(score.interval) > 5)


def short(score):
    """Broken at the end."""
    return (score.is_last & score.written).astype(np.float32)


def quiet(score):
    """A reward that names no places."""
    return np.full(score.batch, 2.5)


sharp.violation = wide.violation = short.violation = True
sharp.says, wide.says = "{note} is a <black> key", "{previous}-{note} is a {interval}"
short.says = "it ends on {note}"
RULES = {sharp: 1.0, wide: 0.5, short: 2.0, quiet: 1.0}
