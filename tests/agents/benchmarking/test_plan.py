"""The settings that a benchmark may begin with, and the folders that it refuses."""

import shutil

import pytest

from agents.benchmarking.bench import Bench
from agents.benchmarking.benchmark_methods import find_method
from agents.benchmarking.cells import make_cell
from agents.benchmarking.plan import choose, open_folder
from agents.runs.directory import Run
from agents.settings.algorithm import ALGORITHMS
from pretrained import checkpoint
from tests.agents.benchmarking.helpers import STEPS, begin, config


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pieces": 17}, "begun with pieces 16, not 17"),
        ({"n_timesteps": 5}, f"begun with n_timesteps {STEPS}, not 5"),
        ({"reward": ("tonic=2", "leap_recovery=1")}, "begun with reward tonic=1 "),
        ({"env": "composition/Melody-v0"}, "begun with env composition/RLTuner-v0, not"),
        ({"prior": "folk"}, "begun with prior /"),
    ],
)
def test_a_folder_of_other_settings_is_refused(benchmarked, tiny_checkpoint, changes, told):
    settings = config(tiny_checkpoint, benchmarked.out, **changes)
    bench = Bench(settings.settings, settings.out)
    with pytest.raises(ValueError, match="is a benchmark begun with") as error:
        open_folder(bench, [], 1)
    assert told in str(error.value)


def test_seeds_methods_and_jobs_may_change(benchmarked):
    settings = config(benchmarked.base.prior, benchmarked.out, seeds=3, jobs=7)
    open_folder(Bench(settings.settings, benchmarked.out), [find_method("rloo")], 3)


def test_another_prior_under_the_same_name_is_refused(tiny_checkpoint, tmp_path):
    own = tmp_path / "own.safetensors"
    shutil.copy(tiny_checkpoint, own)
    settings = config(tiny_checkpoint, tmp_path / "b", prior=str(own))
    bench = begin(settings, ["prior"])
    prior = checkpoint.load(own)
    checkpoint.save(own, prior.net, prior.codec, {"made": "again"})
    for again in (lambda: open_folder(bench, [], 1), lambda: make_cell(bench.out, "prior", 0)):
        with pytest.raises(ValueError, match="the prior .* name another folder"):
            again()


def test_a_preset_that_changed_is_refused(benchmarked, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(benchmarked.out, out)
    bench = Bench(Run(out / "settings").config, out)
    open_folder(bench, [find_method("ppo")], 1)
    file = out / "cells" / "ppo" / "0" / "run" / "config.toml"
    file.write_text(file.read_text().replace("learning_rate = 0.0", "learning_rate = 0.1"))
    with pytest.raises(
        ValueError, match="was trained with learning_rate .* the preset has changed"
    ):
        open_folder(bench, [find_method("ppo")], 1)


def test_a_folder_that_is_no_benchmark_is_refused(tiny_checkpoint, tmp_path):
    (tmp_path / "diary.txt").write_text("dear diary")
    settings = config(tiny_checkpoint, tmp_path)
    with pytest.raises(ValueError, match="is not empty"):
        open_folder(Bench(settings.settings, tmp_path), [], 1)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["ppo", "guided-beam", "ppo"], "'ppo' is given twice"),
        (["guided-beam"], "needs the cells of ppo"),
        (["prior", "best-of-1000"], "n=1,000: expected at most 256"),
        (["prior", "best-of-n@kl=0.2"], "expected at most 256"),
    ],
)
def test_methods_that_cannot_be_had(benchmarked, names, told):
    with pytest.raises(ValueError, match=told):
        choose(names, benchmarked)


def test_of_all_methods_impossible_ones_are_left_out(benchmarked, tiny_checkpoint):
    settings = config(tiny_checkpoint, benchmarked.out, reward=("tonic=1",))
    methods, left_out = choose([], Bench(settings.settings, benchmarked.out))
    assert [line.partition(": ")[0] for line in left_out] == [
        "masked",
        "fill:vae-8",
        "evolved:vae-8",
        "limit@kl=0.2",
        "best-of-n@kl=0.2",
    ]
    assert {m.algo for m in methods} == {"", *ALGORITHMS}
