"""Terms that learn: when, from what, and what is kept."""

import numpy as np
import pytest

from agents.training.reward_lessons import Lessons
from envs.errors import RewardError
from envs.music.noise import noise
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from pretrained.corpora.pieces import real_melodies
from rewards.build import build
from rewards.learned import learners, load, save
from rewards.normalize import Normalized
from tests.rewards.learners import Keen, Lost, Silent

TASK = Task()


def test_each_term_that_learns_is_told_of_real_and_generated_pieces():
    keen, generated = Keen(), noise(TASK, 0, 12)
    lessons = Lessons(build({keen: 1.0, "in_key": 1.0}), seed=1)
    assert lessons.update(generated, 12) == {"Keen/paid": 2.0}
    assert lessons.update(generated, 24) == {"Keen/paid": 3.0}
    (first, again), (second, _) = keen.seen
    assert again is generated
    assert first.batch == second.batch == 12
    assert first.task == TASK
    corpus = {piece.tobytes() for piece in real_melodies(TASK, 10**6).tokens}
    assert {piece.tobytes() for piece in first.tokens} <= corpus
    assert not np.array_equal(first.tokens, second.tokens)
    Lessons(build({keen: 1.0, "in_key": 1.0}), seed=1).update(generated, 24)  # a resumed run
    np.testing.assert_array_equal(keen.seen[2][0].tokens, second.tokens)
    Lessons(build(keen), seed=2).update(generated, 24)
    assert not np.array_equal(keen.seen[3][0].tokens, second.tokens)


def test_where_nothing_learns_nothing_is_looked_for():
    lessons = Lessons(build("in_key"))
    strange = Task(meter="7/8")
    lessons.prepare(strange)
    assert lessons.update(noise(strange, 0), 0) == {}


def test_without_real_melodies_it_says_so():
    with pytest.raises(ValueError, match="7/8"):
        Lessons(build(Keen())).prepare(Task(meter="7/8"))


def test_a_term_that_learns_from_no_real_melodies_needs_none():
    task = Task(meter="7/8")
    lessons = Lessons(build({"leap_size": {"weight": 1.0, "normalize": True}}))
    lessons.prepare(task)
    assert lessons.update(noise(task, 0, 8), 0)["leap_size/scale"] > 0


def test_a_term_may_name_the_real_melodies_it_learns_from():
    class Choosing(Keen):
        def real_pieces(self, task):
            return noise(task, 7, 1)

    keen = Choosing()
    Lessons(build(keen)).update(noise(TASK, 0, 4), 0)
    expected = np.repeat(noise(TASK, 7, 1).tokens, 4, axis=0)
    np.testing.assert_array_equal(keen.seen[0][0].tokens, expected)


def test_what_a_term_has_found_is_noted():
    class Telling(Keen):
        finding = "it has won"

    noted = []
    Lessons(build(Telling()), note=noted.append).update(noise(TASK, 0, 4), 0)
    assert noted == ["note: reward term 'Telling': it has won"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Lost, "Lost/loss is nan after update"), (Silent, "'Silent' raised AttributeError in update")],
)
def test_a_bad_update_is_named(kind, message):
    with pytest.raises(RewardError, match=message):
        Lessons(build(kind())).update(noise(TASK, 0), 0)


def test_what_was_learned_is_kept_and_put_back(tmp_path):
    def reward():
        return build({Keen(): 1.0, "in_key": {"weight": 1.0, "normalize": True}})

    first, second, file = reward(), reward(), tmp_path / "reward.safetensors"
    lessons, generated = Lessons(first), noise(TASK, 0, 8)
    for _ in range(3):
        lessons.update(generated, 0)
    assert save(first, file)
    assert not np.array_equal(first(generated), second(generated))
    load(second, file)
    np.testing.assert_array_equal(first(generated), second(generated))
    Lessons(second).update(noise(TASK, 1, 8), 0)  # and goes on from there
    assert next(fn for _, fn in learners(second)).paid == 5.0


def test_nothing_learned_is_no_file(tmp_path):
    assert not save(build("in_key"), tmp_path / "reward.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_reward_is_refused(tmp_path):
    file = tmp_path / "reward.safetensors"
    save(build(Keen()), file)
    with pytest.raises(ValueError, match="learned"):
        load(build({"in_key": {"weight": 1.0, "normalize": True}}), file)
    file.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="learned"):
        load(build(Keen()), file)


# -- normalised terms ------------------------------------------------------------------------------


def test_a_normalised_term_is_divided_by_the_spread_of_what_pieces_got():
    plain, reward = build("leap_size"), build({"leap_size": {"weight": 3.0, "normalize": True}})
    rollouts = [noise(TASK, seed, 40, 6.0) for seed in range(3)]
    np.testing.assert_allclose(reward(rollouts[0]), 3 * plain(rollouts[0]))  # nothing seen yet
    lessons = Lessons(reward)
    for rollout in rollouts:
        told = lessons.update(rollout, 0)
    sums = np.concatenate([plain(rollout).sum(axis=(1, 2)) for rollout in rollouts])
    assert told["leap_size/scale"] == pytest.approx(sums.std(), rel=1e-3)
    np.testing.assert_allclose(
        reward(rollouts[0]), 3 * plain(rollouts[0]) / sums.std(), rtol=1e-3, atol=1e-6
    )


def test_it_is_still_the_rule_that_it_was():
    term = build({"leap_size": {"weight": 1.0, "normalize": True}}).terms["leap_size"]
    assert isinstance(term.rule.fn, Normalized)
    assert term.cellwise
    assert term.factor == -1.0
    assert build({"leap_size": {"weight": 1.0, "normalize": False}}).terms["leap_size"].cellwise


def test_a_term_that_pays_all_the_same_stays_as_it_is():
    def same(score):
        return np.full(score.batch, 2.0)

    reward = build({same: {"weight": 1.0, "normalize": True}})
    Lessons(reward).update(noise(TASK, 0, 8), 0)
    assert reward(score_from_text("C4 D4 E4 F4 G4 A4 B4 C5")).sum() == 2.0


def test_a_term_that_learns_can_be_normalised_too():
    keen = Keen()
    told = Lessons(build({keen: {"weight": 1.0, "normalize": True}})).update(noise(TASK, 0, 8), 0)
    assert set(told) == {"Keen/scale", "Keen/paid"}


@pytest.mark.parametrize(("name", "value"), [("in_key", "yes"), ("prior", True)])
def test_what_cannot_be_normalised_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}.*normalize="):
        build({name: {"weight": 1.0, "normalize": value}})
