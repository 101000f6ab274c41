"""The network that tells pieces apart: what it hears, that it learns, and its measures."""

import numpy as np
import pytest
import torch

from envs.music.noise import noise
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from rewards.adaptive import discriminator
from rewards.adaptive.discriminator import Discriminator, accuracy, adam, area, fit, logits_of
from rewards.adaptive.windows import real_parts

TASK = Task()


def logits(words, task=TASK, **settings):
    return logits_of(Discriminator(**settings), Score(score_from_text(words).tokens, task))


def test_it_hears_notes_relative_to_the_key():
    home = logits("C4 D4 E4 F4 G4 A4 B4 C5", Task(low="C4", high="C5"))
    there = logits("D4 E4 F#4 G4 A4 B4 C#5 D5", Task(key="D", low="D4", high="D5"))
    beside = logits("D4 E4 F#4 G4 A4 B4 C#5 D5", Task(key="C", low="D4", high="D5"))
    assert home == pytest.approx(there, abs=1e-6)
    assert home != pytest.approx(beside, abs=1e-4)


@pytest.mark.parametrize(
    "other", [Task(key="A minor"), Task(meter="2/2"), Task(phrases="A1 B1")], ids=str
)
def test_it_is_shown_key_metre_and_plan(other):
    words = "C4 D4 E4 F4 G4 A4 B4 C5"
    assert logits(words) != pytest.approx(logits(words, other), abs=1e-5)


def test_silence_and_what_sounds_on():
    begun, sounding = discriminator.kinds_of(score_from_text("C4:2 r:2 D4:28"))
    rest, hold = discriminator.RESTS, discriminator.HOLDS
    assert begun[0, 0, 1:4].tolist() == [hold, rest, hold]
    assert sounding[0, 0, 2:4].tolist() == [rest, rest]
    assert sounding[0, 0, 1] == sounding[0, 0, 0] == begun[0, 0, 0] == sounding[0, 0, 4] - 2


def test_voices_are_heard_together_whoever_sings():
    two = Task(voices=2)
    both = logits("C5:16 D5:16 ; E4:16 F4:16", two)
    assert both == pytest.approx(logits("E4:16 F4:16 ; C5:16 D5:16", two), abs=1e-6)
    for other in ("C5:16 D5:16 ; E4:16 G4:16", "C5:16 D5:16 ; F4:16 E4:16"):
        assert both != pytest.approx(logits(other, two), abs=1e-5)


def test_its_weights_have_spectral_norm_one():
    network = Discriminator()
    with torch.no_grad():
        for _ in range(50):  # power iterations
            network.train()(noise(TASK, 0, 2))
    weight = network.bars.weight.detach().flatten(1)
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=1e-2)
    free = Discriminator(spectral=False).bars.weight.detach().flatten(1)
    assert abs(torch.linalg.matrix_norm(free, 2).item() - 1) > 0.05


def test_making_one_draws_nothing_from_the_generator_of_all():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    network = Discriminator()
    real, generated = noise(TASK, 0, 8), noise(TASK, 1, 8)
    fit(network, adam(network), real, generated, np.random.default_rng(0), penalty=1.0)
    assert torch.rand(1) == expected
    assert not network.training


@pytest.mark.parametrize(("spectral", "penalty"), [(True, 0.0), (False, 1.0)])
def test_it_learns_to_tell_noise_from_tunes(spectral, penalty):
    network = Discriminator(spectral=spectral)
    optimizer, rng = adam(network), np.random.default_rng(0)
    real, generated = real_parts(TASK), noise(TASK, 0, 400)
    for _ in range(2):
        fit(network, optimizer, real[:400], generated, rng, penalty=penalty)
    found = logits_of(network, real[400:600]), logits_of(network, noise(TASK, 1, 200))
    assert accuracy(*found) > 0.95
    assert area(*found) > 0.98


def test_smoothing_keeps_it_from_being_sure():
    sure = []
    for smoothing in (0.0, 0.3):
        network = Discriminator()
        optimizer, rng = adam(network), np.random.default_rng(0)
        for _ in range(6):
            fit(network, optimizer, real_parts(TASK)[:256], noise(TASK, 0, 256), rng, smoothing)
        sure.append(logits_of(network, real_parts(TASK)[:256]).mean())
    assert sure[1] < sure[0]
    assert sure[1] < np.log(0.7 / 0.3) + 0.5


def test_the_area_is_the_chance_of_a_right_choice():
    rng = np.random.default_rng(0)
    real, generated = rng.integers(0, 5, 40) + 1, rng.integers(0, 5, 30)
    pairs = [(a > b) + (a == b) / 2 for a in real for b in generated]
    assert area(real, generated) == pytest.approx(np.mean(pairs))
    assert accuracy(np.array([1.0, 1.0, -1.0, -1.0]), np.array([-1.0])) == pytest.approx(0.75)
