"""Edit distance of lines of tokens (Levenshtein 1966)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from envs.music.tape import Array


def edit_distances(one: Array, two: Array) -> npt.NDArray[np.float64]:
    """Return the Levenshtein distances (N,) of pieces in pairs, over their length, 0 to 1.

    Insertions, deletions and substitutions of tokens cost 1 each. The voices of a piece are read
    one after another.

    Args:
        one, two: tokens (N, V, T) or (N, T), not below 0; of no codec are there more than 130.
    """
    # One character for each token is fastest for rapidfuzz.
    texts = [[p.astype(np.uint8).tobytes().decode("latin-1") for p in side] for side in (one, two)]
    if not texts[0]:
        return np.zeros(0)
    scorer = Levenshtein.normalized_distance
    return np.asarray(cpdist(*texts, scorer=scorer, workers=1), np.float64)
