import numpy as np

from envs.notation import score_from_text
from rewards import build
from tests.helpers import random_pieces, step_through


def test_smooth_prefers_steps_to_leaps():
    reward = build("examples/my_rewards.py:smooth")
    steps, leaps = score_from_text("C4 D4 E4 F4"), score_from_text("C4 C5 C4 C5")
    assert reward(leaps).sum() == -3.0
    assert reward(leaps).sum() < reward(steps).sum() < 0


def test_arch_wants_the_highest_note_in_the_middle():
    reward = build("examples/my_rewards.py:arch")
    assert reward(score_from_text("C4 E4 G4 C4")).sum() == 1
    assert reward(score_from_text("C5 E4 G4 C4")).sum() == 0


def test_both_are_paid_the_same_step_by_step():
    reward = build({"examples/my_rewards.py:smooth": 0.3, "examples/my_rewards.py:arch": 1.0})
    score = random_pieces(score_from_text("C4 r r r C4").task, 5)
    for name, values in step_through(reward, score).items():
        np.testing.assert_array_equal(values, reward.breakdown(score)[name])
