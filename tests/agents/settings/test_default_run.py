"""The run without flags, and what the flags of a newcomer make of it."""

import pytest

from agents.settings import TrainConfig, from_preset
from agents.settings.arguments import parse_arguments
from agents.settings.presets import DEFAULT, preset_names
from envs.music.task import Task


def parse(*words):
    return parse_arguments(list(words))[0]


def test_no_flags_are_the_preset():
    config = parse()
    assert config == from_preset() == from_preset(DEFAULT) == parse("--preset", DEFAULT)
    assert {task.bars for task in config.tasks} == {8}
    assert {str(task.meter) for task in config.tasks} == {"4/4", "3/4", "6/8", "2/4"}
    assert {task.key.mode for task in config.tasks} == {"major", "minor"}
    assert config.reward_spec == {
        "common_practice": 1.0,
        "prior": {"weight": 1.0, "checkpoint": "melody"},
    }
    assert config.entropy == config.last_entropy == 1  # nats against nats
    assert config.c == 0.5


def test_settings_in_python_begin_at_the_reference():
    assert TrainConfig().env == from_preset("reference").env != from_preset().env


def test_a_preset_of_no_name_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'eight_bars'"):
        from_preset("eight_bar")
    assert DEFAULT in preset_names()


# -- terms of one's own ----------------------------------------------------------------------------


def test_a_term_joins_the_rules_and_the_prior():
    config = parse("--reward", "mine.py:smooth=0.3,power=2", "in_key=4")
    assert config.terms == {
        "common_practice": 1.0,
        "prior": 1.0,
        "mine.py:smooth": {"weight": 0.3, "power": 2},
        "in_key": 4,
    }
    assert config.tasks == parse().tasks


def test_a_term_named_again_takes_the_place_of_the_first():
    config = parse("--preset", DEFAULT, "--algo", "rloo", "--reward", "in_key=4", "mine.py:f")
    assert list(config.terms) == ["common_practice", "prior", "in_key", "mine.py:f"]
    assert config.algo == "rloo"


@pytest.mark.parametrize(
    "word", ["prior=1", "prior=0.5,floor=-9", "fux_line=0.5", "common_practice"]
)
def test_a_reward_that_names_the_prior_or_a_pack_is_the_whole(word):
    assert parse("--reward", "mine.py:f=2", word).reward == ("mine.py:f=2", word)


@pytest.mark.parametrize(
    "start", [["--preset", "reference"], ["--algo", "rloo"], ["--preset", "melody"]], ids=" ".join
)
def test_elsewhere_a_reward_is_the_whole(start):
    assert parse(*start, "--reward", "mine.py:f=2").reward == ("mine.py:f=2",)


def test_in_a_file_a_reward_is_the_whole(tmp_path):
    from agents.settings.config import to_toml

    (tmp_path / "mine.toml").write_text(to_toml(from_preset()))
    config = parse("--config", str(tmp_path / "mine.toml"), "--reward", "in_key=2")
    assert config.reward == ("in_key=2",)


def test_a_term_given_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        parse("--reward", "in_key=1", "in_key=2")


# -- tasks -----------------------------------------------------------------------------------------


def test_a_field_that_is_named_is_no_longer_varied():
    config = parse("--task", "meter=3/4", "key=G major")
    assert config.tasks == (config.task,)
    assert config.task == Task(key="G major", meter="3/4", bars=8, low="C4", high="A5")
    one = parse("--task", "meter=3/4")
    assert {str(task.meter) for task in one.tasks} == {"3/4"}
    assert len(one.tasks) == len({task.key for task in parse().tasks})
    assert {task.bars for task in parse("--task", "bars=4").tasks} == {4}
    assert len(parse("--task", "bars=4").tasks) == len(parse().tasks)


def test_fields_that_are_varied_by_name_are():
    config = parse("--vary", "bars=2|4", "--task", "key=D dorian")
    assert [task.bars for task in config.tasks] == [2, 4]
    assert {str(task.key) for task in config.tasks} == {"D dorian"}


def test_another_environment_has_its_own_task_and_the_rules_of_the_default_run():
    config = parse("--env", "composition/RLTuner-v0")
    assert config.tasks == (Task(),)
    assert config.terms == from_preset().terms
    assert parse("--env", from_preset().env) == from_preset()


def test_elsewhere_the_task_replaces_as_it_did():
    config = parse("--preset", "melody", "--task", "meter=3/4")
    assert config.vary == from_preset("melody").vary
    assert config.task == Task(meter="3/4", bars=4)
