"""Files that 0.4 wrote: its checkpoints, runs, settings and presets, read and gone on with.

`v04/desk` is a folder in which 0.4 trained two tiny agents for 512 steps, each with a reward of the
user's; `v04/expected` has what 0.4 itself made of it next: both runs resumed to 1,024 steps, and
two melodies of the first.
"""

import csv
import hashlib
import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from agents.evaluating.sampling import sample_many
from agents.settings.algorithm import ALGORITHMS
from agents.settings.begun import UNTIL_0_6
from envs.music.task import Task
from pretrained import checkpoint
from tests.compat.searched import ANEW
from tests.envs.notation.other_readers import by_mido, sounding
from tests.pages import ROOT, run_command

OLD = Path(__file__).parent / "v04"
EXPECTED = OLD / "expected"
PRESETS = sorted((OLD / "presets").glob("*.toml"))
FROZEN = {
    "pretrained/checkpoints/folk.safetensors": (
        "c6c8b67d69074173b652a052b8cb3b386f5277d4b42dc9f9481f5f37af273429"
    ),
    "pretrained/checkpoints/melody-1.safetensors": UNTIL_0_6["melody"],
    "pretrained/checkpoints/composer-1.safetensors": UNTIL_0_6["composer"],
    "pretrained/checkpoints/counterpoint-1.safetensors": (  # the counterpoint of 0.9
        "78b39c5a45d8a9e4d9632ca627499dcff9a27c0651ffcd367ab895e9ca4c486b"
    ),
    "pretrained/data/folk.npz": "2a74d72fe8be383200e46210cd2723a96e3522567b0bdf195024b8117f174d19",
}
pytestmark = pytest.mark.filterwarnings("ignore::envs.old_names.OldNameWarning")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A copy of the folder that 0.4 left behind."""
    shutil.copytree(OLD / "desk", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["found as it was", "trained anew"])
def prior(request, desk, monkeypatch, tiny_prior):
    """The name of the runs' prior: that of a file, or of one that ships and was replaced since."""
    if request.param == "found as it was":
        return "tiny.safetensors"
    ships = desk / "ships"
    ships.mkdir()
    shutil.copy(desk / "tiny.safetensors", ships / "melody-1.safetensors")
    checkpoint.save(ships / "melody.safetensors", tiny_prior.net, tiny_prior.codec)
    monkeypatch.setattr(checkpoint, "SHIPPED", ships)
    for file in (*desk.glob("runs/*/config.toml"), *desk.glob("runs/*/provenance.json")):
        text = file.read_text()
        named = text.replace('prior = "tiny.safetensors"', 'prior = "melody"')
        file.write_text(named.replace("tiny.safetensors", "melody.safetensors"))
        assert file.read_text() != text
    (desk / "tiny.safetensors").unlink()
    return "melody-1"


def rows(path):
    return list(csv.DictReader(path.open()))


@pytest.mark.parametrize("file", FROZEN)
def test_the_benchmark_stands_on_files_that_do_not_change(file):
    assert hashlib.sha256((ROOT / file).read_bytes()).hexdigest() == FROZEN[file]


@pytest.mark.parametrize("name", ["old", "old_psi"])
def test_a_run_goes_on_as_0_4_would_have_gone_on(name, desk, prior):
    run_command(f"python -m agents.train --resume runs/{name} -n 1024 --trust", short=False)
    for got, expected in zip(
        rows(desk / "runs" / name / "metrics.csv"), rows(EXPECTED / f"{name}.csv"), strict=True
    ):
        for column, value in expected.items():
            assert float(got[column]) == pytest.approx(float(value), rel=1e-3, abs=1e-4), column
    got = json.loads((desk / "runs" / name / "report.json").read_text())
    expected = json.loads((EXPECTED / f"{name}.json").read_text())
    assert (got["pieces"], got["steps"]) == (8, 1024)
    for title, column in expected["columns"].items():
        for measure, value in column.items():
            assert got["columns"][title][measure] == pytest.approx(value, rel=1e-3, abs=1e-4)


def test_a_run_composes_the_same_melodies(desk):
    run_command(
        "python -m agents.compose runs/old --trust -n 2 --seed 3 --out tunes --no-sound",
        short=False,
    )
    for name in ("melody-01.mid", "melody-02.mid"):
        written, old = (folder / name for folder in (desk / "tunes", EXPECTED))
        notes, as_before = (sounding(by_mido(file.read_bytes(), 4)) for file in (written, old))
        assert len(as_before) == 1
        assert notes == as_before


def test_a_run_composes_with_the_prior_that_it_began_with(desk, prior):
    from agents.composing import Composer

    composer = Composer.load("runs/old", trust=True)
    asked = composer.objective.likelihood.prior
    assert asked is checkpoint.load_once(composer.prior) is checkpoint.load_once(prior)
    assert composer.notes == ()


def test_a_run_is_evaluated_and_its_melodies_explained(desk, prior):
    table = run_command("python -m agents.evaluate runs/old --trust -n 8", short=False)
    assert "leaps resolved" in table
    found = json.loads((desk / "runs" / "old" / "evaluation.json").read_text())
    begun = checkpoint.load(prior)
    drawn = sample_many(begun, Task(), 8, 1)
    likely = found["columns"]["prior"]["mean log p per token (nats)"]
    assert likely == pytest.approx(begun.log_prob(drawn).mean())
    told = run_command("python -m agents.explain runs/old --trust --json", short=False)
    surprise = [message["surprise"] for message in json.loads(told)[0]["messages"]]
    begun = f"python -m agents.explain runs/old --trust --json --prior {prior}"
    again = json.loads(run_command(begun, short=False))
    assert surprise == [message["surprise"] for message in again[0]["messages"]]
    told = run_command("python -m agents.explain runs/old --trust --prior none --json", short=False)
    assert json.loads(told)


@pytest.mark.parametrize("file", ["tiny.safetensors", "runs/old/policy.safetensors", "runs/old"])
def test_a_checkpoint_is_a_prior(file, desk):
    from envs.task import Task

    from pretrained import load
    from pretrained.prior import sample

    prior = load(file)
    pieces = sample(prior, Task(bars=1).sample(None, 4), seed=1)
    assert np.isfinite(prior.log_prob(pieces)).all()


def test_settings_start_a_run(desk):
    run_command(
        "python -m agents.train --config settings.toml --trust --name again -n 256", short=False
    )
    first = rows(OLD / "desk" / "runs" / "old" / "metrics.csv")[0]
    got = rows(desk / "runs" / "again" / "metrics.csv")[0]
    assert float(got["reward/prior"]) == pytest.approx(float(first["reward/prior"]), rel=1e-3)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_is_read_and_ships(path):
    from agents.config import from_mapping, read_preset, to_toml

    values = tomllib.loads(path.read_text())
    if path.stem in ANEW:  # what a later search found is another matter
        searched = {name for name in ALGORITHMS[path.stem].space if name in values}
        values |= {name: read_preset(path.stem)[name] for name in searched}
    config = from_mapping(values, path.name)
    plain = {name: value for name, value in values.items() if not isinstance(value, dict)}
    assert tomllib.loads(to_toml(config)).items() >= plain.items()
    assert config == from_mapping(read_preset(path.stem), path.stem)
    assert config == from_mapping(tomllib.loads(to_toml(config)), "written")
