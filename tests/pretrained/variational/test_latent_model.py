"""A variational autoencoder as a latent model and as one that fills pages."""

import numpy as np
import pytest
import torch

from envs.music.codec import HOLD, Codec
from envs.music.noise import HOLDS, noise
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.corpora.folk import load_corpus
from pretrained.latent import Latent
from pretrained.variational.latent_check import LatentError, check_latent
from pretrained.variational.latent_network import LatentShape, sounding_tokens
from pretrained.variational.vae_measure import reconstruction
from pretrained.variational.windows import windows_of
from tests.pretrained.variational.small import small_vae


@pytest.mark.parametrize(
    ("bars", "how"),
    [
        (2, {}),
        (4, {"meter": "6/8", "key": "A minor"}),
        (8, {"meter": "2/4", "key": "Eb major", "pickup": 2}),
        (2, {"low": 36, "high": 90, "key": "F# minor"}),
    ],
)
def test_it_keeps_the_protocol(bars, how):
    model = small_vae(bars)
    assert isinstance(model, Latent)
    check_latent(model, Task(bars=bars, **how))


def test_what_it_writes_is_what_it_would_have_read():
    """Cell by cell it gives the logits of whole pieces: both ways are one network."""
    for bars, bar in ((2, 16), (8, 12)):
        net = small_vae(bars).net
        tokens = torch.tensor(
            noise(Task(bars=bars, meter="4/4" if bar == 16 else "3/4"), 1, 3, HOLDS).tokens[:, 0]
        ).long()
        place = torch.zeros(1, bars * bar, 6, dtype=torch.long)
        place[..., 0], place[..., 1] = torch.arange(bars * bar) % bar, bar
        z, walked = torch.randn(3, net.shape.n_latent), []

        def choose(logits, before, tokens=tokens, walked=walked):
            walked.append(logits)
            return tokens[:, before.shape[1]]

        whole = net(tokens, place, z)
        assert (net.write(z, place, choose) == tokens).all()
        assert torch.allclose(torch.stack(walked, 1), whole, atol=1e-5)


def test_later_bars_hear_earlier_ones_and_no_cell_hears_itself():
    net = small_vae(8).net
    tokens = torch.randint(2, 38, (2, 128))
    place = torch.zeros(1, 128, 6, dtype=torch.long)
    place[..., 1] = 16
    z = torch.randn(2, net.shape.n_latent)
    for cell in (5, 64, 80):
        other = tokens.clone()
        other[:, cell] = (tokens[:, cell] - 1) % 36 + 2
        gap = (net(tokens, place, z) - net(other, place, z)).abs().amax((0, 2))
        assert gap[: cell + 1].max() == 0
        assert gap[cell + 1] > 0
        assert gap[-1] > 0
        assert cell + 64 >= 128 or gap[cell + 64] > 0  # what stood four bars ago


def test_sounding_tokens_against_a_loop():
    tokens = torch.randint(0, 5, (6, 20))
    for line, found in zip(tokens.tolist(), sounding_tokens(tokens).tolist(), strict=True):
        now = line[0]
        for token, sounds in zip(line, found, strict=True):
            now = now if token == HOLD else token
            assert sounds == now


def test_keys_make_no_difference():
    """A piece in C and the same a tone higher in D have one point, and its pieces are moved."""
    model = small_vae(2)
    low = {"low": 55, "high": 76}
    here = Task(bars=2, **low)
    there = Task(bars=2, key="D major", low=57, high=78)
    tokens = noise(here, 3, 4, HOLDS).tokens
    moved = np.where(tokens > HOLD, tokens + 2, tokens)
    z = model.encode(Score(tokens, here))
    assert torch.allclose(z, model.encode(Score(moved, there)), atol=1e-5)
    plain = model.decode(z, Score.page(here, 1), temperature=0.0).tokens
    other = model.decode(z, Score.page(there, 1), temperature=0.0).tokens
    assert (np.where(plain > HOLD, plain + 2, plain) == other).all()


def test_a_file_gives_the_same_model(tmp_path):
    model = small_vae(8)
    checkpoint.save(tmp_path / "mine.safetensors", model)
    again = checkpoint.load_model(tmp_path / "mine.safetensors")
    pieces = noise(Task(bars=8), 1, 3, HOLDS)
    assert torch.equal(model.encode(pieces), again.encode(pieces))
    with pytest.raises(ValueError, match="vae"):
        checkpoint.load(tmp_path / "mine.safetensors")


