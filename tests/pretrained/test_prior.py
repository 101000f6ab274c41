"""The shipped prior: figures, agreement of its two ways to be asked, grammar, hostile files."""

import json
import struct
from dataclasses import asdict

import numpy as np
import pytest
import torch

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint, load
from pretrained.corpora.folk import load_corpus
from pretrained.networks.per_voice import PerVoice
from pretrained.networks.recurrent import NetShape, RecurrentNet, RecurrentPrior
from pretrained.ngrams.model import NGram
from pretrained.prior import Prior, Scorer, Trainable, sample
from pretrained.train import train_prior
from pretrained.training.fit import HeldOut, PriorConfig, baseline, held_out
from rewards.likelihood import Likelihood
from tests.helpers import nats_by_steps, random_pieces


@pytest.fixture(scope="module")
def folk():
    return load("folk")


def test_held_out_figure_is_the_card_s(folk):
    corpus = load_corpus()
    figures = held_out(folk.net, corpus.select("test"), folk.codec)
    recorded = checkpoint.notes("folk")["held_out"]
    assert figures.nats_per_token == pytest.approx(recorded["LSTM"]["nats_per_token"], abs=1e-4)
    assert figures.accuracy == pytest.approx(recorded["LSTM"]["accuracy"], abs=1e-3)
    assert figures.nats_per_token < 0.93
    best = min(row["nats_per_token"] for name, row in recorded.items() if name != "LSTM")
    assert figures.nats_per_token < best - 0.25


def test_a_baseline_of_the_card_is_found_again(folk):
    corpus = load_corpus()
    trigram = baseline(3, corpus.select("train"), corpus.select("test"), folk.codec)
    recorded = checkpoint.notes("folk")["held_out"]["3-gram"]
    assert trigram.nats_per_token == pytest.approx(recorded["nats_per_token"], abs=1e-9)


def test_checkpoint_is_small():
    assert checkpoint.locate("folk").stat().st_size <= 2_000_000


@pytest.mark.parametrize("task", [Task(bars=6), Task(meter="6/8", bars=4, low="G3", high="G5")])
def test_steps_and_teacher_forcing_agree(folk, task):
    score = random_pieces(task, 12, seed=3)
    whole = folk.log_prob(score)
    for cell, logits in enumerate(nats_by_steps(folk, score)):
        token = torch.from_numpy(score.tokens[:, 0, cell].astype(np.int64))
        nats = logits.log_softmax(1).gather(1, token[:, None])[:, 0].numpy()
        np.testing.assert_allclose(nats, whole[:, 0, cell], atol=1e-5)


def test_likelihood_by_steps_is_the_likelihood_of_the_whole(folk):
    reward = Likelihood(checkpoint=folk, floor=-4.0)
    score = random_pieces(Task(), 8, seed=1)
    page, steps = Score.page(score.task, 8), []
    for cell in range(32):
        page = page.write(score.tokens[:, 0, cell])
        steps.append(reward(page.newest)[:, 0, 0])
    np.testing.assert_allclose(np.stack(steps, 1), reward(score)[:, 0], atol=1e-5)
    assert reward(score).min() == -4.0


def test_probabilities_are_probabilities_and_keep_the_grammar(folk):
    task = Task(low="C4", high="C5")
    probabilities = folk.log_probs(random_pieces(task, 5, seed=2)).exp()
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(5, 32))
    assert probabilities[:, 0, 1].max() == 0  # no hold before a first note
    assert probabilities[..., 2:14].max() == 0  # nothing under C4
    assert probabilities[..., 27:].max() == 0


def test_a_piece_is_as_likely_alone_as_in_a_batch(folk):
    score = random_pieces(Task(), 700, seed=5)  # more than one portion
    together = folk.log_prob(score)
    for row in (0, 300, 699):
        np.testing.assert_allclose(folk.log_prob(score[row : row + 1])[0], together[row], atol=1e-5)


def test_voices_are_scored_one_by_one(folk):
    task = Task(voices=2)
    score = random_pieces(task, 4, seed=6)
    for voice in range(2):
        alone = Score(score.tokens[:, voice : voice + 1], Task())
        np.testing.assert_allclose(
            folk.log_prob(score)[:, voice], folk.log_prob(alone)[:, 0], atol=1e-5
        )


