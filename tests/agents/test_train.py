"""A run from beginning to end: what it leaves, and that it repeats."""

import json
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load as from_bytes

from agents.algorithms import registry as algorithms
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.runs.directory import Run
from agents.runs.provenance import made_with
from agents.settings.arguments import parse_arguments
from agents.training import job as training
from envs.music.piece import notes_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import score_from_text
from pretrained import checkpoint
from pretrained.prior import sample
from rewards.build import build
from tests.agents.helpers import UPDATE, strict, tiny, trained

FILES = {
    *("config.toml", "provenance.json", "metrics.csv", "policy.safetensors", "state.zip"),
    *("samples", "learning_curve.png", "report.json", "report.txt", ".lock"),
}


# -- what is left ----------------------------------------------------------------------------------


def test_every_file_is_there_and_nothing_else(run):
    assert {path.name for path in run.path.iterdir()} == FILES
    endings = ("mid", "musicxml", "abc", "svg", "roll.svg")
    melodies = {f"melody-0{n}.{ending}" for n in (1, 2) for ending in endings}
    assert {path.name for path in run.samples.iterdir()} == melodies | {"melodies.txt"}


@pytest.fixture(scope="module")
def melodies(run):
    """The pieces the run should have written: drawn from its policy with its seed."""
    page = Score.page(Task(), 2)
    return sample(checkpoint.load(run.path), page, torch.Generator().manual_seed(run.config.seed))


def test_the_melodies_are_those_of_the_policy_in_every_format(run, melodies):
    lines = (run.samples / "melodies.txt").read_text().splitlines()
    for row in range(2):
        name = f"melody-0{row + 1}"
        notes = notes_of(melodies, row)
        assert len(notes) > 1
        for ending in ("mid", "musicxml", "abc"):
            assert list(read_piece(run.samples / f"{name}.{ending}", grid=4).notes) == notes, ending
        line = lines[2 * row]
        assert line.startswith(name)
        assert notes_of(score_from_text(line.removeprefix(name)), 0) == notes


def test_the_pictures_open(run):
    from matplotlib import image

    for n in (1, 2):
        svg = ET.parse(run.samples / f"melody-0{n}.svg").getroot()
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    picture = image.imread(run.path / "learning_curve.png")
    assert picture.shape[0] > 100
    assert picture.shape[1] > picture.shape[0]
    assert picture.std() > 0.05


def test_beneath_each_tune_stands_what_it_was_paid(run, melodies):
    reward = build(run.config.reward_spec)
    for row in range(2):
        tune = (run.samples / f"melody-0{row + 1}.abc").read_text().splitlines()
        remarks = [line.removeprefix("% ") for line in tune if line.startswith("%")]
        paid = {
            name: float(term(melodies[row : row + 1]).sum()) * reward.terms[name].factor
            for name, term in ((name, term.fn) for name, term in reward.terms.items())
        }
        parts = ", ".join(f"{k} {value:.1f}" for k, value in paid.items() if abs(value) >= 0.05)
        assert remarks[0] == f"return {sum(paid.values()):.1f} = {parts}"
        leaps = [line for line in remarks if line.endswith("(leap_recovery)")]
        assert len(leaps) == min(12, round(-paid["leap_recovery"] / 2))
        assert all(line.startswith("bar ") for line in leaps)


def test_metrics_have_a_row_for_each_update_and_a_column_for_each_term(run):
    metrics = run.read_metrics()
    assert metrics["steps"] == [UPDATE, 2 * UPDATE, 3 * UPDATE]
    terms = ["reward/tonic", "reward/prior", "reward/leap_recovery"]
    assert [name for name in metrics if name.startswith("reward/")] == terms
    assert abs(metrics["kl"][0]) < 1e-5
    assert metrics["kl"][2] > 1e-4
    for row in range(3):
        parts = [metrics[name][row] for name in terms]
        assert metrics["return"][row] == pytest.approx(sum(parts), abs=1e-2)
        assert metrics["prior"][row] == metrics["reward/prior"][row] < 0
        assert metrics["rules"][row] == pytest.approx(parts[0] + parts[2], abs=1e-2)
        assert 0 < metrics["entropy"][row] < np.log(38)
        assert 0 < metrics["distinct"][row] <= 1
    # half the nats of 32 cells, whatever the weight
    entropy = -metrics["reward/prior"][0] / 0.5 / 32
    assert metrics["entropy"][0] == pytest.approx(entropy, rel=1e-4)


