"""PieceMemory: a ring of whole pieces."""

import math

import numpy as np
import pytest
import torch

from agents.algorithms.replay import PieceMemory
from tests.agents.helpers import writing_order


def batch(numbers, log_p=False):
    """Pieces of 2 voices and 2 cells over 11 tokens that all hold their number."""
    rng, n = np.random.default_rng(0), len(numbers)
    parts = {
        "tokens": np.asarray(numbers)[:, None, None] % 11 + np.zeros((n, 2, 2), int),
        "context": np.asarray(numbers)[:, None] * np.ones((n, 10)),
        "masks": rng.integers(0, 2, (n, 4, 11)),
        "rules": np.asarray(numbers)[:, None] + np.arange(4) / 10,
        "prior": -np.asarray(numbers)[:, None] - np.arange(4) / 10,
    }
    return parts | ({"log_p": rng.normal(size=(n, 4, 11))} if log_p else {})


def test_the_oldest_pieces_make_room_for_new_ones():
    memory = PieceMemory(5 * 4 + 3, 2, 2, 11, 10)
    for first, count, held in (
        (0, 3, {0, 1, 2}),
        (3, 4, {2, 3, 4, 5, 6}),
        (7, 12, set(range(14, 19))),
    ):
        memory.add(**batch(range(first, first + count)))
        assert len(memory) == len(held)
        pieces = memory.take(np.arange(len(memory)))
        assert {int(number) for number in pieces.context[:, 0]} == held
        torch.testing.assert_close(pieces.rules, pieces.context[:, :1] + torch.arange(4) / 10)
        torch.testing.assert_close(pieces.prior, -pieces.rules)
        assert torch.equal(pieces.tokens[:, 0, 0], pieces.context[:, 0].long() % 11)


@pytest.mark.parametrize("log_p", [False, True])
def test_what_is_remembered_is_what_was_added(log_p):
    memory = PieceMemory(100, 2, 2, 11, 10, with_prior=log_p)
    added = batch(range(25), log_p)
    added["tokens"] = np.random.default_rng(1).integers(0, 11, (25, 2, 2))
    memory.add(**added)
    pieces = memory.take(np.array([3, 24, 0]))
    for name, part in added.items():
        found = getattr(pieces, name)
        torch.testing.assert_close(found.double(), torch.from_numpy(part[[3, 24, 0]]).double())
    assert pieces.masks.dtype == torch.bool
    assert (pieces.log_p is None) == (not log_p)
    assert pieces.actions.tolist() == [
        writing_order(t[None]).tolist() for t in added["tokens"][[3, 24, 0]]
    ]


@pytest.mark.parametrize("added", [3, 5, 7, 12])
def test_a_memory_that_is_saved_goes_on_as_it_was(added):
    first, second = (PieceMemory(5 * 4, 2, 2, 11, 10) for _ in range(2))
    first.add(**batch(range(added)))
    second.restore({n: c.copy() for n, c in first.columns().items()}, first.next)
    for memory in (first, second):
        memory.add(**batch(range(20, 22)))
    assert len(first) == len(second) == min(5, added + 2)
    every = np.arange(len(first))
    for one, other in zip(first.take(every)[:5], second.take(every)[:5], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("added", [3, 5, 7])
@pytest.mark.parametrize("pieces", [2, 4, 9])
def test_a_memory_of_another_size_takes_the_newest(added, pieces):
    first, second = (PieceMemory(n * 4, 2, 2, 11, 10) for n in (5, pieces))
    first.add(**batch(range(added)))
    second.restore(first.columns(), first.next)
    kept = min(5, added, pieces)

    def held():
        return sorted(second.take(np.arange(len(second))).context[:, 0].tolist())

    assert held() == list(range(added - kept, added))
    second.add(**batch([99]))
    assert held() == [*range(added + 1 - min(pieces, kept + 1), added), 99]


def test_a_minibatch_is_different_pieces_drawn_evenly():
    memory = PieceMemory(10 * 4, 2, 2, 11, 10)
    memory.add(**batch(range(10)))
    np.random.seed(0)
    drawn = np.array([memory.sample(4).context[:, 0].numpy() for _ in range(2000)])
    assert (np.diff(np.sort(drawn, axis=1), axis=1) > 0).all()
    count = np.bincount(drawn.astype(int).ravel(), minlength=10)
    assert (np.abs(count - 800) < 5 * math.sqrt(2000 * 0.4 * 0.6)).all()


def test_what_does_not_fit_the_memory_is_named():
    with pytest.raises(ValueError, match="buffer_size=3 cells: expected at least the 4 of a piece"):
        PieceMemory(3, 2, 2, 11, 10)
    memory = PieceMemory(40, 2, 2, 11, 10)
    with pytest.raises(ValueError, match="4 pieces asked for, 0 remembered"):
        memory.sample(4)
    with pytest.raises(ValueError, match="got .*'log_p'"):
        memory.add(**batch([1], log_p=True))
    with pytest.raises(ValueError, match=r"rules has shape \(1, 3\), expected \(1, 4\)"):
        memory.add(**(batch([1]) | {"rules": np.zeros((1, 3))}))
