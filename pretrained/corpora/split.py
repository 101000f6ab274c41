"""Near-duplicate clusters of melodies, and a split that keeps every cluster on one side.

Folk collections print the same tune many times, in other keys and with other endings. A random
split would put copies of training tunes into the test set, so tunes are clustered first.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

GRAM = 12
SHARED = 0.30
SPLITS = ("train", "valid", "test")
HELD_OUT_SHARE = 0.05
FIRST_PITCH = 2


def intervals(tokens: NDArray[np.int16]) -> NDArray[np.int16]:
    """Semitones between successive onsets of a tune, int16 [onsets - 1], from tokens [T]."""
    return np.diff(tokens[tokens >= FIRST_PITCH])


def grams(tokens: NDArray[np.int16]) -> set[bytes]:
    """The distinct runs of 12 intervals of a tune; of a shorter tune, its one whole run.

    Intervals do not change under transposition, so neither do the grams.
    """
    steps = intervals(tokens).astype(np.int8)
    return {steps[i : i + GRAM].tobytes() for i in range(max(1, len(steps) - GRAM + 1))}


def near_duplicate_pairs(tunes: Sequence[NDArray[np.int16]]) -> Iterable[tuple[int, int]]:
    """Pairs (i, j), i < j, that share at least 30% of the grams of the one with fewer."""
    seen: dict[bytes, list[int]] = defaultdict(list)
    sizes: list[int] = []
    for j, tokens in enumerate(tunes):
        own = grams(tokens)
        sizes.append(len(own))
        shared: Counter[int] = Counter()
        for gram in own:
            shared.update(seen[gram])
            seen[gram].append(j)
        for i, count in shared.items():
            if count >= SHARED * min(sizes[i], sizes[j]):
                yield i, j


def clusters(tunes: Sequence[NDArray[np.int16]]) -> list[int]:
    """Cluster number of each tune: near-duplicates, and near-duplicates of those, share one.

    Clusters are numbered from 0 in the order of their first tunes.
    """
    parent = list(range(len(tunes)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in near_duplicate_pairs(tunes):
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    number: dict[int, int] = {}
    return [number.setdefault(root(i), len(number)) for i in range(len(tunes))]


def split_clusters(cluster: Sequence[int], names: Sequence[str], seed: int = 0) -> list[str]:
    """Name of the split of each tune: about 5% test, 5% valid, the rest train, by cluster.

    The order of the clusters comes from a hash of seed and the name of the first tune, so it is
    the same on every machine and hardly moves when tunes are added, dropped or read better: a
    network trained on an older build has still not seen most of the test tunes. A cluster too
    large for what is left of a held-out set goes to train.

    Args:
        cluster: cluster number of each tune.
        names: a name for each tune; the same name twice does no harm.
        seed: draws another split.
    """
    if len(cluster) != len(names):
        raise ValueError(f"one name per tune: got {len(names)} names for {len(cluster)} tunes")
    size = Counter(cluster)
    first: dict[int, str] = {}
    for number, name in zip(cluster, names, strict=True):
        first.setdefault(number, name)

    def key(number: int) -> bytes:
        return hashlib.sha256(f"{seed}/{first[number]}".encode()).digest()

    room = {part: round(HELD_OUT_SHARE * len(cluster)) for part in ("test", "valid")}
    chosen: dict[int, str] = {}
    for number in sorted(size, key=key):
        part = next((part for part in room if size[number] <= room[part]), "train")
        chosen[number] = part
        if part in room:
            room[part] -= size[number]
    return [chosen[number] for number in cluster]
