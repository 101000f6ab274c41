"""The search for presets: what it maximises, what it records, that it goes on."""

import csv
import tomllib
from dataclasses import replace

import pytest

from agents.evaluating.sampling import objective, sample_many
from agents.settings.algorithm import ALGORITHMS
from agents.settings.config import TrainConfig, from_mapping
from agents.settings.presets import preset_names, read_preset
from agents.training import tuning
from agents.training.callbacks import DivergedError
from agents.training.tuning import TuneConfig
from envs.music.task import Task
from rewards import build
from tests.agents.helpers import tiny


def test_every_algorithm_has_a_preset_of_its_name():
    assert set(ALGORITHMS) <= set(preset_names())
    for name in preset_names():
        settings = read_preset(name)
        assert from_mapping(settings, name).algo in ALGORITHMS
        if name in ALGORITHMS:
            assert settings["algo"] == name


def reached(config, agent):
    score = sample_many(agent, Task(), 40, 1)
    return objective(agent, score, build(config.reward_spec), config)


def test_the_objective_of_the_prior_itself_is_what_the_rules_pay(tiny_checkpoint, tiny_prior):
    config = TrainConfig(reward=(f"prior=1,checkpoint={tiny_checkpoint}",), entropy_end=1.0)
    assert reached(config, tiny_prior) == pytest.approx(0.0, abs=1e-4)
    half = replace(config, reward=(*config.reward, "tonic=8"), c=4.0)
    whole = replace(config, reward=(*config.reward, "tonic=2"))
    found = reached(half, tiny_prior)
    assert found > 0
    assert found == pytest.approx(reached(whole, tiny_prior))


def test_training_raises_it(tiny_checkpoint, tmp_path):
    config = tiny(tiny_checkpoint, tmp_path, eval_freq=-1, samples=0)
    long = replace(config, n_timesteps=20 * 256)
    assert tuning.run_once(long, 200) > tuning.run_once(replace(config, n_timesteps=1), 200)
    assert not list(tmp_path.iterdir())


def test_trials_are_recorded_and_a_second_call_goes_on(tmp_path, monkeypatch):
    seen = []

    def pretended(config, pieces):
        seen.append(config)
        if len(seen) == 3:
            raise DivergedError("learning has diverged")
        return -abs(config.learning_rate - 1e-3)

    monkeypatch.setattr(tuning, "run_once", pretended)
    preset = tmp_path / "rloo.toml"
    config = TuneConfig("rloo", trials=4, n_timesteps=100, out=tmp_path / "t", preset=str(preset))
    tuning.tune(config)
    assert len(seen) == 4
    tuning.tune(replace(config, trials=9))
    assert len(seen) == 9  # the four of before are not made again
    with (tmp_path / "t" / "rloo.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows].count("pruned") == 1
    best = max((row for row in rows if row["objective"]), key=lambda r: float(r["objective"]))
    found = tomllib.loads(preset.read_text())
    assert found["learning_rate"] == pytest.approx(float(best["learning_rate"]), rel=0.01)
    assert found["algo"] == "rloo"
    assert set(found) == {"algo", *ALGORITHMS["rloo"].space}
    assert "n_timesteps" not in found
    assert {config.n_timesteps for config in seen} == {100}


def test_a_search_begins_with_what_its_space_holds_of_the_preset(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(tuning, "run_once", lambda config, _: float(seen.append(config) or 1))
    rate = {"learning_rate": (0.01, 0.02)}  # without the preset's
    other = replace(ALGORITHMS["rloo"], space={**ALGORITHMS["rloo"].space, **rate})
    monkeypatch.setitem(ALGORITHMS, "rloo", other)
    preset = str(tmp_path / "rloo.toml")
    tuning.tune(TuneConfig("rloo", trials=1, n_timesteps=100, out=tmp_path / "t", preset=preset))
    (config,) = seen
    assert 0.01 <= config.learning_rate <= 0.02
    assert config.settings.n_epochs == read_preset("rloo")["n_epochs"]


def test_trials_of_another_search_are_not_mixed_in(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "run_once", lambda config, pieces: 1.0)
    preset = tmp_path / "rloo.toml"
    config = TuneConfig("rloo", trials=1, n_timesteps=100, out=tmp_path, preset=str(preset))
    tuning.tune(config)
    with pytest.raises(ValueError, match="holds trials of another search"):
        tuning.tune(replace(config, n_timesteps=200))


@pytest.mark.parametrize("bad", [{"algo": "q"}, {"trials": 0}, {"pieces": 0}, {"seeds": 0}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match="expected"):
        TuneConfig(**bad)
