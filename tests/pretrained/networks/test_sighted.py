"""A network with sight begins as the network inside, and is a prior as any other."""

import numpy as np
import pytest
import torch

from envs.music.noise import noise
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.conformance import check_prior
from pretrained.networks.architectures import SightedPrior, SumPrior
from pretrained.networks.lens import context_of
from pretrained.networks.sighted import SightError
from rewards import build
from rewards.sight import RuleSight

TASK = Task()
RULES = {"in_key": 1.0, "leap_recovery": 1.0, "late_climax": 1.0}


def sight():
    return RuleSight.of(build(RULES).terms.values())


def changed(prior, seed=1):
    """The prior with other weights of what reads the sight."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in prior.net.named_parameters():
            if not name.startswith("inner."):
                weight.add_(torch.empty_like(weight).normal_(0.0, 0.2, generator=rng))
    return prior


@pytest.fixture(scope="module")
def begun(tiny_prior):
    return SightedPrior.over(tiny_prior, sight(), [TASK])


@pytest.fixture(scope="module")
def learned(tiny_prior):
    return changed(SightedPrior.over(tiny_prior, sight(), [TASK]))


def test_it_begins_with_the_probabilities_of_the_prior_inside(begun, tiny_prior):
    pieces = noise(TASK, 0, 5)
    np.testing.assert_array_equal(begun.log_prob(pieces), tiny_prior.log_prob(pieces))


def test_what_is_seen_changes_its_probabilities(learned, tiny_prior):
    pieces = noise(TASK, 0, 5)
    assert abs(learned.log_prob(pieces) - tiny_prior.log_prob(pieces)).max() > 0.1


def test_it_keeps_the_promises_of_a_prior(learned):
    check_prior(learned)


def test_the_change_is_the_formula(learned):
    net, rng = learned.net, torch.Generator().manual_seed(3)
    features = torch.randn(2, learned.n_features, generator=rng)
    seen = torch.randn(2, 5, learned.sight.width, generator=rng)
    seen[..., 0] = torch.tensor([1.0, 1, 0, 1, 1])
    seen[:, 2] = 0
    found = net.change(features, seen)
    for piece in range(2):
        allowed = [token for token in range(5) if token != 2]
        middle = torch.stack([seen[piece, token] for token in allowed]).mean(0)
        for token in allowed:
            x = ((seen[piece, token] - net.mean) / net.spread).clamp(-5, 5)
            apart = ((seen[piece, token] - middle) / net.spread_at_once).clamp(-5, 5)
            both, scaled = torch.cat([x, apart]), ((middle - net.mean) / net.spread).clamp(-5, 5)
            units = (net.of_token(both) + net.of_features(features[piece])).relu()
            by_hand = net.out(units) + net.straight(both)
            by_hand += net.slopes(torch.cat([features[piece], scaled])) @ apart
            assert float(found[piece, token]) == pytest.approx(float(by_hand), abs=1e-4)


def test_a_file_gives_the_same_prior_again(learned, tmp_path):
    pieces = noise(TASK, 2, 3)
    checkpoint.save(tmp_path / "sighted.safetensors", learned)
    again = checkpoint.load(tmp_path / "sighted.safetensors", TASK)
    np.testing.assert_array_equal(again.log_prob(pieces), learned.log_prob(pieces))


def test_a_file_that_sees_an_unknown_rule_is_refused_by_name(learned, tmp_path, monkeypatch):
    facts = sight().description
    facts["terms"][0] |= {"name": "theirs.py:odd", "rule": "theirs.py:odd"}
    monkeypatch.setattr(RuleSight, "description", facts)
    checkpoint.save(tmp_path / "odd.safetensors", learned)
    with pytest.raises(SightError, match=r"odd\.safetensors.*theirs\.py:odd"):
        checkpoint.load(tmp_path / "odd.safetensors")


def test_it_wants_to_be_told(learned):
    pieces = torch.zeros(1, 1, TASK.cells, dtype=torch.int64)
    with pytest.raises(ValueError, match="seen"):
        learned.forward(pieces, context_of(TASK, 1))


def test_no_sight_upon_a_sight(begun):
    with pytest.raises(SightError, match="already"):
        SightedPrior(begun, sight())


def test_a_sum_with_sight_is_refused(tiny_prior):
    with pytest.raises(ValueError, match="sight"):
        SumPrior(tiny_prior, SightedPrior.over(tiny_prior, sight(), [TASK]))
