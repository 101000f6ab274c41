"""Reward sums: stepping equals scoring, plug-ins, messages."""

import pickle

import numpy as np
import pytest

from envs.composition import CompositionEnv
from envs.errors import RewardError
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from envs.plugins import resolve
from rewards.build import build, pack_names, read_pack
from rewards.functions import cellwise, per_piece
from rewards.likelihood import Likelihood
from rewards.objective import Objective
from rewards.sum import RewardSum, total
from rewards.term import Term
from tests.helpers import random_pieces, step_through

TASKS = [
    Task(),
    Task(meter="3/4", bars=3),
    Task(meter="6/8", bars=2, voices=2),
    Task(voices=3, bars=1, low="C2", high="C7"),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda t: f"{t.meter} {t.voices} voices")
def test_sum_of_steps_is_the_whole_piece_for_every_term(task):
    reward = build({"rl_tuner": 1.0, "in_key": 2.0, "leap_recovery": 0.5})
    score = random_pieces(task, 50, seed=3)
    steps = step_through(reward, score)
    for name, whole in reward.breakdown(score).items():
        np.testing.assert_array_equal(steps[name], whole, err_msg=name)


def test_a_piece_is_worth_the_same_alone_and_in_a_batch():
    reward = build({"rl_tuner": 1.0, "leap_recovery": 1.0})
    score = random_pieces(Task(bars=3), 20, seed=5)
    together = reward.breakdown(score)
    for row in (0, 7, 19):
        alone = reward.breakdown(score[row : row + 1])
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][row])


def test_values_do_not_depend_on_cells_written_later():
    reward = build({"rl_tuner": 1.0, "leap_recovery": 1.0})
    first, second = random_pieces(Task(), 30, seed=1), random_pieces(Task(), 30, seed=2)
    mixed = np.concatenate([first.tokens[..., :20], second.tokens[..., 20:]], axis=2)
    a, b = reward.breakdown(first), reward.breakdown(Score(mixed, Task()))
    for name in a:
        np.testing.assert_array_equal(a[name][..., :20], b[name][..., :20])


def test_chunked_scoring_changes_nothing(monkeypatch):
    reward = build("rl_tuner")
    score = random_pieces(Task(), 100, seed=9)
    whole = reward(score)
    monkeypatch.setattr("rewards.term.CHUNK_PIECES", 7)
    np.testing.assert_array_equal(reward(score), whole)


def test_pack_weights_are_scaled_and_rules_count_against():
    score = random_pieces(Task(), 10, seed=0)
    half = build({"rl_tuner": 0.5}).breakdown(score)
    full = build("rl_tuner").breakdown(score)
    for name in full:
        np.testing.assert_allclose(half[name], full[name] / 2)
    np.testing.assert_array_equal(build({"in_key": 1.0})(score), full["key"])
    assert set(pack_names()) >= {"rl_tuner", "common_practice"}


