"""Inputs made of others: bytes changed, cut, repeated, and words of the format put in."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MOST_BYTES = 20_000
KINDS = ("replace", "insert", "delete", "repeat", "move", "number")
NUMBERS = (b"0", b"-1", b"1e999", b"99999999999999999999", b"nan", b"\xff\xff\xff\x7f", b"\x80\x80")


class Edit(NamedTuple):
    """One change.

    Attributes:
        kind: of KINDS.
        place: where, from 0 for the beginning to 1 for the end.
        size: bytes that it takes out, repeats or moves.
        word: what it puts in.
        times: how often what is repeated stands in the end.
    """

    kind: str
    place: float
    size: int
    word: bytes
    times: int


def edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    """An input with some changes, cut to MOST_BYTES."""
    for kind, place, size, word, times in edits:
        at = int(place * len(data))
        head, part, tail = data[:at], data[at : at + size], data[at + size :]
        if kind == "replace":
            data = head + word[: max(1, size)] + data[at + len(word[: max(1, size)]) :]
        elif kind == "insert":
            data = head + word + part + tail
        elif kind == "delete":
            data = head + tail
        elif kind == "repeat":
            data = head + part * times + tail
        elif kind == "number":
            data = head + NUMBERS[size % len(NUMBERS)] + tail
        else:
            data = tail + part + head
        data = data[:MOST_BYTES]
    return data


def mutated(rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """A seed with one to eight random changes."""
    edits = [
        Edit(
            rng.choice(KINDS),
            rng.random(),
            int(2 ** rng.uniform(0, 9)),
            rng.choice(words) if rng.random() < 0.7 else rng.randbytes(rng.randint(1, 4)),
            int(2 ** rng.uniform(1, 8)),
        )
        for _ in range(rng.randint(1, 8))
    ]
    return edited(rng.choice(seeds), edits)
