import numpy as np
import pytest

from envs.music.noise import HOLDS, noise
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from rewards.any_order import AnyOrderLikelihood
from rewards.build import build
from tests.pretrained.diffusion.tiny import tiny_model

TASK = Task(bars=1)


@pytest.fixture
def file(tmp_path):
    checkpoint.save(tmp_path / "tiny.safetensors", tiny_model())
    return str(tmp_path / "tiny.safetensors")


def test_a_piece_is_paid_its_nats_at_its_end(file):
    pieces = noise(TASK, 1, 5, HOLDS)
    reward = build({"diffusion": {"weight": 0.5, "checkpoint": file}})
    paid, nats = reward(pieces), tiny_model().log_prob(pieces).sum(axis=(1, 2))
    np.testing.assert_allclose(paid.sum(axis=(1, 2)), 0.5 * nats, rtol=1e-5)
    assert (paid[..., :-1] == 0).all()
    reward.prepare(TASK)  # nothing is looked ahead
    begun = Score(pieces.tokens, TASK, written=3)
    assert (next(iter(reward.terms.values())).newest(begun) == 0).all()


def test_a_token_costs_at_most_the_floor():
    pieces = noise(TASK, 1, 5, HOLDS)
    term = AnyOrderLikelihood(checkpoint=tiny_model(), floor=-0.5)
    assert (term(pieces) >= -0.5 * TASK.steps).all()


def test_another_grid_is_refused():
    with pytest.raises(ValueError, match="grid"):
        AnyOrderLikelihood(checkpoint=tiny_model()).require(Task(grid=3))