def test_it_fills_pages_at_random_points():
    model, page = small_vae(2), Score.page(Task(bars=2), 1)
    first = model.fill(page, 3, 5)
    assert first.batch == 3
    assert (first.tokens == model.fill(page, 3, 5).tokens).all()
    assert (first.tokens != model.fill(page, 3, 6).tokens).any()
    for wrong in ({"n": 0}, {"n": True}, {"temperature": 0.0}):
        with pytest.raises(ValueError, match="expected"):
            model.fill(page, **wrong)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"bars": 8}, "theme.abc:1-2"),
        ({"bars": 2, "meter": "9/8"}, "9/8"),
        ({"bars": 2, "grid": 2}, "grid=4"),
        ({"bars": 2, "voices": 2}, "one voice"),
    ],
)
def test_tasks_that_it_does_not_hold_are_refused(how, word):
    with pytest.raises(ValueError, match=word):
        small_vae(2).require(Task(**how))


def test_points_of_another_model_are_refused():
    z = small_vae(2).encode(noise(Task(bars=2), 1, 2, HOLDS))
    with pytest.raises(ValueError, match="another model"):
        small_vae(2, z=7).decode(z, Score.page(Task(bars=2), 1))


@pytest.mark.parametrize(
    ("shape", "word"),
    [
        ({"bars": 3}, "bars"),
        ({"hidden": 0}, "hidden"),
        ({"hidden": True}, "hidden"),
        ({"code": 5}, "code"),
        ({"plan": 1}, "plan"),
        ({"metres": []}, "metres"),
        ({"metres": ["7/4"]}, "7/4"),
        ({"metres": ["soon"]}, "soon"),
    ],
)
def test_shapes_that_cannot_be_are_refused(shape, word):
    with pytest.raises(ValueError, match=word):
        LatentShape(**shape)
    with pytest.raises(ValueError, match="tokens"):
        type(small_vae())(small_vae().net, Codec(36, 90))


def test_the_model_that_ships_knows_held_out_tunes():
    model = checkpoint.load_model("vae-2")
    check_latent(model, Task(bars=2, key="D minor", meter="3/4"))
    windows = windows_of(load_corpus().select("test"), 2, [(16, 8)], hop=4, pickups=False)
    figures = reconstruction(model, windows)
    assert figures["onsets"] > 0.85
    assert 32 <= figures["rate"] <= 42
    assert figures["units"] >= 28


class Broken:
    """A model that breaks a promise."""

    def __init__(self, **parts):
        self.inner = small_vae(2)
        self.codec, self.n_latent, self.require = Codec(), 6, self.inner.require
        self.encode, self.decode = self.inner.encode, self.inner.decode
        vars(self).update(parts)


def noisy(score):
    noise = np.random.default_rng().normal(size=(score.batch, 6))
    return small_vae(2).encode(score) + torch.from_numpy(noise).float()


def together(score):
    z = small_vae(2).encode(score)
    return z - z.mean(0)


def careless(z, page, seed=0, temperature=1.0):
    return small_vae(2).decode(z[:, :6].nan_to_num(), page.take([0]), seed, abs(temperature))


def never_greedy(z, page, seed=0, temperature=1.0):
    return small_vae(2).decode(z, page, seed, temperature or 1.0)


def forgetful(z, page, seed=0, temperature=1.0):
    return small_vae(2).decode(z, Score.page(Task(bars=2), 1), seed, temperature)


def random_seed(z, page, seed=0, temperature=1.0):
    return small_vae(2).decode(z, page, int(np.random.default_rng().integers(9**9)), temperature)


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ({"codec": None}, "codec"),
        ({"n_latent": 7}, "n_latent"),
        ({"encode": noisy}, "eval"),
        ({"encode": together}, "batch"),
        ({"decode": careless}, "accepted"),
        ({"decode": never_greedy}, "likeliest"),
        ({"decode": forgetful}, "given"),
        ({"decode": random_seed}, "seed"),
    ],
)
def test_broken_promises_are_named(parts, word):
    with pytest.raises(LatentError, match=word):
        check_latent(Broken(**parts), Task(bars=2))
