"""A term that takes off what is like the pieces that an agent has written lately.

    python -m agents.train --reward prior=1 rl_tuner=1 diversity=5

The diversity filter of molecular design (Blaschke et al. 2020, "Memory-assisted reinforcement
learning for diverse molecular de novo design"): molecules fall into buckets by their scaffold, and
one that falls into a full bucket is worth less. Here the buckets are min-hashes (Broder 1997) of
the sets of a piece's successive intervals, and of its successive durations: two pieces share one
with the probability of their sets' Jaccard similarity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.music.score import Score
from envs.music.tape import Array

MOVES = 3  # intervals or durations in a gram: four notes
HASHES = 16  # buckets of a piece by its intervals, and as many by its durations
MOST = 2**16  # pieces remembered
PRIME = 2**31 - 1
Ints = npt.NDArray[np.int64]


class DiversityFilter:
    """Minus the likeness of a piece to those remembered, -1 to 0; one number per piece.

    The memory is a training's: it holds the latest pieces of its rollouts and grows after each
    was paid. Without one, as in a search or for single pieces, the term pays 0.

    Args:
        memory: latest pieces that are remembered.
        full: share of them from which on a bucket is full; pieces in it are worth the least.
        seed: of the hashes.

    Raises:
        ValueError: a number outside its range.
    """

    source = "Blaschke et al. (2020): memory-assisted reinforcement learning, diversity filter"

    def __init__(self, *, memory: int = 2048, full: float = 0.5, seed: int = 0) -> None:
        if not 1 <= memory <= MOST or memory != int(memory):
            raise ValueError(
                f"diversity: memory={memory!r}, expected a whole number, 1 to {MOST:,}"
            )
        if not 0 < full <= 1:
            raise ValueError(f"diversity: full={full!r}, expected a share above 0, at most 1")
        self.memory, self.full = int(memory), float(full)
        rng = np.random.default_rng(seed)
        self._factors: Ints = rng.integers(1, PRIME, (2 * HASHES, 2))
        self.buckets: Ints = np.zeros((0, 2 * HASHES), np.int64)  # the oldest first

    def real_pieces(self, task: Any) -> None:
        """Return None: it learns from no real melodies."""

    def __call__(self, score: Score) -> Array:
        """Return minus the mean share (B,) of remembered pieces in a piece's buckets."""
        if not len(self.buckets):
            return np.zeros(score.batch, np.float32)
        found = self.buckets_of(score)
        shares = np.empty(found.shape)
        for column, (own, known) in enumerate(zip(found.T, self.buckets.T, strict=True)):
            kinds, counts = np.unique(known, return_counts=True)
            place = np.minimum(np.searchsorted(kinds, own), len(kinds) - 1)
            shares[:, column] = np.where(kinds[place] == own, counts[place], 0) / len(known)
        return -np.minimum(shares / self.full, 1.0).mean(axis=1).astype(np.float32)

    def update(self, real: Any, generated: Score) -> dict[str, float]:
        """Remember a rollout; return how like those before its pieces were."""
        likeness = abs(float(self(generated).mean()))
        latest = self.buckets_of(generated)[-self.memory :]
        self.buckets = np.concatenate([self.buckets, latest])[-self.memory :]
        return {"likeness": likeness}

    def buckets_of(self, score: Score) -> Ints:
        """Return the buckets (B, 2 * HASHES) of pieces, by intervals and then by durations.

        Pieces of too few notes for a gram are in a bucket of their own.
        """
        at = score.onset & (score.previous_onset >= 0)
        voice = np.flatnonzero(at) // score.task.cells  # number of the voice among all voices
        durations = score.cell - score.previous_onset
        facts = (score.interval, durations)
        halves = np.split(self._factors, 2)
        kinds = [
            _smallest(_grams(fact[at]), voice, score, factors)
            for fact, factors in zip(facts, halves, strict=True)
        ]
        return np.concatenate(kinds, axis=1)

    def state_dict(self) -> dict[str, Any]:
        """Return the memory."""
        return {"buckets": self.buckets}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a memory.

        Raises:
            KeyError, ValueError: it is the state of something else.
        """
        buckets = np.asarray(state["buckets"]).copy()
        shape = buckets.shape
        if buckets.dtype != np.int64 or shape[1:] != (2 * HASHES,) or shape[0] > self.memory:
            raise ValueError(f"a memory of shape {shape}, expected (<={self.memory}, {2 * HASHES})")
        self.buckets = buckets


def _grams(values: Array) -> Ints:
    """Return a number (N - MOVES + 1,) for each MOVES successive values, if there are as many."""
    if len(values) < MOVES:
        return np.zeros(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(values.astype(np.int64) + 128, MOVES)
    return np.asarray(windows @ (4096 ** np.arange(MOVES)))


def _smallest(grams: Ints, voice: Ints, score: Score, factors: Ints) -> Ints:
    """Return the smallest hash (B, HASHES) of each piece's grams.

    Args:
        grams: of all pieces in a row, those across two voices among them.
        voice: number of the voice in which each note stands.
        score: the pieces.
        factors: (HASHES, 2) of the hashes.
    """
    smallest = np.full((score.batch, len(factors)), PRIME, np.int64)
    if len(grams):
        within = voice[: len(grams)] == voice[MOVES - 1 :]
        kinds, place = np.unique(grams[within], return_inverse=True)
        hashes = ((kinds % PRIME)[:, None] * factors[:, 0] + factors[:, 1]) % PRIME
        np.minimum.at(smallest, voice[: len(grams)][within] // score.task.voices, hashes[place])
    return smallest
