import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from rewards.build import build
from rewards.rule import REGISTRY
from tests.helpers import random_pieces

FACTS = ("onset", "hold", "rest", "pitch", "interval", "degree", "in_scale", "previous_onset")


def slow_facts(tokens):
    """Pitch, interval and time of the previous onset, note by note."""
    pitch, onset, out = -1, -1, []
    for time, token in enumerate(tokens):
        before, before_onset = pitch, onset
        if token >= 2:
            pitch, onset = token + 46, time
        moved = token >= 2 and before >= 0
        out.append((pitch, pitch - before if moved else 0, before_onset))
    return np.array(out).T


def test_facts_against_a_slow_reading():
    score = random_pieces(Task(voices=2, bars=2), 20, seed=2)
    for row in range(20):
        for voice in range(2):
            pitch, interval, previous = slow_facts(score.tokens[row, voice].tolist())
            np.testing.assert_array_equal(score.pitch[row, voice], pitch)
            np.testing.assert_array_equal(score.interval[row, voice], interval)
            np.testing.assert_array_equal(score.previous_onset[row, voice], previous)


@pytest.mark.parametrize("voices", [1, 3])
def test_newest_cell_sees_the_same_facts_as_the_whole(voices):
    task = Task(voices=voices, bars=1, key="G major")
    whole = random_pieces(task, 9, seed=1)
    score = Score.page(task, 9)
    for step in range(task.steps):
        time, voice = divmod(step, voices)
        score = score.write(whole.tokens[:, voice, time])
        for fact in FACTS:
            here = getattr(score.newest, fact)
            assert here.shape == (9, 1, 1)
            np.testing.assert_array_equal(here[:, 0, 0], getattr(whole, fact)[:, voice, time])
        np.testing.assert_array_equal(
            score.newest.prev("interval")[:, 0, 0], whole.prev("interval")[:, voice, time]
        )
    assert score.finished


def count_from(state, here):
    state[0][...] += 1  # in place, which must not reach another voice
    return state, (state[0].copy(),)


def test_scans_start_where_they_are_told_in_every_voice():
    score = random_pieces(Task(voices=2, bars=1), 3)
    for start in (0, 100):
        (counted,) = score.scan(count_from, (np.int64(start),))
        np.testing.assert_array_equal(counted[0], [start + 1 + np.arange(16)] * 2)


def narrow_first(state, here):
    wide = here.cell.item() > 0
    return state, (np.full((here.batch, 1, 1), 0.5 if wide else 1),)


def test_a_scan_that_widens_its_output_is_refused():
    with pytest.raises(TypeError, match="float64"):
        random_pieces(Task(), 2).scan(narrow_first, ())


def test_tokens_are_copied_and_checked_as_they_are():
    tokens = np.zeros((1, 1, 32), np.int16)
    score = Score(tokens, Task(), written=0)
    tokens[:] = 5
    assert (score.tokens == 0).all()
    with pytest.raises(ValueError, match=r"65536\.\.65536"):
        Score(np.full((1, 1, 32), 65536), Task())


def test_prev_by_name_equals_prev_of_the_array():
    score = random_pieces(Task(bars=3), 12, seed=8)
    np.testing.assert_array_equal(score.prev("interval"), score.prev(score.interval))
    np.testing.assert_array_equal(score.prev("cell_in_bar"), score.prev(score.cell_in_bar))


def test_transposing_moves_pitches_and_leaves_intervals():
    score = random_pieces(Task(low=55, high=70), 10, seed=1)
    up = Score(np.where(score.tokens >= 2, score.tokens + 5, score.tokens), Task(key="F major"))
    np.testing.assert_array_equal(up.interval, score.interval)
    np.testing.assert_array_equal(up.in_scale, score.in_scale)
    np.testing.assert_array_equal(up.degree[score.pitch >= 0], score.degree[score.pitch >= 0])


