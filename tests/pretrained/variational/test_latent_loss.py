"""Rates and discrepancies against textbook forms and draws."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from pretrained.variational.latent_loss import (
    active_units,
    collapse,
    discrepancy,
    drawn,
    rates,
    with_free_bits,
)


def test_rates_are_those_of_torch():
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    theirs = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    assert torch.allclose(rates(mean, log_variance), theirs, atol=1e-5)
    assert rates(torch.zeros(2, 3), torch.zeros(2, 3)).abs().max() == 0


def test_points_are_drawn_from_the_posterior():
    torch.manual_seed(0)
    z = drawn(torch.full((20_000, 1), 2.0), torch.full((20_000, 1), -2.0))
    assert z.mean() == pytest.approx(2, abs=0.01)
    assert z.var() == pytest.approx(0.1353, rel=0.05)


def test_the_discrepancy_is_that_of_draws():
    """A slow twin: kernels among draws of both sides, in place of the integrals."""
    torch.manual_seed(1)
    z, normal = 0.5 * torch.randn(300, 3) + 0.7, torch.randn(4000, 3)

    def kernel(a, b):
        return torch.exp(-torch.cdist(a, b).square() / 6)

    among = (kernel(z, z).sum() - 300) / (300 * 299)
    twin = among - 2 * kernel(z, normal).mean()
    twin += (kernel(normal, normal).sum() - 4000) / (4000 * 3999)
    assert discrepancy(z) == pytest.approx(float(twin), abs=5e-3)


def test_the_discrepancy_of_a_normal_sample_is_none():
    torch.manual_seed(2)
    found = torch.stack([discrepancy(torch.randn(100, 4)) for _ in range(50)])
    assert found.mean().abs() < 3 * found.std() / 50**0.5
    away = discrepancy(torch.zeros(100, 4))
    assert away == pytest.approx(1 - 2 * (4 / 5) ** 2 + (4 / 6) ** 2, abs=1e-5)
    assert away > 10 * found.mean().abs()


def test_free_bits_cost_nothing():
    rate = torch.tensor([[0.0, 2.0], [0.2, 4.0]])
    assert with_free_bits(rate, 0.0) == pytest.approx(3.1)
    assert with_free_bits(rate, 0.5) == pytest.approx(3.5)
    assert with_free_bits(rate, 5.0) == pytest.approx(10)


def test_a_collapse_is_named():
    used = torch.tensor([[1.0] * 3 + [0.01] * 5] * 2)
    assert active_units(used) == 3
    assert collapse(used) == ""
    words = collapse(torch.tensor([[1.0] + [0.01] * 7]))
    assert "collapsed" in words
    assert "free_bits" in words