def test_samples_repeat_with_a_seed_keep_given_cells_and_are_music(folk):
    given = ((-1,) * 16 + (14, 1, 1, 1) + (-1,) * 12,)
    task = Task(given=given)
    first, again, other = (sample(folk, Score.page(task, 200), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.tokens, again.tokens)
    assert (first.tokens != other.tokens).any()
    assert (first.tokens[:, 0, 16:20] == [14, 1, 1, 1]).all()
    free = sample(folk, Score.page(Task(), 200), 3)
    assert (~free.in_scale).mean() < 0.02  # it was trained on C major and A minor
    assert 0.2 < free.onset.mean() < 0.7
    assert -1.0 < folk.log_prob(free).mean() < -0.6
    with pytest.raises(ValueError, match="temperature"):
        sample(folk, Score.page(Task(), 1), 0, temperature=0.0)


def test_the_protocols_are_kept(folk):
    assert isinstance(folk, Prior)
    assert isinstance(folk, Scorer)
    assert isinstance(folk, PerVoice)
    prior: Trainable = folk
    assert isinstance(prior, Trainable)
    assert (prior.format, prior.codec, prior.shape) == (
        "recurrent/1", Codec(), asdict(folk.net.shape)
    )  # fmt: skip


def test_the_metre_is_heard(folk):
    # A bar line's cell is an onset far more often than the cell after it.
    pieces = sample(folk, Score.page(Task(meter="3/4", bars=4), 300), 0)
    onset = pieces.onset[:, 0].mean(axis=0)
    assert onset[12::12].mean() > 3 * onset[13::12].mean()


def test_an_unfinished_score_is_refused(folk):
    with pytest.raises(ValueError, match="finished"):
        folk.log_prob(Score.page(Task(), 2))


def test_another_grid_is_refused(folk):
    with pytest.raises(ValueError, match="12"):
        load("folk", Task(grid=12))
    with pytest.raises(ValueError, match="grid=4"):
        folk.start(Task(grid=6), 1)


@pytest.mark.parametrize(
    "key", ["G major", "E minor", "F# dorian", "Bb blues", "Db harmonic minor"]
)
def test_a_piece_in_another_key_is_as_likely_as_in_c(folk, key):
    there = Task(key=key, meter="3/4", low="D4", high="G5")
    home = {"major": "C", "minor": "A", "dorian": "D"}[there.key.written_mode]
    by = there.key.pitch_class - Task(key=f"{home} {there.key.mode}").key.pitch_class
    by = by + 12 if by < -6 else by - 12 if by > 6 else by
    here = Task(key=f"{home} {there.key.mode}", meter="3/4", low=62 - by, high=79 - by)
    pieces = sample(folk, Score.page(here, 20), seed=3)
    moved = np.where(pieces.tokens >= 2, pieces.tokens + by, pieces.tokens)
    likely = folk.log_prob(Score(moved, there))
    np.testing.assert_allclose(likely, folk.log_prob(pieces), atol=1e-4)


def test_pitches_beyond_the_vocabulary_are_read_an_octave_nearer_and_never_written(folk):
    high = Task(low="C4", high="C7", bars=1)
    drawn = sample(folk, Score.page(high, 200), seed=1)
    assert drawn.pitch.max() <= 95  # moved down an octave, B6 is the highest
    given = np.full((1, 1, 16), 1)
    given[0, 0, 0] = high.codec.token(96)
    nats = folk.log_prob(Score(given, high))
    assert nats[0, 0, 0] < -1e8
    assert (nats[0, 0, 1:] > -20).all()
    codec = Codec(60, 71)
    assert codec.tokens_of(Codec(57, 86), 0).tolist() == [
        *(0, 1, -12, -13, -14, *range(2, 14), *range(-3, -15, -1), -3, -4, -5)
    ]


def header_of(text):
    data = json.dumps({"__metadata__": {checkpoint.HEADER: json.dumps(text)}}).encode()
    return struct.pack("<Q", len(data)) + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint",
        header_of({"format": "else"}),
        header_of(["format"]),
        header_of({"format": RecurrentPrior.format, "shape": {}, "codec": {"low": "C3"}}),
        header_of({"format": RecurrentPrior.format, "shape": [], "codec": {}}),
        header_of({"format": RecurrentPrior.format}),
        header_of({"format": RecurrentPrior.format, "shape": {"hidden": 10000000}}),
        struct.pack("<Q", 2**60),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, content):
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="x.safetensors"):
        load(file)


