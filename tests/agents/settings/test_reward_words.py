"""A reward in settings: words, one word, or a table; an algorithm over a settings file."""

import pytest

from agents.settings import TrainConfig
from agents.settings.arguments import parse_arguments
from rewards import build


def test_a_table_of_terms_is_the_words_of_the_command_line():
    table = {"in_key": 2.0, "leap_recovery": {"weight": 2.0, "min_leap": 7}}
    words = TrainConfig(reward=("in_key=2.0", "leap_recovery=2.0,min_leap=7"))
    assert TrainConfig(reward=table) == words
    assert TrainConfig(reward="rl_tuner=1").terms == {"rl_tuner": 1}


@pytest.mark.parametrize("reward", [build("in_key"), {len: 1.0}, 3, None, len, [3]])
def test_what_cannot_be_written_down_is_refused(reward):
    with pytest.raises(TypeError, match=r"file\.py:function"):
        TrainConfig(reward=reward)


def test_an_algorithm_named_beside_a_file_keeps_the_files_settings(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('algo = "dqn"\nn_envs = 16\ngamma = 1.0\nbatch_size = 512\n')
    config, _ = parse_arguments(["--config", str(file), "--algo", "ppo"])
    assert (config.algo, config.n_envs, config.settings.batch_size) == ("ppo", 16, 512)
