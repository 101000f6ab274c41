"""An algorithm is one declaration: its settings are read, written, shown, searched and used."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from stable_baselines3 import A2C

from agents.algorithms.registry import check_settings
from agents.learning.policy import PriorPolicy
from agents.learning.rollout import EpisodeBuffer
from agents.settings.algorithm import (
    ALGORITHMS,
    Algorithm,
    Settings,
    algorithm_settings,
    register,
)
from agents.settings.arguments import parse_arguments
from agents.settings.config import TrainConfig, from_mapping, read_toml, to_toml
from agents.training import tuning
from envs.checked import bounded, one_of
from tests.agents.helpers import tiny, trained

OLD_RUNS = Path(__file__).parents[2] / "compat" / "v04" / "desk" / "runs"


@dataclass(frozen=True)
class ToySettings(Settings):
    """Settings of the toy.

    Attributes:
        shyness: share of the learning rate that it dares to use.
        mood: of the day.
    """

    shyness: float = bounded(0.5, 0.0, 1.0)
    mood: str = one_of("calm", "wild")


MADE = []


class Toy(A2C):
    """Actor-critic with a part of its learning rate."""


def make_toy(settings, common):
    peak = common["learning_rate"]
    MADE.append(settings)
    common["learning_rate"] = lambda remaining: settings.shyness * peak(remaining)
    return Toy(policy=PriorPolicy, rollout_buffer_class=EpisodeBuffer, **common)


def check_toy(config):
    if config.settings.mood == "wild" and config.gamma == 1:
        raise ValueError("mood: a wild toy forgets; expected gamma below 1")


@pytest.fixture
def toy():
    made = Algorithm(
        "toy", "a shy actor-critic", make_toy, ToySettings,
        space={"shyness": (0.1, 1.0), "mood": ["calm"]}, tasks=True, check=check_toy,
    )  # fmt: skip
    yield register(made)
    del ALGORITHMS["toy"]
    MADE.clear()


def test_its_settings_are_in_the_help(toy, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--shyness FLOAT share of the learning rate that it dares to use. (default: 0.5)" in text
    assert "Only with --algo toy." in text
    assert "toy: a shy actor-critic" in text


def test_its_settings_are_read_from_flags_and_files(toy, tmp_path):
    config, _ = parse_arguments(["--algo", "toy", "--shyness", "0.25", "--mood", "wild"])
    assert config.settings == ToySettings(0.25, "wild")
    (tmp_path / "mine.toml").write_text("algo = 'toy'\nshyness = 1\n")
    assert read_toml(tmp_path / "mine.toml").settings == ToySettings(1.0)
    words = ["--config", str(tmp_path / "mine.toml"), "--mood", "wild"]
    assert parse_arguments(words)[0].settings == ToySettings(1.0, "wild")
    assert from_mapping(tomllib.loads(to_toml(config)), "test") == config
    assert tomllib.loads(to_toml(config))["shyness"] == 0.25


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"shyness": 2.0}, "shyness"), ({"mood": "wilt"}, "'wild'"), ({"shines": 1.0}, "shyness")],
)
def test_what_its_settings_cannot_be_is_refused(toy, settings, name):
    with pytest.raises(ValueError, match=name):
        TrainConfig(algo="toy", settings=settings)
    with pytest.raises(ValueError, match=name):
        from_mapping({"algo": "toy", **settings}, "test")


def test_its_own_check_is_asked(toy):
    config = TrainConfig(algo="toy", settings={"mood": "wild"})
    with pytest.raises(ValueError, match="gamma"):
        check_settings(config)
    check_settings(config.changed(gamma=0.9))
    with pytest.raises(ValueError, match="KL budget"):
        check_settings(TrainConfig(algo="toy", kl_budget=0.1))


def test_it_trains_and_its_settings_are_written(toy, tiny_checkpoint, tmp_path):
    run = trained(tiny(tiny_checkpoint, tmp_path, algo="toy", shyness=0.125, samples=0))
    assert [ToySettings(0.125)] == MADE
    assert run.config.settings == ToySettings(0.125)
    assert tomllib.loads(run.config_file.read_text())["shyness"] == 0.125


def test_it_is_tuned(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(
        tuning, "run_once", lambda config, pieces: -abs(config.settings.shyness - 0.3)
    )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = tuning.tune(tuning.TuneConfig("toy", trials=8, out=tmp_path))
    best = tomllib.loads(found.preset.read_text())
    assert set(best) == {"algo", "shyness", "mood"}
    assert found.objective == pytest.approx(-abs(best["shyness"] - 0.3))


# -- those that ship -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALGORITHMS)
def test_all_settings_of_those_that_ship_are_explained_and_come_back(name):
    algorithm = ALGORITHMS[name]
    assert algorithm.says
    config = TrainConfig(algo=name)
    assert from_mapping(tomllib.loads(to_toml(config)), "test") == config
    shared = algorithm_settings()
    for setting in vars(config.settings):
        assert shared[setting].says, setting
        assert name in shared[setting].algorithms
    assert set(algorithm.space) <= {*vars(config), *vars(config.settings)}


def test_a_flag_of_another_algorithm_is_noted_and_changes_nothing(capsys):
    config, _ = parse_arguments(["--algo", "ppo", "--group-size", "8"])
    told = "note: --group-size belongs to rloo, grpo, gdpo; ppo does not use it\n"
    assert capsys.readouterr() == ("", told)
    assert config == parse_arguments(["--algo", "ppo"])[0]
    parse_arguments(["--algo=rwr", "--no-value-gradient"])
    assert "--value-gradient belongs to ppo, a2c, maskable_ppo; rwr" in capsys.readouterr().err
    with pytest.raises(ValueError, match="group_size=1"):
        parse_arguments(["--algo", "ppo", "--group-size", "1"])
    config, _ = parse_arguments(["--algo", "qrdqn", "--n-quantiles", "5"])
    assert config.settings.n_quantiles == 5
    assert capsys.readouterr() == ("", "")


def test_settings_of_another_algorithm_in_a_file_are_noted(tmp_path, capsys):
    file = tmp_path / "mine.toml"
    file.write_text("algo = 'ppo'\ngroup_size = 8\nn_epochs = 2\n")
    parse_arguments(["--config", str(file)])
    told = "note: group_size belongs to rloo, grpo, gdpo; ppo does not use it\n"
    assert capsys.readouterr().err == told
    file.write_text(to_toml(TrainConfig(algo="rloo")))
    parse_arguments(["--config", str(file)])
    assert capsys.readouterr().err == ""
    parse_arguments(["--config", str(file), "--algo", "ppo"])
    assert capsys.readouterr().err == told


def test_a_file_that_lists_every_setting_is_read_silently(capsys):
    file = OLD_RUNS / "old" / "config.toml"
    config, _ = parse_arguments(["--config", str(file), "--trust"])
    assert "group_size" in file.read_text()
    assert "group_size" not in vars(config.settings)
    assert capsys.readouterr() == ("", "")


def test_files_of_old_hold_settings_of_every_algorithm():
    old = {
        "algo": "rloo",
        "group_size": 8,
        "n_quantiles": 25,
        "tau": 0.01,
        "exploration": "egreedy",
    }
    config = from_mapping(old, "test")
    assert config.settings.group_size == 8
    assert "tau" not in vars(config.settings)
    with pytest.raises(ValueError, match="tau"):
        from_mapping({**old, "tau": 2.0}, "test")


def test_settings_that_two_algorithms_have_are_kept_from_one_to_the_other():
    config = TrainConfig(settings={"n_epochs": 9, "gae_lambda": 0.5})
    moved = config.changed(algo="rloo", group_size=4)
    assert (moved.settings.n_epochs, moved.settings.group_size) == (9, 4)
    assert "gae_lambda" not in vars(moved.settings)
