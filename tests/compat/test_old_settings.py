"""Settings as 0.7 resolved them: command lines, files, the class, the benchmark and its cells.

`v07/settings.json` was written by 0.7 itself: by each command line or file the TOML of what it
stands for. What a training has beyond that came later.
"""

import json
import tomllib
from pathlib import Path

import pytest

from agents.benchmark import BenchmarkConfig
from agents.benchmarking.benchmark_methods import find_method, training
from agents.settings.algorithm import ALGORITHMS
from agents.settings.arguments import parse_arguments
from agents.settings.config import TrainConfig, from_mapping, to_toml
from agents.training.tuning import TuneConfig

OLD = json.loads((Path(__file__).parent / "v07" / "settings.json").read_text())
BARE = "--preset reference"  # what no words at all stood for
ANEW = ("ppo",)  # algorithms whose presets come from a later search


def assert_as_it_was(config, old, words=""):
    """Compare to the letter: a benchmark goes on only where -4 is not -4.0 and the order stays.

    What the search of 0.8 found for an algorithm of ANEW is left out.
    """
    now = tomllib.loads(to_toml(config))
    was = tomllib.loads(old)
    named = [name for name in ANEW if name in (was["algo"], *words.split())]
    searched = {setting for name in named for setting in ALGORITHMS[name].space}
    compared = [name for name in was if name not in searched]
    assert json.dumps({name: now.get(name) for name in compared}, indent=1) == json.dumps(
        {name: was[name] for name in compared}, indent=1
    )


@pytest.mark.parametrize("words", OLD["train"])
def test_a_command_line_stands_for_the_same(words):
    config, resume = parse_arguments((words or BARE).split())
    assert resume is None
    assert_as_it_was(config, OLD["train"][words], words)


@pytest.mark.parametrize("text", OLD["file"])
def test_a_file_stands_for_the_same(text, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    config, _ = parse_arguments(["--config", str(file)])
    assert_as_it_was(config, OLD["file"][text])
    assert config == from_mapping(tomllib.loads(text), "a file")


def test_settings_in_python_stand_for_the_same():
    assert_as_it_was(TrainConfig(), OLD["class"])
    assert TuneConfig().prior == "folk"


@pytest.mark.parametrize("words", OLD["train"])
def test_settings_that_a_run_wrote_down_stand_for_themselves(words):
    text = OLD["train"][words]
    assert_as_it_was(from_mapping(tomllib.loads(text), "config.toml"), text)


def test_the_benchmark_stands_on_the_same():
    assert_as_it_was(BenchmarkConfig().settings, OLD["benchmark"])
    other = BenchmarkConfig(
        reward=("key=-1", "prior=1"), env="composition/Melody-v0", prior="melody"
    )
    assert_as_it_was(other.settings, OLD["benchmark with a reward"])


@pytest.mark.parametrize("name", OLD["cells"])
def test_a_cell_of_the_benchmark_trains_the_same(name):
    config = training(BenchmarkConfig().settings, find_method(name), 1, Path("cell"))
    assert_as_it_was(config, OLD["cells"][name])


def test_the_reference_is_the_objective_and_no_more():
    reference = parse_arguments(["--preset", "reference"])[0]
    assert reference == from_mapping({}, "nothing")
    assert reference.entropy < reference.last_entropy < 1  # the class has 1, as a reward in nats
    assert {**vars(reference), "entropy": 1.0, "entropy_end": -1.0} == vars(TrainConfig())