def test_the_policy_is_a_prior_that_has_moved(run, tiny_prior):
    policy = checkpoint.load(run.path, Task())
    assert checkpoint.notes(run.policy_file) == {"steps": 3 * UPDATE}
    for name, weight in policy.net.state_dict().items():
        if "place" not in name and "token" not in name:
            assert not torch.equal(weight, tiny_prior.net.state_dict()[name]), name


def test_the_report_holds_prior_and_agent(run):
    report = strict(run.path / "report.json")
    assert report["pieces"] == 20
    assert report["steps"] == 3 * UPDATE
    assert list(report["columns"]) == ["prior", "agent"]
    assert report["columns"]["prior"].keys() == report["columns"]["agent"].keys()
    prior, agent = checkpoint.load(run.config.prior), checkpoint.load(run.path)
    for head, drawn_from in (("prior", prior), ("agent", agent)):
        page, rng = Score.page(Task(), 20), torch.Generator().manual_seed(1)
        nats = prior.log_prob(sample(drawn_from, page, rng)).mean()
        found = report["columns"][head]["mean log p per token (nats)"]
        assert found == pytest.approx(float(nats), rel=1e-5), head
    text = (run.path / "report.txt").read_text()
    for row in ("notes not in key", "starts on the tonic", "distinct pieces"):
        assert row in text
        assert row in report["columns"]["agent"]


def test_a_reward_s_file_is_known_by_its_name_and_content_wherever_it_lies(tmp_path):
    code = "def f(score):\n    return score.onset * 1.0\n"
    found = []
    for place in ("here", "there"):
        file = tmp_path / place / "mine.py"
        file.parent.mkdir()
        file.write_text(code)
        found.append(made_with(file, build(f"{file}:f"))["rewards"][f"{file}:f"])
    assert found[0] == found[1]
    assert found[0]["source"] == "mine.py:f"


def test_provenance_names_what_the_run_was_made_with(run, tiny_checkpoint):
    facts = strict(run.path / "provenance.json")
    assert facts["prior"]["sha256"] == sha256(tiny_checkpoint.read_bytes()).hexdigest()
    assert torch.__version__.startswith(facts["packages"]["torch"])
    assert list(facts["rewards"]) == ["tonic", "prior", "leap_recovery"]
    source = Path(__file__).parents[2] / "rewards" / "rules" / "melody.py"
    rule = facts["rewards"]["leap_recovery"]
    assert rule["sha256"] == sha256(source.read_bytes()).hexdigest()
    assert rule["source"] == "rewards.rules.melody:leap_recovery"


def test_a_state_holds_no_pickles(run):
    with zipfile.ZipFile(run.path / "state.zip") as archive:
        assert set(archive.namelist()) == {"state.json", "tensors.safetensors"}
        assert json.loads(archive.read("state.json"))["num_timesteps"] == 3 * UPDATE
        weights = from_bytes(archive.read("tensors.safetensors"))
    assert "policy.value.weight" in weights


def test_the_settings_reach_the_algorithm(tiny_checkpoint, tmp_path):
    config = tiny(
        tiny_checkpoint, tmp_path, gamma=0.9, gae_lambda=0.8, clip_range=0.15, vf_coef=0.4,
        max_grad_norm=0.3, n_epochs=3, batch_size=64, value_gradient=False, seed=9, n_envs=5,
    )  # fmt: skip
    env = CompositionVecEnv(make_env(config.env, config.task, config.n_envs))
    prior, reward = checkpoint.load(tiny_checkpoint), build(config.reward_spec)
    ppo = algorithms.make(config, env, prior, reward)
    a2c = algorithms.make(replace(config, algo="a2c"), env, prior, reward)
    for model in (ppo, a2c):
        assert (model.gamma, model.gae_lambda, model.vf_coef) == (0.9, 0.8, 0.4)
        assert (model.max_grad_norm, model.seed, model.n_steps, model.n_envs) == (0.3, 9, 32, 5)
        assert model.rollout_buffer.objective.reward is reward
        assert (model.rollout_buffer.gamma, model.rollout_buffer.gae_lambda) == (0.9, 0.8)
        assert model.policy.value_gradient is False
        assert isinstance(model.policy.optimizer, torch.optim.Adam)
        assert model.lr_schedule(1.0) == pytest.approx(5e-3)
        assert model.lr_schedule(0.5) == pytest.approx(5.5e-3 / 2)
        assert model.lr_schedule(0.0) == pytest.approx(5e-4)
    assert (ppo.n_epochs, ppo.batch_size, ppo.clip_range(1.0)) == (3, 64, 0.15)


