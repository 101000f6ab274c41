"""Names of checkpoints that ship, in settings of runs that began before a file was replaced."""

import json
import shutil
from dataclasses import replace

import pytest

from agents.benchmarking.bench import Bench
from agents.benchmarking.cells import make_cell
from agents.runs.directory import Run
from agents.settings.arguments import parse_arguments
from agents.settings.begun import PACKS_UNTIL_0_7, UNTIL_0_6, as_begun
from agents.settings.config import TrainConfig
from agents.training.job import train
from envs.durable_files import sha256
from pretrained import checkpoint
from rewards.build import build, pack_files, pack_names, read_pack
from tests.agents.benchmarking.helpers import begin, config
from tests.agents.helpers import UPDATE, tiny


@pytest.fixture
def ships(tmp_path, monkeypatch, tiny_checkpoint):
    """A folder of checkpoints that ship: today's melody."""
    folder = tmp_path / "ships"
    folder.mkdir()
    shutil.copy(tiny_checkpoint, folder / "melody.safetensors")
    monkeypatch.setattr(checkpoint, "SHIPPED", folder)
    return folder


def train_anew(ships):
    """Replace melody by a network of another size; the file before it ships as melody-1."""
    from envs.music.codec import Codec
    from pretrained.networks.recurrent import NetShape, RecurrentNet

    (ships / "melody.safetensors").rename(ships / "melody-1.safetensors")
    net = RecurrentNet(NetShape(Codec().vocab, hidden=8, embed=4))
    checkpoint.save(ships / "melody.safetensors", net, Codec())


def write(folder, **facts):
    (folder / "provenance.json").write_text(json.dumps(facts))
    return folder


def test_a_run_goes_on_with_the_file_that_it_began_with(ships, tmp_path):
    settings = tiny("melody", tmp_path / "runs", reward=("in_key=1", "prior=1"))
    run = train(replace(settings, name="before"))
    train_anew(ships)
    again, _ = parse_arguments(["--config", str(run.config_file)])
    assert again.prior == "melody-1"
    for updates, more in (
        (4, []),
        (5, ["--prior", "melody"]),
    ):  # as the command of then may have it
        train(*parse_arguments(["--resume", str(run.path), "-n", str(updates * UPDATE), *more]))
        assert len(run.read_metrics()["kl"]) == updates
        assert Run(run.path).config.prior == "melody-1"
    new = train(replace(settings, name="after"))
    assert Run(new.path).config.prior == "melody"


def test_a_benchmark_goes_on_with_the_file_that_it_began_with(ships, tmp_path):
    reward = ("tonic=1", "leap_recovery=2,min_leap=4", "prior=0.5")
    settings = config("melody", tmp_path / "b", reward=reward)
    before = begin(settings, ["prior", "ppo"])
    make_cell(settings.out, "ppo", 0)
    train_anew(ships)
    after = begin(settings, ["prior", "ppo"])
    assert after.base.prior == "melody-1"
    assert after.prior.shape == before.prior.shape != checkpoint.load("melody").shape
    make_cell(settings.out, "prior", 0)
    assert Bench(settings.settings, tmp_path / "new").base.prior == "melody"


def test_every_name_of_a_checkpoint_is_the_file_of_then(ships, tmp_path, monkeypatch):
    old = sha256(ships / "melody.safetensors")
    given = TrainConfig(
        prior="folk", start="melody", reward=("prior=2,checkpoint=melody", "in_key=1")
    )
    meant = replace(given, start="melody-1", reward=("prior=2,checkpoint=melody-1", "in_key=1"))
    run = write(tmp_path, shipped={"melody": old}, prior={"file": "folk.safetensors"})
    assert as_begun(given, run) is given
    train_anew(ships)
    assert as_begun(given, run) == meant
    assert as_begun(meant, run) is meant
    monkeypatch.setitem(UNTIL_0_6, "melody", old)
    assert as_begun(given, write(tmp_path, prior={"file": "folk.safetensors"})) == meant
    for word in ("+memory", "+melody"):
        own = replace(given, start="", reward=(f"prior=1,checkpoint=melody{word}",))
        found = as_begun(own, run).reward
        assert found == (f"prior=1,checkpoint=melody{'-1' * (word == '+memory')}{word}",)
    new = write(tmp_path, shipped={"melody": sha256(ships / "melody.safetensors")})
    assert as_begun(given, new) is given


def test_a_file_that_ships_no_more_and_names_of_one_s_own_stay(ships, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = TrainConfig(prior="melody")
    lost = {"file": "melody.safetensors", "sha256": "0" * 64}
    train_anew(ships)
    for facts in ({"prior": lost}, {"prior": 3, "shipped": []}, {"shipped": {"melody": [1]}}):
        assert as_begun(given, write(tmp_path, **facts)) is given
    assert as_begun(given, tmp_path / "elsewhere") is given
    old = {"file": "melody.safetensors", "sha256": sha256(ships / "melody-1.safetensors")}
    run = write(tmp_path, prior=old)
    assert as_begun(given, run).prior == "melody-1"
    own = replace(given, prior=str(ships / "melody.safetensors"))
    assert as_begun(own, run) is own
    (tmp_path / "melody").mkdir()
    shutil.copy(ships / "melody.safetensors", tmp_path / "melody" / "policy.safetensors")
    assert as_begun(given, run) is given  # a run of one's own goes first, see `locate`


def test_the_files_of_before_0_7_ship():
    hashes = {sha256(file): name for name, file in checkpoint.shipped().items()}
    assert UNTIL_0_6.keys() == {"folk", "melody", "composer"}
    assert set(UNTIL_0_6.values()) <= hashes.keys()


# -- packs -----------------------------------------------------------------------------------------


def test_a_run_goes_on_with_the_rules_that_its_pack_had(tmp_path):
    given = TrainConfig(reward=("in_key=1", "common_practice=2", "circling=1", "prior=1"))
    meant = replace(given, reward=("in_key=1", "common_practice-1=2", "circling=1", "prior=1"))
    for facts in ({}, {"packs": PACKS_UNTIL_0_7}, {"packs": 3}):
        found = as_begun(given, write(tmp_path, **facts))
        assert found == meant
        assert as_begun(found, tmp_path) is found
    terms = build(found.terms | {"prior": 0.0}).terms
    assert "opening_return" not in terms
    assert terms["in_key"].weight == 1
    assert terms["cadence"].weight == 2 * 3
    assert "circling" in terms
    now = {name: sha256(file) for name, file in pack_files().items()}
    for facts in (now, {"common_practice": "0" * 64}, {}):
        assert as_begun(given, write(tmp_path, packs=facts)) is given


def test_the_packs_of_before_0_8_ship_as_they_were():
    hashes = {sha256(file): name for name, file in pack_files().items()}
    assert {name: hashes[digest] for name, digest in PACKS_UNTIL_0_7.items()} == {
        name: f"{name}-1" for name in PACKS_UNTIL_0_7
    }
    assert not {"common_practice-1"} & set(pack_names())
    assert len(read_pack("common_practice-1")) == 25


def test_a_new_run_tells_its_packs(ships, tmp_path):
    run = train(tiny("melody", tmp_path / "runs", reward=("common_practice=1", "prior=1")))
    facts = json.loads((run.path / "provenance.json").read_text())
    assert facts["packs"]["common_practice"] == sha256(pack_files()["common_practice"])
    assert Run(run.path).config.reward == ("common_practice=1", "prior=1")
    old = {name: fact for name, fact in facts.items() if name != "packs"}
    write(run.path, **old)
    assert Run(run.path).config.reward == ("common_practice-1=1", "prior=1")
