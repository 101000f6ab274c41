"""Which composer is meant by a name, its prior, and changes of its settings."""

import numpy as np
import pytest

from agents.composing import Composer
from agents.explaining.explainer import explain
from agents.settings.config import TrainConfig
from agents.training.job import prepare
from agents.training.listener import Listener
from envs.music import Task
from pretrained.checkpoint import load_once
from pretrained.memory import WithMemory
from rewards.build import build
from rewards.objective import Objective


def test_a_shipped_name_is_not_hidden_by_what_lies_here(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    shipped = load_once("composer")
    (tmp_path / "composer").mkdir()
    (tmp_path / "melody").write_text("words")
    for composer in (Composer.load(), Composer.load("composer")):
        assert load_once(composer.policy) is shipped
        assert len(composer.compose(bars=1, candidates=1)) == 1
    (tmp_path / "composer").rmdir()
    (tmp_path / "composer").symlink_to(run.path)
    assert load_once(Composer.load().policy) is shipped
    assert Composer.load("composer").policy.path.samefile(run.path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no checkpoint 'empty'"):
        Composer.load("empty")


@pytest.mark.parametrize("wishes", [["prior=0.5"], {"prior": 0.5}, {"prior": {"weight": 0.5}}])
def test_a_wish_weighs_the_prior_and_leaves_it_the_composer_s(wishes):
    composer = Composer.load("composer")
    (melody,) = composer.compose(bars=1, candidates=1, wishes=wishes)
    asked = Objective(melody.report.reward)
    assert asked.log_p_weight == 0.5
    assert asked.likelihood.prior is composer.objective.likelihood.prior is load_once("melody")


def test_the_likelihood_of_a_reward_is_the_composer_s_own(tiny_prior, tiny_checkpoint):
    for prior in ("melody", tiny_prior, tiny_checkpoint):
        for reward in ({"prior": 1.0}, "prior"):
            found = Composer(prior, reward).objective.likelihood.prior
            assert found is (prior if prior is tiny_prior else load_once(prior))
    named = Composer("melody", {"prior": {"checkpoint": "folk"}})
    assert named.objective.likelihood.prior is load_once("folk")
    (melody,) = named.compose(bars=1, method="prior", candidates=1, wishes=["prior=2"])
    assert Objective(melody.report.reward).likelihood.prior is load_once("folk")


def test_changes_of_a_composer_count_or_are_refused(run, tiny_checkpoint):
    for name in (tiny_checkpoint, run.path):
        composer = Composer.load(name, c=5.0, mask=("in_key",), reward=("in_key=2", "prior=1"))
        assert (composer.objective.c, composer.mask) == (5.0, ("in_key",))
        assert composer.objective.scaled.terms["in_key"].factor == -0.4
        for melody in composer.compose(bars=1, n=4, candidates=1):
            assert not build("in_key")(melody.score).any()
        for change in ({"kl_budget": 0.1}, {"n_timesteps": 8}):
            with pytest.raises(TypeError, match=f"{next(iter(change))} has no effect"):
                Composer.load(name, **change)
    with pytest.raises(TypeError, match="Did you mean 'reward'"):
        Composer.load("composer", rewards=("in_key=1",))


def test_a_prior_with_a_memory_composes_and_explains_by_its_name(tiny_checkpoint):
    name, task = f"{tiny_checkpoint}+memory", Task(bars=2, meter="2/4")
    reward = {"in_key": 1.0, "prior": 1.0}
    composer = Composer(name, reward, task=task)
    assert isinstance(composer.objective.likelihood.prior, WithMemory)
    first, second = (
        each.compose(n=2, method="prior", seed=3)
        for each in (composer, Composer(load_once(name), reward, task=task))
    )
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.score.tokens, two.score.tokens)
    nats = explain(first[0], prior=name).surprise
    np.testing.assert_allclose(nats, -load_once(name).log_prob(first[0].score)[0], atol=1e-5)
    with pytest.raises(ValueError, match="no network to train"):
        prepare(TrainConfig(prior=name, n_timesteps=8), Listener())