def test_a_truncated_checkpoint_and_a_missing_one(tmp_path):
    whole = checkpoint.locate("folk").read_bytes()
    file = tmp_path / "cut.safetensors"
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="truncated"):
        load(file)
    with pytest.raises(FileNotFoundError, match="folk"):
        load("flok")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    net = RecurrentNet(NetShape(hidden=4, embed=4))
    net.head.bias.data[3] = float("nan")
    checkpoint.save(tmp_path / "x.safetensors", net, Codec())
    with pytest.raises(ValueError, match="finite"):
        load(tmp_path / "x.safetensors")


def test_a_checkpoint_survives_saving(tmp_path):
    torch.manual_seed(0)
    prior = RecurrentPrior(RecurrentNet(NetShape(hidden=8, embed=4, layers=2)), Codec())
    checkpoint.save(tmp_path / "x.safetensors", prior.net, prior.codec, {"a": 1})
    again = load(tmp_path / "x.safetensors")
    score = random_pieces(Task(), 3)
    np.testing.assert_array_equal(prior.log_prob(score), again.log_prob(score))
    assert checkpoint.notes(tmp_path / "x.safetensors") == {"a": 1}
    assert not list(tmp_path.glob("*.part"))
    checkpoint.save(tmp_path / "y.safetensors", prior.net, prior.codec, {"a": 1})
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()


def test_n_gram_against_a_count_by_hand():
    # After 0 came 1 twice and 2 once: Witten-Bell gives (count + kinds * shorter) / (3 + 2).
    model = NGram.of(2, 3, [[0, 1, 0, 1, 0, 2]])
    unigram = (np.array([3, 2, 1]) + 3 * (1 / 3)) / (6 + 3)
    nats = model.log_prob(np.array([[2, each] for each in range(3)]))[:, 1]  # 2 only ends a piece
    np.testing.assert_allclose(nats, np.log(unigram))
    expected = (np.array([0, 2, 1]) + 2 * unigram) / (3 + 2)
    nats = model.log_prob(np.array([[0, each] for each in range(3)]))[:, 1]
    np.testing.assert_allclose(nats, np.log(expected))
    assert np.exp(nats).sum() == pytest.approx(1)
    assert model.best(np.array([[0, 0, 2, 1]])).tolist() == [[0, 1, 1, 0]]


def test_held_out_figures_from_numbers():
    nats = np.array([1.0, 3.0, 2.0, 2.0])
    right = np.array([True, False, True, True])
    onset = np.array([True, True, False, False])
    figures = HeldOut.of(nats, right, onset, np.array([1, 1, 2, 9]))
    by_bar = {"1": 2.0, "2": 2.0, "9-12": 2.0}
    assert figures == HeldOut(2.0, pytest.approx(8 / np.log(2) / 2), 0.75, 0.5, by_bar)


def test_training_writes_a_prior_that_beats_chance(tmp_path, monkeypatch, capsys):
    corpus = load_corpus()
    small = {"train": corpus.select("train")[:40], "valid": [], "test": []}
    small["valid"] = small["test"] = corpus.select("test")[:6]

    class Small:
        select = staticmethod(small.__getitem__)

    monkeypatch.setattr("pretrained.corpora.datasets.load_corpus", Small)
    out = tmp_path / "tiny.safetensors"
    config = PriorConfig(out=out, epochs=3, hidden=16, embed=8, average=0.5, threads=1, bf16=False)
    notes = train_prior(config)
    assert notes["held_out"]["lstm"]["nats_per_token"] < np.log(38)
    assert load(out).net.shape.hidden == 16
    assert "7-gram" in capsys.readouterr().out
    with pytest.raises(ValueError, match="exists"):
        train_prior(config)