def test_c_divides_every_term_but_the_prior(tiny_prior):
    likely = Term("prior", Likelihood(checkpoint=tiny_prior), 0.5)
    reward, score = RewardSum([*build("rl_tuner").terms.values(), likely]), random_pieces(Task(), 9)
    parts = reward.breakdown(score)
    expected = parts["prior"] + (reward(score) - parts["prior"]) / 0.3
    objective = Objective(reward, c=0.3)
    np.testing.assert_allclose(objective.total(parts), expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(objective.scaled(score), expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(objective.with_c(1.0).scaled(score), total(parts))


def test_a_term_beside_its_pack_takes_its_place():
    reward = build({"rl_tuner": 0.5, "repeated_motif": 0.25})
    assert len(reward.terms) == 9
    assert reward.terms["repeated_motif"].weight == 0.25
    assert reward.terms["motif"].weight == 1.5
    with pytest.raises(ValueError, match="twice"):
        RewardSum([*build("in_key").terms.values()] * 2)


def test_parameters_reach_the_function():
    score = random_pieces(Task(), 200, seed=0)
    few = build({"leap_recovery": {"weight": 1.0, "min_leap": 12}})(score).sum()
    many = build({"leap_recovery": {"weight": 1.0, "min_leap": 3}})(score).sum()
    assert many < few < 0


def count_notes(notes):
    return float(len(notes))


def test_per_piece_is_paid_once_at_the_end():
    task = Task(voices=2, bars=1)
    score = random_pieces(task, 6, seed=4)
    reward = RewardSum([Term("notes", per_piece(count_notes), 0.5)])
    whole = reward.breakdown(score)["notes"]
    expected = 0.5 * (score.tokens >= 2).sum(axis=(1, 2))
    np.testing.assert_allclose(whole[:, -1, -1], expected)
    assert np.count_nonzero(whole) == np.count_nonzero(expected)
    np.testing.assert_array_equal(step_through(reward, score)["notes"], whole)


def smooth(score):
    return -np.abs(score.interval / 12.0)


def test_a_function_of_arrays_works_without_any_promise():
    score = random_pieces(Task(bars=1), 6, seed=4)
    slow, fast = build({smooth: 1.0}), build({cellwise(lambda s: smooth(s)): 1.0})
    np.testing.assert_array_equal(slow(score), fast(score))
    np.testing.assert_array_equal(step_through(slow, score)["smooth"], slow(score))


def test_own_rewards_are_found_in_files_and_modules(tmp_path, monkeypatch):
    file = tmp_path / "my_rewards.py"
    file.write_text("import numpy as np\ndef low(score):\n    return score.onset * 1.0\n")
    monkeypatch.chdir(tmp_path)
    score = random_pieces(Task(), 3, seed=0)
    np.testing.assert_array_equal(build({"my_rewards.py:low": 2.0})(score), score.onset * 2.0)
    monkeypatch.syspath_prepend(tmp_path)
    np.testing.assert_array_equal(build("my_rewards:low")(score), score.onset * 1.0)
    file.write_text("def low(score):\n    return score.onset * 3.0\n")  # edited: loaded again
    np.testing.assert_array_equal(build({"my_rewards.py:low": 1.0})(score), score.onset * 3.0)


def test_a_reward_survives_pickling():
    reward = build({"rl_tuner": 0.5, "leap_recovery": {"weight": 2.0, "min_leap": 7}})
    score = random_pieces(Task(), 5, seed=1)
    again = pickle.loads(pickle.dumps(reward))
    np.testing.assert_array_equal(again(score), reward(score))
    np.testing.assert_array_equal(
        build({"leap_recovery": {"weight": 2.0, "min_leap": 7}})(score),
        again.breakdown(score)["leap_recovery"],
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("leap_recover", "'leap_recovery'"),
        ({"rl_tunr": 1.0}, "'rl_tuner'"),
        ({"in_key": float("nan")}, "finite"),
        ({"in_key": "much"}, "finite"),
        ({"in_key": {"weight": 1, "min_leap": 3}}, "'min_leap'"),
        ({"leap_recovery": {"min_leep": 3}}, "'min_leap'"),
        ({"rl_tuner": {"weight": 1.0, "depth": 2}}, "weight"),
        ({"leap_recovery": {"min_leap": "high"}}, "min_leap='high'"),
        ("mine.py", "mine.py:function"),
        ("rewards.likelihood:Likelihood", "instance"),
        ({"nowhere.py:f": 1.0}, "'nowhere.py'"),
        ({"no_such_module:f": 1.0}, "imported"),
        ({"rewards.rules.melody:in_kee": 1.0}, "'in_key'"),
        ({}, "one term"),
    ],
)
def test_a_wrong_spec_says_what_to_do(spec, message):
    with pytest.raises(ValueError, match=message):
        build(spec)


def test_marks_may_have_parentheses(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from rewards.functions import cellwise, per_note, per_piece\n"
        "@cellwise()\ndef a(score):\n    return score.onset * 1.0\n"
        "@per_piece()\ndef b(notes):\n    return len(notes)\n"
        "@per_note()\ndef c(note, previous):\n    return 1.0\n"
    )
    reward = build({f"{tmp_path}/mine.py:{name}": 1.0 for name in "abc"})
    paid = reward.breakdown(score_from_text("C4 D4 E4 F4"))
    assert [values.sum() for values in paid.values()] == [4, 4, 4]


NOTHING = {
    "per_piece": ("@per_piece\ndef f(notes):\n    pass\n", r"None for piece 0.*\(mine.py:2\)"),
    "per_note": ("@per_note\ndef f(a, b):\n    pass\n", r"None for the note at cell 0"),
    "argument": ("def f(score, strength):\n    pass\n", r"'strength' \(mine.py:2\)"),
    "inside": ("def f(score):\n    return np.ones(3) @ np.ones(4)\n", r"\(mine.py:3\)"),
}


@pytest.mark.parametrize(("code", "told"), NOTHING.values(), ids=NOTHING)
def test_the_line_that_is_named_is_the_user_s(tmp_path, code, told):
    path = tmp_path / "mine.py"
    path.write_text(f"import numpy as np; from rewards.functions import *\n{code}")
    with pytest.raises(RewardError, match=told):
        build(f"{path}:f").prepare(Task())


def test_a_file_that_fails_is_named(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("1 / 0\n")
    with pytest.raises(ValueError, match="broken.py.*ZeroDivisionError"):
        resolve(f"{file}:f")
    with pytest.raises(ValueError, match="module:function"):
        resolve("nothing")


def raises(score):
    raise KeyError("oops")


def returns_nan(score):
    return np.where(score.cell == 3, np.nan, score.onset * 1.0)


def returns_wrong_shape(score):
    return np.zeros((score.batch, 2))


def returns_list(score):
    return [0.0] * score.batch


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (raises, r"'raises' raised KeyError.*\(test_build.py:\d+\)"),
        (returns_nan, "nan.*cell 3"),
        (returns_wrong_shape, r"\(4, 2\).*\(4, 1, 32\)"),
        (returns_list, "list"),
    ],
)
def test_a_failing_term_is_named_and_never_becomes_zero(fn, message):
    score = random_pieces(Task(), 4, seed=0)
    with pytest.raises(RewardError, match=message):
        build(fn)(score)