def test_writing_never_changes_an_older_score():
    task = Task(bars=1)
    first = Score.page(task, 3).write(np.array([14, 16, 0]))
    before = first.tokens.copy(), first.newest.pitch.copy()
    left = first.write(np.array([1, 1, 2]))
    right = first.write(np.array([20, 21, 22]))  # another line from the same score
    more = left.write(np.array([5, 6, 7]))
    np.testing.assert_array_equal(first.tokens, before[0])
    np.testing.assert_array_equal(first.newest.pitch, before[1])
    assert right.tokens[0, 0, :3].tolist() == [14, 20, -1]
    assert left.tokens[0, 0, :3].tolist() == [14, 1, -1]
    assert more.tokens[2, 0, :4].tolist() == [0, 2, 7, -1]
    np.testing.assert_array_equal(right.newest.interval[:, 0, 0], [6, 5, 0])
    np.testing.assert_array_equal(left.newest.interval[:, 0, 0], [0, 0, 0])


def test_an_older_score_does_not_see_what_came_after_it():
    task = Task(bars=1)
    older = Score.page(task, 2).write(np.array([14, 16])).write(np.array([1, 18]))
    alone = Score.page(task, 2).write(np.array([14, 16])).write(np.array([1, 18]))
    newer = older.write(np.array([20, 21])).write(np.array([1, 1]))
    assert newer.newest.previous_onset.tolist() == [[[2]], [[2]]]
    for fact in (*FACTS, "previous_pitch", "tokens"):
        np.testing.assert_array_equal(getattr(older, fact), getattr(alone, fact), err_msg=fact)


def test_facts_of_an_unfinished_score_are_empty_where_nothing_is_written():
    score = Score.page(Task(bars=1, given=((-1,) * 8 + (14,) + (-1,) * 7,)), 2)
    score = score.write(np.array([16, 0]))
    assert score.tokens[0, 0].tolist() == [16] + [-1] * 7 + [14] + [-1] * 7
    assert score.onset[:, 0].sum(axis=1).tolist() == [1, 0]
    assert score.rest.sum() == 1
    assert score.pitch[:, 0].tolist() == [[62] + [-1] * 15, [-1] * 16]
    assert score.written[0, 0].tolist() == [True] + [False] * 15


def test_free_cells_are_those_that_are_not_given():
    task = Task(bars=1, meter="2/4", voices=2, given=((-1,) * 4 + (14,) + (-1,) * 3, (0,) * 8))
    assert task.free.tolist() == [[True] * 4 + [False] + [True] * 3, [False] * 8]
    assert Task(voices=2).free.shape == (2, 32)
    assert Task().free.all()


def test_an_empty_page_has_facts_and_nothing_in_them():
    page = Score.page(Task(bars=1), 2)
    assert not page.onset.any()
    assert (page.pitch == -1).all()
    assert not page.interval.any()
    with pytest.raises(ValueError, match="nothing"):
        page.newest  # noqa: B018


