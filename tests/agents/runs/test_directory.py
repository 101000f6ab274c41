"""The run directory itself: metrics past a million steps, cut-off rows, weights gone wrong."""

from types import SimpleNamespace

import pytest
import torch

from agents.algorithms.registry import falling
from agents.runs.directory import Run
from agents.settings.config import TrainConfig


@pytest.fixture
def made(tmp_path):
    return Run.create(TrainConfig(runs=tmp_path, name="r"))


def test_steps_are_written_whole_however_many(made):
    for steps in (1_007_616, 1_015_808, 1_507_328):
        made.append_metrics({"steps": steps, "return": 1.23456789})
    made.cut_metrics(1_015_808)
    assert made.read_metrics() == {"steps": [1_007_616, 1_015_808], "return": [1.23457] * 2}


def test_a_row_cut_off_in_the_writing_is_no_row(made):
    made.append_metrics({"steps": 256, "return": 1.0})
    with made.metrics_file.open("a") as file:
        file.write("512,-1")
    assert made.read_metrics()["steps"] == [256]
    made.cut_metrics(256)
    made.append_metrics({"steps": 512, "return": 2.0})
    assert made.read_metrics() == {"steps": [256, 512], "return": [1.0, 2.0]}
    assert Run(made.path).read_metrics()["return"] == [1.0, 2.0]


def test_the_learning_rate_never_turns_round():
    rate = falling(1e-3)
    assert rate(1.0) == pytest.approx(1e-3)
    assert rate(0.0) == rate(-5.0) == pytest.approx(1e-4)  # a rollout past the end


def test_no_metrics_yet(made):
    made.cut_metrics(0)
    assert made.read_metrics() == {}


def test_weights_that_are_no_numbers_never_replace_good_ones(made):
    made.policy_file.write_bytes(b"good")
    layer = torch.nn.Linear(1, 1)
    layer.weight.data[:] = torch.nan
    with pytest.raises(ValueError, match="finite after 8 steps"):
        made.save(SimpleNamespace(policy=layer, num_timesteps=8))
    assert made.policy_file.read_bytes() == b"good"


@pytest.mark.parametrize("name", ["/elsewhere/x", "../x", "a/b", "..", "."])
def test_a_name_that_is_no_folder_s_makes_nothing(tmp_path, name):
    with pytest.raises(ValueError, match="expected the name of one folder"):
        Run.create(TrainConfig(runs=tmp_path / "runs", name=name))
    assert not list(tmp_path.iterdir())


def test_a_policy_where_a_run_is_expected_is_told_how_to_use_it(tmp_path):
    with pytest.raises(ValueError, match=r"is a policy and no run directory; .* --prior "):
        Run(tmp_path / "policy.safetensors")
