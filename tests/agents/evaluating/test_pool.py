"""Pools of a prior's pieces: kept, grown, and drawn anew where anything is damaged."""

import numpy as np
import pytest

from agents.evaluating import pool as pools
from agents.evaluating.pool import BLOCK, draw_pieces, draw_pool, piece_nats, require_fixed
from envs.music.score import Score
from envs.music.task import Task
from rewards.build import build
from rewards.sum import RewardSum
from rewards.term import Term
from tests.helpers import small_prior
from tests.rewards.learners import Keen

TASK = Task(bars=1, meter="1/4", low=60, high=62)
REWARD = build({"in_key": 1.0, "tonic": 0.7, "prior": 1.0})


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """The folder of the pools."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "composition-gym" / "pools"


@pytest.fixture
def drawn(monkeypatch):
    """The numbers of the blocks that are drawn, in order."""
    numbers, draw = [], pools._drawn

    def spy(prior, task, seed, number):
        numbers.append(number)
        return draw(prior, task, seed, number)

    monkeypatch.setattr(pools, "_drawn", spy)
    return numbers


def test_a_pool_is_drawn_once_and_grows_by_what_is_missing(tiny_prior, drawn):
    small = draw_pieces(tiny_prior, TASK, 10)
    assert small.shape == (10, 1, 4)
    large = draw_pieces(tiny_prior, TASK, BLOCK + 1)
    assert drawn == [0, 1]
    assert np.array_equal(large[:10], small)
    assert np.array_equal(draw_pieces(tiny_prior, TASK, BLOCK + 1), large)
    assert drawn == [0, 1]
    assert not np.array_equal(large[:BLOCK][-1000:], large[:1000])


def test_another_prior_task_or_seed_has_another_pool(tiny_prior, drawn, kept):
    first = draw_pieces(tiny_prior, TASK, 50)
    for other in (
        draw_pieces(small_prior(3), TASK, 50),
        draw_pieces(tiny_prior, TASK, 50, seed=1),
        draw_pieces(tiny_prior, Task(bars=1, meter="1/4", low=61, high=63), 50),
    ):
        assert not np.array_equal(first, other)
    assert drawn == [0] * 4
    assert len(list(kept.iterdir())) == 4


def test_the_rewards_are_those_of_the_rules_and_never_kept(tiny_prior):
    pool = draw_pool(tiny_prior, REWARD, TASK, BLOCK + 7)
    score = Score(pool.tokens, TASK)
    parts = build({"in_key": 1.0, "tonic": 0.7}).breakdown(score)
    assert pool.rewards == pytest.approx(sum(v.sum(axis=(1, 2)) for v in parts.values()), abs=1e-5)
    twice = draw_pool(tiny_prior, build({"in_key": 2.0, "tonic": 1.4}), TASK, BLOCK + 7)
    assert twice.rewards == pytest.approx(2 * pool.rewards, abs=1e-5)
    assert pool.cells == 4


def test_given_cells_count_neither_for_cells_nor_for_nats(tiny_prior):
    task = Task(bars=1, meter="1/4", low=60, high=62, given=((-1, 15, -1, -1),))
    pool = draw_pool(tiny_prior, REWARD, task, 20)
    assert pool.cells == 3
    assert (pool.tokens[:, 0, 1] == 15).all()
    nats = tiny_prior.log_prob(Score(pool.tokens, task))
    assert piece_nats(tiny_prior, pool.tokens, task) == pytest.approx(
        nats[:, 0, [0, 2, 3]].sum(axis=1), abs=1e-5
    )


@pytest.mark.parametrize("damage", ["empty", "half", "pickle", "shape", "tokens"])
def test_a_damaged_file_counts_as_none(tiny_prior, drawn, kept, damage):
    first = draw_pieces(tiny_prior, TASK, 50)
    (file,) = kept.glob("*/*.npz")
    data = file.read_bytes()
    if damage == "empty":
        file.write_bytes(b"")
    elif damage == "half":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "pickle":
        np.savez(file, tokens=np.array([{}], dtype=object))
    elif damage == "shape":
        np.savez(file, tokens=np.zeros((7, 1, 4), np.uint8))
    else:
        np.savez(file, tokens=np.full((BLOCK, 1, 4), 200, np.uint8))
    assert np.array_equal(draw_pieces(tiny_prior, TASK, 50), first)
    assert drawn == [0, 0]
    assert file.read_bytes() == data


def test_a_cache_that_cannot_be_written_is_none(tiny_prior, kept):
    kept.parent.mkdir(parents=True)
    kept.write_text("in the way")
    assert len(draw_pieces(tiny_prior, TASK, 5)) == 5


def test_the_folder_is_bounded(tiny_prior, kept, monkeypatch):
    draw_pieces(tiny_prior, TASK, 5)
    (old,) = kept.iterdir()
    monkeypatch.setattr(pools, "MOST_KEPT", 1)
    draw_pieces(tiny_prior, TASK, 5, seed=1)
    assert len(list(kept.iterdir())) == 1
    assert not old.exists()


def test_numbers_out_of_range_are_told(tiny_prior):
    for n in (0, 10**12):
        with pytest.raises(ValueError, match="pool of .* expected 1 to"):
            draw_pieces(tiny_prior, TASK, n)
    with pytest.raises(ValueError, match="log p alone"):
        draw_pool(tiny_prior, build("prior"), TASK, 5)


def test_terms_that_learn_and_masks_are_refused_by_name():
    require_fixed(REWARD)
    with pytest.raises(ValueError, match="'key'"):
        require_fixed(REWARD, ("key",))
    learning = RewardSum([Term("keen", Keen()), *REWARD.terms.values()])
    with pytest.raises(ValueError, match="'keen' learns"):
        require_fixed(learning)
