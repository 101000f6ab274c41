"""Clusters of near-duplicate tunes, and a split of a corpus that never divides a cluster.

Folk collections print the same tune many times, in other keys and with other endings. A random
split would put copies of training tunes into the test set.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from envs.music.codec import FIRST_PITCH

GRAM = 12  # intervals in a gram
SHARED = 0.30  # share of common grams from which two tunes are near-duplicates
SPLITS = ("train", "valid", "test")
HELD_OUT = ("test", "valid")  # the first has the right to a tune that is like tunes of both
HELD_OUT_SHARE = 0.05


def intervals(tokens: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the semitones (onsets - 1,) between successive onsets of a tune's tokens (T,)."""
    return np.diff(tokens[tokens >= FIRST_PITCH])


def grams(tokens: NDArray[np.int16]) -> set[bytes]:
    """Return the different runs of 12 intervals of a tune; one run if the tune is shorter.

    They do not change when the tune is transposed.
    """
    steps = intervals(tokens).astype(np.int8)
    return {steps[i : i + GRAM].tobytes() for i in range(max(1, len(steps) - GRAM + 1))}


def near_duplicate_pairs(tunes: Sequence[NDArray[np.int16]]) -> Iterable[tuple[int, int]]:
    """Yield the pairs i < j of tunes that share at least 30% of the grams of the shorter one."""
    seen: dict[bytes, list[int]] = defaultdict(list)
    sizes: list[int] = []
    for j, tokens in enumerate(tunes):
        current = grams(tokens)
        sizes.append(len(current))
        shared: Counter[int] = Counter()
        for gram in current:
            shared.update(seen[gram])
            seen[gram].append(j)
        for i, count in shared.items():
            if count >= SHARED * min(sizes[i], sizes[j]):
                yield i, j


def clusters(tunes: Sequence[NDArray[np.int16]]) -> list[int]:
    """Return the cluster number of each tune: chains of near-duplicates are one cluster.

    Clusters are numbered from 0 in the order of their first tunes.
    """
    distinct: dict[bytes, int] = {}  # copies in any key and rhythm would take a square of time
    copies = [distinct.setdefault(intervals(each).tobytes(), len(distinct)) for each in tunes]
    firsts = dict(zip(reversed(copies), reversed(tunes), strict=True))
    parent = list(range(len(distinct)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in near_duplicate_pairs([firsts[copy] for copy in range(len(distinct))]):
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    number: dict[int, int] = {}
    return [number.setdefault(root(copy), len(number)) for copy in copies]


def split_clusters(cluster: Sequence[int], names: Sequence[str], seed: int = 0) -> list[str]:
    """Return the split of each tune: about 5% "test", 5% "valid", the rest "train".

    Clusters are ordered by a hash of the seed and their first tune's name. So the order is the
    same on every machine and changes little when tunes are added, removed or read better: a
    network trained on an older build has not seen most of the test tunes. A cluster that does not
    fit in the remaining room of a held-out set goes to train.

    Args:
        cluster: cluster number of each tune.
        names: a name for each tune; names may repeat.
        seed: another seed gives another split.

    Raises:
        ValueError: not as many names as tunes.
    """
    if len(cluster) != len(names):
        raise ValueError(f"one name per tune: got {len(names)} names for {len(cluster)} tunes")
    size = Counter(cluster)
    first: dict[int, str] = {}
    for number, name in zip(cluster, names, strict=True):
        first.setdefault(number, name)

    def key(number: int) -> bytes:
        return hashlib.sha256(f"{seed}/{first[number]}".encode()).digest()

    room = {part: round(HELD_OUT_SHARE * len(cluster)) for part in HELD_OUT}
    chosen: dict[int, str] = {}
    for number in sorted(size, key=key):
        part = next((part for part in room if size[number] <= room[part]), "train")
        chosen[number] = part
        if part in room:
            room[part] -= size[number]
    return [chosen[number] for number in cluster]


def split_as(
    tunes: Sequence[NDArray[np.int16]], held_out: Mapping[str, Sequence[NDArray[np.int16]]]
) -> tuple[list[int], list[str]]:
    """Return cluster and split of each tune: those like tunes held out before are held out again.

    All others are "train".

    Args:
        tunes: tokens of each tune.
        held_out: tokens of the tunes of each split of HELD_OUT.
    """
    before = [(part, tokens) for part in HELD_OUT for tokens in held_out[part]]
    joint = clusters([*(tokens for _, tokens in before), *tunes])
    part_of: dict[int, str] = {}
    for cluster, (part, _) in zip(joint, before, strict=False):
        part_of.setdefault(cluster, part)
    number: dict[int, int] = {}
    found = joint[len(before) :]
    return (
        [number.setdefault(cluster, len(number)) for cluster in found],
        [part_of.get(cluster, "train") for cluster in found],
    )
