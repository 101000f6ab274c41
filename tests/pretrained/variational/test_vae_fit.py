"""A short training, its settings and its figures."""

import numpy as np
import pytest
import torch

from envs.music.codec import Codec
from pretrained import checkpoint
from pretrained.corpora.folk import FOLK2, load_corpus
from pretrained.trainings import TRAININGS
from pretrained.variational.vae_fit import begin_with, fit_vae
from pretrained.variational.vae_judging import midpoint_figures, on_the_sphere, task_of, whole
from pretrained.variational.vae_measure import measure_vae, repeated
from pretrained.variational.vae_settings import VaeSettings
from pretrained.variational.windows import windows_of
from tests.pretrained.variational.small import SIZES, small_vae

SHORT = {**SIZES, "epochs": 2, "batch_cells": 1024, "z": 6, "beta": 0.01, "average": 0.5}


@pytest.fixture(scope="module")
def tunes():
    return load_corpus(FOLK2).select("valid")[:24]


def fitted(tunes, **changes):
    told = []
    model = fit_vae(VaeSettings(**SHORT | changes), tunes, tunes[:6], Codec(), told.append)
    return model, told


def nats(words):
    return float(str(words).partition(" nats")[0].rpartition(" ")[2])


def test_it_learns_and_measures(tunes):
    model, told = fitted(tunes, epochs=6, learning_rate=0.01)
    assert [progress.done for progress in told] == [1, 2, 3, 4, 5, 6]
    assert nats(told[-1]) < 0.8 * nats(told[0])
    figures = measure_vae(model, tunes)
    assert 0 < figures["onsets"] < figures["tokens"] < 1
    assert 0 <= figures["in order"] <= 1
    again, _ = fitted(tunes, epochs=6, learning_rate=0.01)
    weights = again.net.state_dict()
    assert all(torch.equal(w, weights[name]) for name, w in model.net.state_dict().items())


def test_eight_bars_begin_with_the_parts_of_two(tunes, tmp_path):
    small = small_vae(2)
    checkpoint.save(tmp_path / "small.safetensors", small)
    start = str(tmp_path / "small.safetensors")
    model, _ = fitted(tunes, bars=8, start=start, epochs=1, learning_rate=1e-12)
    theirs, own = small.net.reader.weight_hh_l0, model.net.reader.weight_hh_l0
    assert torch.allclose(theirs, own, atol=1e-4)
    assert model.bars == 8
    figures = measure_vae(model, load_corpus(FOLK2).select("valid")[:40])
    assert figures["repeats of tunes"] > 0
    with pytest.raises(ValueError, match="sizes"):
        begin_with(small_vae(8).net.__class__(VaeSettings(bars=8).shape_for(38)), start)


def test_a_collapse_is_told(tunes):
    _, told = fitted(tunes, beta=100.0, beta_first=100.0, epochs=4, learning_rate=0.02)
    assert "collapsed" in str(told[-1])


def test_mmd_and_free_bits_change_the_training(tunes):
    plain, _ = fitted(tunes, epochs=1)
    for changes in ({"mmd": 10.0}, {"free_bits": 50.0}):
        other, _ = fitted(tunes, epochs=1, **changes)
        assert not torch.equal(plain.net.point.weight, other.net.point.weight)


def test_the_rate_comes_down_from_above():
    settings = VaeSettings(beta=0.2, beta_first=0.002, rising=0.8)
    betas = [settings.beta_at(share) for share in (0.0, 0.4, 0.8, 1.0)]
    assert betas == pytest.approx([0.002, 0.02, 0.2, 0.2])
    assert VaeSettings(beta=0.0).beta_at(0.5) == 0


def test_tunes_without_enough_bars_are_refused(tunes):
    short = [t for t in tunes if (t.bar_cells, t.beat_cells) == (18, 6)] or tunes[:1]
    with pytest.raises(ValueError, match="bars"):
        fitted([t for t in short if t.bar_cells == 18])


@pytest.mark.parametrize(
    ("how", "word"), [({"bars": 3}, "bars"), ({"beta": -1.0}, "beta"), ({"z": 5000}, "z")]
)
def test_settings_that_cannot_be_are_refused(how, word):
    with pytest.raises(ValueError, match=word):
        VaeSettings(**how)


def test_repeats_by_hand():
    bars = np.array([[[5, 1], [7, 1], [5, 1], [8, 1], [5, 1], [1, 1]]]).reshape(1, 12)
    assert repeated(bars, 2) == pytest.approx(2 / 4)
    assert repeated(np.ones((1, 12), int), 2) == 0


def test_the_training_is_known_by_its_name():
    assert TRAININGS["vae"].settings is VaeSettings


def test_midpoints_are_judged(tunes):
    model, judge = small_vae(2), Uniform()
    (windows,) = windows_of(tunes, 2, [(16, 8)], pickups=False)
    figures = midpoint_figures(model, windows, judge)
    assert figures["midpoint"] == figures["splice"] == figures["ends"] == pytest.approx(2)
    assert figures["cheaper"] == 0
    assert task_of(model, windows).bar_cells == 16


class Uniform:
    """Every token costs two nats."""

    def log_prob(self, score):
        assert score.finished
        return np.full(score.tokens.shape, -2.0)


def test_great_circles_keep_lengths():
    one, two = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert torch.allclose(on_the_sphere(one, two, 0.5), torch.full((1, 2), 2**0.5))
    assert torch.allclose(on_the_sphere(one, two, 0.0), one, atol=1e-5)
    assert whole(np.array([[1, 0, 1, 5, 1]])).tolist() == [[0, 0, 0, 5, 1]]
