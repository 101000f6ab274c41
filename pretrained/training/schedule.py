"""Learning rates along a training."""

from __future__ import annotations

import numpy as np


def warm_cosine(progress: float, warm: float = 0.05) -> float:
    """Return the learning rate over its peak at progress 0..1: a linear warm-up, half a cosine."""
    if progress < warm:
        return (progress + 0.002) / (warm + 0.002)
    return float(0.5 * (1 + np.cos(np.pi * (progress - warm) / (1 - warm))))
