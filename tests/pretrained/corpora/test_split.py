"""Clusters of near-duplicates, and splits that do not divide them."""

from __future__ import annotations

import numpy as np
import pytest

from pretrained.corpora import split

H = 1  # the token of a held note


def melody(seed: int, length: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(10, 30, length).astype(np.int16)


def test_transposed_copy_with_another_ending_is_a_near_duplicate() -> None:
    tune = melody(1)
    copy = np.concatenate([tune[:40] + 3, melody(2, 20)])
    held = np.insert(tune, np.arange(1, len(tune)), H)  # other durations, same melody
    assert split.clusters([tune, melody(3), copy, melody(4), held]) == [0, 1, 0, 2, 0]


def test_near_duplicates_chain_into_one_cluster() -> None:
    first, second = melody(1, 80), melody(2, 80)
    bridge = np.concatenate([first[:50], second[:50]])
    assert split.clusters([first, second]) == [0, 1]
    assert split.clusters([first, second, bridge]) == [0, 0, 0]


def test_tunes_shorter_than_a_gram_are_compared_whole() -> None:
    tune = melody(1, 9)
    other = tune.copy()
    other[-1] += 1
    assert split.clusters([tune, tune + 2, other]) == [0, 0, 1]


def test_split_is_deterministic_by_cluster_and_sized() -> None:
    cluster = [i // 2 for i in range(400)]
    names = [f"tune {i}" for i in range(400)]
    parts = split.split_clusters(cluster, names)
    assert parts == split.split_clusters(cluster, names)
    assert parts != split.split_clusters(cluster, names, seed=1)
    assert parts[::2] == parts[1::2]
    assert (parts.count("test"), parts.count("valid")) == (20, 20)


def test_split_hardly_moves_when_a_tune_is_dropped() -> None:
    names = [f"tune {i}" for i in range(400)]
    before = split.split_clusters(range(400), names)
    after = split.split_clusters(range(399), names[1:])
    assert sum(a != b for a, b in zip(before[1:], after, strict=True)) <= 3


def test_the_likes_of_held_out_tunes_are_held_out_again() -> None:
    tested, valid, other = melody(1, 80), melody(2, 80), melody(3, 80)
    bridge = np.concatenate([tested[:50], valid[:50]])
    alike = np.concatenate([valid[:60] + 2, melody(4, 20)])
    alone = split.split_as([other, alike, alike + 1], {"test": [tested], "valid": [valid]})
    assert alone == ([0, 1, 1], ["train", "valid", "valid"])
    joined = split.split_as([other, alike, bridge], {"test": [tested], "valid": [valid]})
    assert joined == ([0, 1, 1], ["train", "test", "test"])


def test_one_name_per_tune() -> None:
    with pytest.raises(ValueError, match="name"):
        split.split_clusters([0, 1], ["a"])
