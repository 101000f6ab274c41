"""The logit in closed form, labels of the reward and of people, and the target on every piece."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.algorithms import registry as algorithms
from agents.algorithms.direct_preference import agreeing, logits, observed
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.preferring.comparisons import Comparisons, heading, written_comparison
from agents.settings.config import TrainConfig
from agents.training.job import prepare
from agents.training.listener import Listener
from envs.errors import RefusedError
from envs.music.score import Score
from envs.music.task import Task
from rewards.build import build
from tests.agents.helpers import every_piece, observe, optimum, tiny, trained, whole
from tests.helpers import random_pieces

SMALL = ("bars=1", "meter=1/4", "low=C4", "high=E4")


def test_the_logit_is_that_of_the_paper():
    own, reference = torch.tensor([[-3.0, -5.0]]), torch.tensor([[-4.0, -4.5]])
    beta = 0.7
    expected = beta * ((-3.0 - -4.0) - (-5.0 - -4.5))
    assert logits(own, reference, c=beta, entropy=1.0).item() == pytest.approx(expected)
    assert logits(own, own, c=beta, entropy=1.0).item() == 0  # where it starts
    assert logits(own, reference, beta, 1.0, 2.0).item() == pytest.approx(2 * expected)


def test_what_a_policy_reads_of_a_piece_is_what_it_read_while_writing(tiny_prior):
    score = random_pieces(Task(bars=1), 5, seed=3)
    columns, expected = observed(score), whole(score, observe(score, {"bars": 1}))
    for ours, theirs in (("pieces", "pieces"), ("masks", "action_mask"), ("context", "context")):
        np.testing.assert_array_equal(columns[ours], expected[theirs].numpy())
    assert not columns["given"].any()


def model_of(prior, weight, comparisons=None, c=1.0, **settings):
    config = TrainConfig().changed(
        algo="dpo", reward=(f"in_key={weight}", "prior=1"), task=SMALL, n_envs=1000, c=c,
        batch_size=800, entropy_end=-1.0, entropy=1.0, **settings,
    )  # fmt: skip
    env = CompositionVecEnv(make_env(config.env, config.task, config.n_envs))
    reward = build({"in_key": weight, "prior": {"weight": 1.0, "checkpoint": prior}})
    model = algorithms.make(config, env, prior, reward)
    if comparisons is not None:
        model.lessons = model._read(comparisons)
    return model, env.env.task


def divergence(model, target, pieces):
    own = model.policy.as_prior().log_prob(pieces).sum(axis=(1, 2), dtype=np.float64)
    return float((target * (np.log(target) - own)).sum())


@pytest.mark.parametrize("c", [1.0, 0.5])
def test_labels_of_the_reward_lead_to_the_prior_times_exp_of_the_reward(tiny_prior, c):
    model, task = model_of(tiny_prior, 1.5 * c, c=c, n_epochs=4, learning_rate=0.01)
    pieces = every_piece(task)
    target = optimum(tiny_prior, {"in_key": 1.5}, pieces)
    before = divergence(model, target, pieces)
    model.learn(12 * 1000 * task.cells)
    assert before > 0.1
    assert divergence(model, target, pieces) < 0.2 * before


def compared(prior, task, worth, n, seed=0):
    """Return comparisons of pieces of a small task by somebody to whom each is worth something."""
    pieces, rng = every_piece(task), np.random.default_rng(seed)
    shares = np.exp(prior.log_prob(pieces).sum(axis=(1, 2), dtype=np.float64))
    pairs = rng.choice(pieces.batch, (n, 2), p=shares / shares.sum())
    margin = worth(pieces)[pairs] @ [1.0, -1.0]
    liked = np.where(rng.random(n) < 1 / (1 + np.exp(-margin)), "left", "right")
    return Comparisons(pieces.take(pairs[:, 0]), pieces.take(pairs[:, 1]), tuple(liked.tolist()))


def test_comparisons_lead_to_the_prior_times_exp_of_the_worth(tiny_prior):
    def worth(pieces):
        return build("in_key")(pieces).sum(axis=(1, 2)) * 1.5

    task = model_of(tiny_prior, 1.0)[1]
    known = compared(tiny_prior, task, worth, 4000)
    # the reward says the opposite, and is not asked
    model, _ = model_of(tiny_prior, -1.0, known, n_epochs=1, learning_rate=0.01)
    pieces = every_piece(task)
    target = optimum(tiny_prior, {"in_key": 1.5}, pieces)
    before = divergence(model, target, pieces)
    model.learn(8 * 1000 * task.cells)
    assert divergence(model, target, pieces) < 0.35 * before


def written(path, task, n, liked="left"):
    score = random_pieces(task, 2 * n, seed=1)
    lines = [
        written_comparison(score[2 * i : 2 * i + 1], score[2 * i + 1 : 2 * i + 2], liked)
        for i in range(n)
    ]
    path.write_text(heading(task) + "".join(lines))
    return path


def test_a_run_learns_from_a_file_and_starts_from_no_kl(tiny_checkpoint, tmp_path):
    base = tiny(tiny_checkpoint, tmp_path, algo="dpo", samples=0)
    file = written(tmp_path / "mine.jsonl", base.task, 6)
    run = trained(base.changed(pairs=str(file), reward=("tonic=1", "prior=1"), entropy=1.0))
    rows = run.read_metrics()
    assert rows["kl"][0] == pytest.approx(0, abs=1e-5)
    assert abs(rows["kl"][-1]) > 1e-4


def test_a_run_goes_on_with_its_comparisons_alone_and_says_what_it_does_not_learn_from(
    tiny_checkpoint, tmp_path
):
    base = tiny(tiny_checkpoint, tmp_path, algo="dpo", samples=0)
    file = written(tmp_path / "mine.jsonl", base.task, 6)
    config = base.changed(pairs=str(file), reward=("tonic=1", "prior=1"), entropy=1.0)
    run = trained(config)
    job = prepare(config, Listener())
    assert run.changed(job.prior_file, job.reward) == []
    (told,) = algorithms.notes(config, 1)
    assert "tonic" in told
    assert "prior" not in told
    assert not algorithms.notes(config.changed(pairs=""), 1)
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match="--pairs"):
        run.check_provenance(job.prior_file, job.reward)


def test_a_tie_agrees_with_nobody():
    logit, chances = torch.tensor([2.0, -1.0, 3.0, -3.0]), torch.tensor([1.0, 0.0, 0.5, 1.0])
    assert agreeing(logit, chances).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"entropy": 0.0}, "entropy"),
        ({"gamma": 0.9}, "gamma"),
        ({"vary": ("bars=1|2",), "pairs": "mine.jsonl"}, "--vary"),
    ],
)
def test_settings_that_it_cannot_follow(changes, told):
    config = TrainConfig(entropy_end=-1.0).changed(algo="dpo", **changes)
    with pytest.raises(ValueError, match=told):
        algorithms.check_settings(config)


def test_files_that_it_cannot_learn_from(tiny_checkpoint, tmp_path):
    base = tiny(tiny_checkpoint, tmp_path, algo="dpo", samples=0)
    with pytest.raises(RefusedError, match="no file"):
        trained(base.changed(pairs=str(tmp_path / "none.jsonl")))
    file = written(tmp_path / "mine.jsonl", replace(base.task, bars=4), 3)
    with pytest.raises(RefusedError, match="another task"):
        trained(base.changed(pairs=str(file)))
    file = written(tmp_path / "other.jsonl", base.task, 3, liked="neither")
    with pytest.raises(ValueError, match="no comparison says left"):
        trained(base.changed(pairs=str(file)))


def test_a_piece_that_the_task_does_not_allow_is_refused():
    narrow = Task(bars=1, low="C4", high="E4")
    above = np.full((1, 1, narrow.cells), narrow.codec.vocab - 1)
    with pytest.raises(ValueError, match="does not allow"):
        observed(Score(above, narrow))


def test_line_of_the_file_is_json(tmp_path):
    file = written(tmp_path / "mine.jsonl", Task(bars=1), 2)
    assert all(json.loads(line) for line in file.read_text().splitlines())
