"""Rows of states under costs in nats: the cheapest one, and others drawn by exp(-cost).

Costs of a row are those of its first state, of each step from a state to the next, and of each
state at its place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.music.tape import Array


def cheapest(places: Array, steps: Sequence[Array]) -> tuple[int, ...]:
    """Return the row of states of least cost (Viterbi 1967).

    Args:
        places: (N, K) costs of each of K states at each of N places, those of beginning included.
        steps: N - 1 costs (K, K) from the state of a place to that of the next.
    """
    total, chosen = places[0], []
    for place, step in zip(places[1:], steps, strict=True):
        ways = total[:, None] + step
        chosen.append(ways.argmin(axis=0))
        total = ways.min(axis=0) + place
    row = [int(total.argmin())]
    for best in reversed(chosen):
        row.append(int(best[row[-1]]))
    return tuple(reversed(row))


def drawn(places: Array, steps: Sequence[Array], rng: np.random.Generator) -> tuple[int, ...]:
    """Draw a row of states with probability proportional to exp(-cost).

    Costs are summed forwards and states drawn backwards (Scott 2002, Bayesian methods for hidden
    Markov models).

    Args:
        places, steps: as `cheapest` takes them.
        rng: draws.
    """
    sums = [-places[0]]
    for place, step in zip(places[1:], steps, strict=True):
        sums.append(np.logaddexp.reduce(sums[-1][:, None] - step, axis=0) - place)
    row = [_draw(sums[-1], rng)]
    for total, step in zip(reversed(sums[:-1]), reversed(steps), strict=True):
        row.append(_draw(total - step[:, row[-1]], rng))
    return tuple(reversed(row))


def _draw(logits: Array, rng: np.random.Generator) -> int:
    return int((logits + rng.gumbel(size=len(logits))).argmax())


def cost_of(row: Sequence[int], places: Array, steps: Sequence[Array]) -> float:
    """Return the cost of a row of states."""
    moves = zip(steps, row, row[1:], strict=False)
    here = sum(place[state] for place, state in zip(places, row, strict=True))
    return float(here + sum(step[one, two] for step, one, two in moves))
