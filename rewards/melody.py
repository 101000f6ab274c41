"""Rules of one line."""

from __future__ import annotations

import numpy as np

from envs.score import Score
from envs.tape import Array
from rewards.rule import rule


@rule(source="definition of a key", says="{note} is not in {key}")
def in_key(score: Score) -> Array:
    """Notes belong to the scale of the key.

    >>> from rewards.rule import explain
    >>> explain(in_key, "C4 E4 G4 B4")
    >>> explain(in_key, "C4 Bb4 G4 C5")
    bar 1, beat 2: Bb4 is not in C major
    """
    return (~score.in_scale).astype(np.float32)


@rule(
    source="Fux, Gradus ad Parnassum (1725), book I",
    says="{note} does not step back after the leap {before}-{previous}",
)
def leap_recovery(score: Score, *, min_leap: int = 5) -> Array:
    """A leap is followed by a step the other way.

    min_leap: semitones from which a move counts as a leap.

    >>> from rewards.rule import explain
    >>> explain(leap_recovery, "C4 A4 G4 E4")
    >>> explain(leap_recovery, "C4 A4 B4 C5")
    bar 1, beat 3: B4 does not step back after the leap C4-A4
    """
    leap = score.prev("interval")
    step_back = (np.sign(score.interval) == -np.sign(leap)) & (np.abs(score.interval) <= 2)
    return (score.onset & (np.abs(leap) >= min_leap) & ~step_back).astype(np.float32)
