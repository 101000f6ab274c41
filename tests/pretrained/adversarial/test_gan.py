"""A GAN as an infiller: what is given stays, the grammar, seeds, keys, checkpoints, bad input."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.music.codec import HOLD, UNWRITTEN, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.adversarial.gan import Gan
from pretrained.infiller_check import check_infiller
from pretrained.prior import hears_ahead
from tests.helpers import random_pieces


@pytest.fixture
def gan():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Gan.build({"vocab": Codec().vocab, "hidden": 8, "noise": 4, "ripple": 2}, Codec())


def page_with(task, cells, seed=0):
    """Return a page of which some cells (T,) bool are given."""
    tokens = random_pieces(task, 1, seed).tokens[0].astype(int)
    given = np.where(cells, tokens, UNWRITTEN)
    begun = np.maximum.accumulate(given > HOLD, axis=1)
    given = np.where((given == HOLD) & ~begun, 0, given)
    return Score.page(replace(task, given=tuple(map(tuple, given.tolist()))), 1)


def test_it_is_an_infiller(gan):
    check_infiller(gan)
    check_infiller(gan, Task(key="Bb minor", meter="7/8", bars=3, low=40, high=90, pickup=2))


def test_the_first_pieces_are_the_same_for_every_number(gan, monkeypatch):
    page = page_with(Task(bars=2, meter="3/4"), np.arange(24) % 7 == 3)
    many = gan.fill(page, 9, seed=5).tokens
    assert (gan.fill(page, 3, seed=5).tokens == many[:3]).all()
    monkeypatch.setattr("pretrained.adversarial.gan.CHUNK", 50)  # two pieces at once
    assert (gan.fill(page, 9, seed=5).tokens == many).all()
    assert len(np.unique(many, axis=0)) == 9


def test_cells_that_are_given_ahead_are_read(gan):
    assert hears_ahead(gan)
    gan.net.heard.weight.data *= 30  # as if it had learned to care
    tasks = [Task(given=([UNWRITTEN] * 24 + [note, 1] * 4,)) for note in (5, 30)]
    first, second = (gan.fill(Score.page(task, 1), 20, 1).tokens[..., :24] for task in tasks)
    assert (first != second).any()


def test_a_page_in_another_key_is_written_as_in_c(gan):
    c = gan.fill(Score.page(Task(low=55, high=79), 1), 4, seed=2)
    d = gan.fill(Score.page(Task(key="D major", low=57, high=81), 1), 4, seed=2)
    onset = c.tokens > HOLD
    assert (d.tokens == c.tokens + 2 * onset).all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_that_of_the_logits(gan, temperature):
    gan.net.head.weight.data.zero_()
    gan.net.head.bias.data[:] = torch.linspace(-2, 2, 38)
    page = Score.page(Task(meter="1/16", bars=1), 1)
    drawn = gan.fill(page, 4000, seed=1, temperature=temperature).tokens.ravel()
    shares = torch.bincount(torch.from_numpy(drawn.astype(int)), minlength=38) / 4000
    logits = gan.net.head.bias / temperature
    logits[HOLD] = -torch.inf  # nothing has begun
    torch.testing.assert_close(shares, logits.softmax(0), atol=0.025, rtol=0)


def test_it_comes_back_from_its_file(gan, tmp_path):
    checkpoint.save(tmp_path / "a.safetensors", gan)
    found, page = checkpoint.load_model(tmp_path / "a.safetensors"), Score.page(Task(), 1)
    assert isinstance(found, Gan)
    assert (found.fill(page, 3, 1).tokens == gan.fill(page, 3, 1).tokens).all()
    with pytest.raises(ValueError, match="gan"):
        checkpoint.load_once(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("shape", "word"),
    [({"vocab": 37}, "37"), ({"vocab": 38, "hidden": -1}, "hidden")],
)
def test_a_shape_of_another_codec_is_refused(shape, word):
    with pytest.raises(ValueError, match=word):
        Gan.build(shape, Codec())


def test_pages_that_it_cannot_fill_are_refused(gan):
    with pytest.raises(ValueError, match="voices=1"):
        gan.fill(Score.page(Task(voices=2), 1))
    with pytest.raises(ValueError, match="grid"):
        gan.fill(Score.page(Task(grid=6), 1))
    whole = page_with(Task(bars=1), np.ones(16, bool))
    with pytest.raises(ValueError, match="0 free cells"):
        gan.fill(whole)