# -- repeating -------------------------------------------------------------------------------------


def test_the_config_fed_back_repeats_the_run(run, tmp_path):
    words = ["--config", str(run.path / "config.toml"), "--runs", str(tmp_path)]
    config, _ = parse_arguments(words)
    again = trained(config)
    for name in ("metrics.csv", "report.json", "report.txt", "samples/melodies.txt"):
        assert (again.path / name).read_text() == (run.path / name).read_text(), name
    _, ours = checkpoint.read(run.policy_file)
    _, theirs = checkpoint.read(again.policy_file)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_terms_keep_their_order_in_the_config(run, tiny_checkpoint):
    assert run.config == tiny(tiny_checkpoint, run.config.runs)


def test_another_seed_makes_another_run(run, tmp_path):
    other = trained(replace(run.config, seed=1, runs=tmp_path, samples=0, n_timesteps=1))
    assert other.read_metrics()["return"][0] != run.read_metrics()["return"][0]
    assert not other.samples.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"algo": "a2c"},
        {"task": ("bars=1", "voices=2")},
        {"task": ("bars=1", "meter=6/8", "low=C4", "high=C5"), "value_gradient": False},
        {"env": "composition/Melody-v0", "task": ("bars=1",), "n_envs": 3},
        {"task": (f"given={[[-1, -1, 20, 1] + [-1] * 28]}",)},
        {"reward": ("tonic=1",)},
        {"tensorboard": True},
    ],
    ids=["a2c", "two voices", "compound", "melody", "given cells", "without prior", "tensorboard"],
)
def test_other_settings_run_and_begin_at_the_prior(tiny_checkpoint, tmp_path, changes):
    run = trained(tiny(tiny_checkpoint, tmp_path, n_timesteps=300, samples=1, **changes))
    metrics = run.read_metrics()
    assert abs(metrics["kl"][0]) < 1e-5
    assert metrics["kl"][0] != metrics["kl"][-1]
    logs = list(run.path.glob("events.out.tfevents*"))
    assert len(logs) == bool(changes.get("tensorboard"))


def test_the_kl_is_not_cut_by_the_rewards_floor(tiny_checkpoint, tmp_path):
    """A floor on the reward bounds what is paid, not what is measured."""
    reward = (f"prior=1,checkpoint={tiny_checkpoint},floor=-2",)
    run = trained(tiny(tiny_checkpoint, tmp_path, reward=reward, n_timesteps=1, samples=0))
    metrics = run.read_metrics()
    assert abs(metrics["kl"][0]) < 1e-5
    assert metrics["reward/prior"][0] > -32 * metrics["entropy"][0]


def test_policies_of_runs_are_priors_of_runs(run, tmp_path):
    config = replace(
        run.config, prior=str(run.path), runs=tmp_path, reward=("in_key=1",), n_timesteps=1,
        samples=0,
    )  # fmt: skip
    second = trained(config)
    assert abs(second.read_metrics()["kl"][0]) < 1e-5


def test_runs_are_numbered_if_they_have_no_name(tiny_checkpoint, tmp_path):
    config = tiny(tiny_checkpoint, tmp_path, name="")
    names = [Run.create(config).path.name for _ in range(3)]
    assert names == ["rltuner-v0-ppo-1", "rltuner-v0-ppo-2", "rltuner-v0-ppo-3"]


def test_an_existing_run_is_never_overwritten(run):
    before = {path: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=r"tiny exists and is never overwritten.*--resume"):
        training.train(run.config)
    assert {path: path.read_bytes() for path in run.path.iterdir() if path.is_file()} == before