def test_a_reward_cannot_write_into_the_score():
    def vandal(score):
        score.tokens[:] = 0
        return score.onset * 1.0

    with pytest.raises(RewardError, match=r"'vandal'.*\(test_build"):
        build(vandal)(random_pieces(Task(), 2, seed=0))


def test_an_unfinished_score_is_not_scored_whole():
    with pytest.raises(ValueError, match="finished"):
        build("rl_tuner")(Score.page(Task(), 2))


def test_packs_hold_names_that_exist():
    for pack in pack_names():
        spec = {name: weight for name, weight in read_pack(pack).items() if name != "prior"}
        assert set(build(spec).terms) == set(spec)


def test_a_term_that_looks_ahead_is_refused_before_work_begins():
    def notes_in_all(score):
        return np.broadcast_to(score.onset.sum(axis=2, keepdims=True), score.onset.shape) * 1.0

    with pytest.raises(RewardError, match="'notes_in_all'.*causal"):
        build(notes_in_all).prepare(Task())
    with pytest.raises(RewardError, match="causal"):
        CompositionEnv(reward=notes_in_all)
    build({"rl_tuner": 1.0, "leap_recovery": 1.0}).prepare(Task(voices=2))


def test_terms_are_tried_once_a_task_on_pieces_that_they_share():
    asked = []

    def by_piece(score):
        asked.append(score)
        return np.zeros(score.batch)

    def by_length(score):
        asked.append(score)
        return np.zeros(score.tokens.shape if score.task.bars == 1 else score.batch)

    reward, tasks = build({by_piece: 1.0, by_length: 1.0}), [Task(bars=2), Task(bars=4)]
    for task in tasks * 2:
        reward.prepare(task)
    assert [score.task for score in asked] == [tasks[0], tasks[0], tasks[1], tasks[1]]
    assert asked[0] is asked[1]
    assert asked[2] is asked[3]
    reward.prepare(Task(bars=1))
    by_task = [reward.terms["by_length"].is_per_piece(Task(bars=n)) for n in (1, 2, 4)]
    assert by_task == [False, True, True]


def test_promises_that_are_not_kept_are_named():
    def one_number(score):
        return np.zeros(score.batch)

    with pytest.raises(RewardError, match="cellwise"):
        build(cellwise(one_number)).prepare(Task())
    with pytest.raises(RewardError, match="float32"):
        build({"in_key": 1e300})(score_from_text("C4 F#4"))
    with pytest.raises(ValueError, match="'_'"):
        RewardSum([Term("_mine", count_notes)])


def with_default(score, limit=3):
    return (score.onset & (score.degree > limit)) * 1.0


def test_parameters_with_defaults_may_be_set_however_they_are_declared():
    score = random_pieces(Task(), 50, seed=2)
    strict = build({"tests.rewards.test_build:with_default": {"weight": 1, "limit": 0}})
    assert strict(score).sum() > build({with_default: 1.0})(score).sum()
