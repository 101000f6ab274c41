"""The preset that teaches the prior of chorales the rules between voices."""

import pytest

from agents.settings.config import from_preset
from agents.training.job import prepare, train
from agents.training.listener import Listener
from envs.durable_files import read_facts
from pretrained import checkpoint
from pretrained.corpora.chorales import CODEC
from tests.pretrained.networks.singing import singing


def test_tasks_are_four_voices_in_many_keys_each_in_its_range():
    config = from_preset("chorale")
    assert len({task.key for task in config.tasks}) == 12
    assert {(task.voices, task.bars, str(task.meter)) for task in config.tasks} == {(4, 4, "4/4")}
    assert all(task.spans[0] == (60, 81) and task.spans[3] == (40, 62) for task in config.tasks)
    assert config.reward_spec["prior"]["checkpoint"] == config.prior == "chorale"
    assert config.terms["rest_share"]["most"] == 0  # silence keeps every rule across voices


def test_without_the_prior_the_command_that_makes_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"pretrained\.train --corpus chorales"):
        prepare(from_preset("chorale"), Listener())


def test_a_network_of_voices_learns_on_it(tmp_path):
    """Two rollouts of one bar in two keys."""
    file = tmp_path / "singing.safetensors"
    checkpoint.save(file, singing(codec=CODEC))
    config = from_preset("chorale").changed(
        prior=str(file), runs=tmp_path / "runs", vary=("key=C major|A minor",), n_envs=4,
        task=("bars=1",), n_timesteps=2 * 4 * 64, batch_size=128, eval_pieces=4, samples=1,
        progress=False, device="cpu",
    )  # fmt: skip
    run = train(config, listener=Listener())
    learned = checkpoint.load(run.path)
    assert learned.format == singing().format
    assert read_facts(run.path / "report.json")["steps"] == 2 * 4 * 64
    assert len(list(run.samples.glob("*.mid"))) == 1
