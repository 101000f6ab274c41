"""The critic: the penalty on its gradients against a closed form, and what it reads."""

import pytest
import torch

from envs.music.codec import Codec
from envs.music.task import Task
from pretrained.adversarial.critic import RollCritic, penalty_of, slopes
from tests.helpers import places_of

WIDTH = 2 * Codec().vocab - 2


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_linear_critic_has_the_slope_of_its_weights():
    weight = torch.randn(6, WIDTH, generator=rng(), requires_grad=True)
    real, made = (torch.randn(4, 6, WIDTH, generator=rng(seed)) for seed in (1, 2))
    mix = torch.rand(4, generator=rng(3))
    norms = slopes(lambda roll: (roll * weight).sum(dim=(1, 2)), real, made, mix)
    torch.testing.assert_close(norms, weight.norm().expand(4))
    loss = penalty_of(norms)
    torch.testing.assert_close(loss, (weight.norm() - 1) ** 2)
    loss.backward()  # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|
    torch.testing.assert_close(weight.grad, (2 * (1 - 1 / weight.norm()) * weight).detach())


def test_a_square_critic_has_its_slope_at_the_mixed_point():
    real, made = (torch.randn(3, 2, 5, generator=rng(seed)) for seed in (1, 2))
    mix = torch.tensor([0.0, 0.25, 1.0])
    norms = slopes(lambda roll: roll.square().sum(dim=(1, 2)), real, made, mix)
    points = torch.stack([made[0], 0.25 * real[1] + 0.75 * made[1], real[2]])
    torch.testing.assert_close(norms, 2 * points.flatten(1).norm(dim=1))


def test_a_flat_critic_can_be_bent():
    weight = torch.zeros(4, requires_grad=True)
    real = torch.ones(2, 1, 4)
    norms = slopes(lambda roll: (roll * weight).sum(dim=(1, 2)), real, real, torch.ones(2))
    penalty_of(norms).backward()
    assert torch.isfinite(weight.grad).all()


@pytest.mark.parametrize("bars", [1, 4])
def test_it_hears_notes_and_the_plan(bars):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = RollCritic(Codec().vocab, 8)
    task = Task(bars=bars)
    roll = torch.rand(3, task.cells, WIDTH, generator=rng()).requires_grad_(True)
    place = places_of(task).expand(3, -1, -1)
    told = critic(roll, place)
    assert told.shape == (3,)
    (slope,) = torch.autograd.grad(told.sum(), roll)
    assert (slope.abs().sum(dim=2) > 0).all()  # no cell is passed over
    minor = places_of(Task(bars=bars, key="A minor")).expand(3, -1, -1)
    assert (critic(roll, minor) != told).all()
