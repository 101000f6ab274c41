"""Figures by the bar of the piece: how much likelier a tune becomes as it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pretrained.corpora.tunes import GridTune

BARS = ((1, 1), (2, 2), (3, 4), (5, 8), (9, 12), (13, 16), (17, 32))
WIDTH = 9


def bars_of(tunes: Sequence[GridTune]) -> npt.NDArray[np.int64]:
    """Return the bar (N,) of each token of some tunes, counted from each first token as bar 1."""
    return np.concatenate([np.arange(len(tune.tokens)) // tune.bar_cells + 1 for tune in tunes])


def by_bar(nats: npt.NDArray[np.floating], bars: npt.NDArray[np.integer]) -> dict[str, float]:
    """Return the mean nats per token of BARS, those aside that no tune has.

    Args:
        nats: of each token, (N,).
        bars: number of its bar, from 1, (N,).
    """
    spans = {named(*span): (bars >= span[0]) & (bars <= span[1]) for span in BARS}
    return {name: float(nats[inside].mean()) for name, inside in spans.items() if inside.any()}


def named(first: int, last: int) -> str:
    """Return the name of some bars, such as '3-4'."""
    return str(first) if first == last else f"{first}-{last}"


def by_bar_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return the nats per token of several models as a table, a column for each of BARS."""
    names = [named(*span) for span in BARS]
    lines = [f"{'nats, bars':<16}" + "".join(f"{name:>{WIDTH}}" for name in names)]
    for model, nats in rows.items():
        cells = (f"{nats[name]:.3f}" if name in nats else "-" for name in names)
        lines.append(f"{model:<16}" + "".join(f"{cell:>{WIDTH}}" for cell in cells))
    return "\n".join(lines)