def test_arrays_of_a_score_are_read_only():
    score = random_pieces(Task(), 2)
    for fact in (*FACTS, "tokens", "cell", "bar", "cell_in_bar", "beat", "is_last", "written"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(score, fact)[:] = 0


def test_a_slice_is_a_score_of_its_own():
    score = random_pieces(Task(), 10, seed=4)
    np.testing.assert_array_equal(score[3:5].tokens, score.tokens[3:5])
    assert sum(part.batch for part in score.chunks(3)) == 10


# -- taking pieces ---------------------------------------------------------------------------------


def assert_same_as_cold(score):
    """Every fact and every registered term at the newest cell, as on a score that knows nothing."""
    cold = Score(score.tokens, score.task, score.n_written)
    for fact in (*FACTS, "previous_pitch", "tokens"):
        np.testing.assert_array_equal(getattr(score.newest, fact), getattr(cold.newest, fact))
        np.testing.assert_array_equal(getattr(score, fact), getattr(cold, fact), err_msg=fact)
    every = build(dict.fromkeys(REGISTRY, 1.0))
    for name, value in every.newest(cold).items():
        np.testing.assert_array_equal(every.newest(score)[name], value, err_msg=name)


@pytest.mark.parametrize(
    "task",
    [
        Task(bars=1),
        Task(bars=1, meter="2/4", voices=3, low="C4", high="E4"),
        Task(bars=1, given=((-1,) * 5 + (14, 1, -1, 0) + (-1,) * 7,)),
    ],
    ids=["one voice", "three voices", "given cells"],
)
def test_taken_pieces_go_on_as_if_they_knew_nothing(task):
    rng, every = np.random.default_rng(5), build(dict.fromkeys(REGISTRY, 1.0))
    score = Score.page(task, 6)
    while not score.finished:
        rows = rng.integers(0, score.batch, 9)
        taken = score.take(rows)
        np.testing.assert_array_equal(taken.tokens, score.tokens[rows])
        np.testing.assert_array_equal(taken.next_given, score.next_given[rows])
        allowed = taken.allowed()
        np.testing.assert_array_equal(allowed, score.allowed()[rows])
        score = taken.write((rng.random(allowed.shape) * allowed).argmax(axis=1))
        every.newest(score)  # each of the next nine has something to take along
        assert_same_as_cold(score)
    np.testing.assert_array_equal(score.take([3, 3]).tokens, score.tokens[[3, 3]])


def sum_slowly(state, here):
    SUMMED.append(here.batch)
    total = state[0] + here.tokens
    return (total,), (total,)


def from_zero(score):
    return ([0] * score.batch,)


def sum_in_a_list(state, here):
    SUMMED.append(here.batch)
    totals = [a + b for a, b in zip(state[0], here.tokens[:, 0, 0].tolist(), strict=True)]
    return (totals,), (np.array(totals)[:, None, None],)


SUMMED = []


def test_taking_pieces_does_not_scan_them_again():
    score = random_pieces(Task(bars=1), 4)
    page = Score.page(score.task, 4)
    for cell in range(8):
        page = page.write(score.tokens[:, 0, cell])
    page.newest.scan(sum_slowly, (np.int64(0),))
    SUMMED.clear()
    child = page.take([0, 2, 2]).write(np.array([2, 3, 4]))
    (total,) = child.newest.scan(sum_slowly, (np.int64(0),))
    assert SUMMED == [3]
    before = score.tokens[[0, 2, 2], 0, :8].sum(axis=1)
    assert (total[:, 0, 0] - before).tolist() == [2, 3, 4]


def test_a_scan_whose_state_cannot_be_cut_by_piece_starts_again():
    page = Score.page(Task(bars=1), 2).write(np.array([14, 16])).write(np.array([1, 2]))
    page.newest.scan(sum_in_a_list, from_zero)
    SUMMED.clear()
    child = page.take([1, 0, 1]).write(np.array([5, 6, 7]))
    assert child.newest.scan(sum_in_a_list, from_zero)[0].ravel().tolist() == [23, 21, 25]
    assert SUMMED == [3, 3, 3]


def test_pieces_taken_from_an_older_score_do_not_see_what_came_after_it():
    older = Score.page(Task(bars=1), 2).write(np.array([14, 16])).write(np.array([1, 18]))
    newer = older.write(np.array([20, 21])).write(np.array([1, 1]))
    build(dict.fromkeys(REGISTRY, 1.0)).newest(newer)
    child = older.take([1, 0, 1]).write(np.array([16, 1, 30]))
    assert child.tokens[0, 0, :4].tolist() == [16, 18, 16, -1]
    assert_same_as_cold(child)
    assert newer.tokens[:, 0, 2].tolist() == [20, 21]


@pytest.mark.parametrize("rows", [[], [2], [-1], [0.0], [[0]], 0, [True, False], ["0"]])
def test_pieces_that_are_not_there(rows):
    with pytest.raises(ValueError, match="pieces"):
        Score.page(Task(), 2).take(rows)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.zeros((2, 1, 5), int), "1, 32"),
        (np.full((2, 1, 32), 38), r"0\.\.37"),
        (np.full((2, 1, 32), -1), r"0\.\.37"),
        (np.zeros((0, 1, 32), int), "shape"),
    ],
)
def test_wrong_tokens(tokens, message):
    with pytest.raises(ValueError, match=message):
        Score(tokens, Task())
    with pytest.raises(TypeError, match="integers"):
        Score(np.zeros((1, 1, 32)), Task())


@pytest.mark.parametrize("action", [np.array([1]), np.array([1.0, 2.0]), np.array([38, 0])])
def test_wrong_actions(action):
    with pytest.raises(ValueError, match="action"):
        Score.page(Task(), 2).write(action)
