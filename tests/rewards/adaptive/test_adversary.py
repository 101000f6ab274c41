"""The adversary: what it pays, when it learns and gives up, what is kept, and fresh ones."""

import numpy as np
import pytest

from agents.training.reward_lessons import Lessons
from envs.music.noise import noise
from envs.music.score import Score
from envs.music.task import Task
from rewards.adaptive import adversary, fresh
from rewards.adaptive.adversary import Adversary
from rewards.adaptive.windows import real_parts
from rewards.build import build
from rewards.learned import load, save

TASK = Task()
REAL = real_parts(TASK)


def lessons_of(spec="adversary", note=str):
    reward = build({spec: 1.0} if isinstance(spec, str) else spec)
    return Lessons(reward, note=note), reward.terms["adversary"].rule.fn


def test_it_pays_nothing_before_it_has_learned_and_real_pieces_more_afterwards():
    lessons, term = lessons_of()
    assert (term(noise(TASK, 0, 4)) == 0).all()
    told = [lessons.update(noise(TASK, seed, 128), seed) for seed in range(4)]
    assert told[0]["adversary/told_apart"] < 0.7
    assert told[-1]["adversary/told_apart"] > 0.9
    paid, unpaid = term(REAL[:100]), term(noise(TASK, 9, 100))
    assert paid.mean() > unpaid.mean() + 1
    assert np.abs(np.concatenate([paid, unpaid])).max() < 3


def test_it_learns_from_the_training_part_of_the_corpus():
    seen = []

    class Seeing(Adversary):
        def update(self, real, generated):
            seen.append(real)
            return {}

    Lessons(build(Seeing())).update(noise(TASK, 0, 50), 0)
    known = {piece.tobytes() for piece in REAL.tokens}
    assert seen[0].batch == 50
    assert {piece.tobytes() for piece in seen[0].tokens} <= known


def test_where_it_already_wins_it_does_not_learn():
    lessons, term = lessons_of({"adversary": {"weight": 1.0, "threshold": 0.5}})
    told = [lessons.update(noise(TASK, seed, 64), seed) for seed in range(3)]
    assert [row["adversary/learns"] for row in told] == [1, 0, 0]
    assert term.updates == 1


def test_more_readings_learn_more():
    moved = []
    for n_critic in (1, 4):
        lessons, term = lessons_of({"adversary": {"weight": 1.0, "n_critic": n_critic}})
        lessons.update(noise(TASK, 0, 128), 0)
        moved.append(term(REAL[:64]).mean() - term(noise(TASK, 1, 64)).mean())
    assert moved[1] > moved[0] > 0


def test_one_that_wins_completely_says_so_once_and_pays_all_the_same():
    noted = []
    lessons, term = lessons_of({"adversary": {"weight": 1.0, "n_critic": 6}}, noted.append)
    trills = Score(np.tile([20, 22], (64, 1, 16)), TASK)
    rows = [lessons.update(trills, seed) for seed in range(20)]
    assert [row["adversary/retired"] for row in rows][-1] == 1
    assert len(noted) == 1
    assert "'adversary'" in noted[0]
    assert (term(REAL[:8]) == 0).all()
    before = term.updates
    lessons.update(noise(TASK, 50, 64), 50)
    assert term.updates == before
    assert len(noted) == 1


def test_what_it_knows_is_kept_and_goes_on_bit_by_bit(tmp_path):
    file, rollouts = tmp_path / "reward.safetensors", [noise(TASK, n, 64) for n in range(5)]
    spec = {"adversary": {"weight": 1.0, "threshold": 1.0}}
    alone, first, second = (build(spec) for _ in range(3))
    for step, rollout in enumerate(rollouts):
        Lessons(alone).update(rollout, step)
    for step, rollout in enumerate(rollouts[:3]):
        Lessons(first).update(rollout, step)
    assert save(first, file)
    load(second, file)
    for step, rollout in enumerate(rollouts[3:], 3):
        Lessons(second).update(rollout, step)
    np.testing.assert_array_equal(alone(rollouts[0]), second(rollouts[0]))
    one, other = (reward.terms["adversary"].rule.fn.state_dict() for reward in (alone, second))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_a_file_of_another_norm_is_refused(tmp_path):
    file = tmp_path / "reward.safetensors"
    reward = build("adversary")
    Lessons(reward).update(noise(TASK, 0, 8), 0)
    save(reward, file)
    with pytest.raises(ValueError, match="learned"):
        load(build({"adversary": {"weight": 1.0, "norm": "gradient"}}), file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_critic", 0),
        ("n_critic", 1.5),
        ("smoothing", 0.7),
        ("threshold", 0.2),
        ("norm", "batch"),
        ("rate", 0),
        ("limit", float("nan")),
        ("seed", -1),
    ],
)
def test_settings_that_cannot_be_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        build({"adversary": {"weight": 1.0, name: value}})


def test_whole_numbers_may_be_written_with_a_point():
    (term,) = build({"adversary": {"weight": 1.0, "n_critic": 2.0, "seed": 1.0}}).terms.values()
    adversary = term.rule.fn
    assert (adversary.n_critic, adversary.seed) == (2, 1)
    assert all(isinstance(value, int) for value in (adversary.n_critic, adversary.seed))


def test_a_task_without_real_melodies_is_refused_before_the_work():
    with pytest.raises(ValueError, match="7/8"):
        build("adversary").prepare(Task(meter="7/8"))


def test_it_has_won_only_after_a_row_of_wins():
    term = Adversary()
    for apart in [1.0] * (adversary.PATIENCE - 1) + [0.5] + [1.0] * (adversary.PATIENCE - 1):
        term._count_wins(apart)
        assert not term.retired
    term._count_wins(1.0)
    assert term.retired


# -- fresh ones ------------------------------------------------------------------------------------


def test_fresh_discriminators_tell_noise_from_tunes_and_not_tunes_from_tunes(monkeypatch):
    monkeypatch.setattr(fresh, "SEEDS", 1)
    monkeypatch.setattr(fresh, "EPOCHS", 3)
    apart = fresh.told_apart(noise(TASK, 0, 400))
    alike = fresh.told_apart(REAL[::2])
    assert apart[fresh.AREA] > 97
    assert apart[fresh.ACCURACY] > 90
    assert alike[fresh.AREA] < 65
    assert fresh.told_apart(noise(Task(meter="7/8"), 0, 8)) == {}
