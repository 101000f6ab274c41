from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.music.codec import HOLD, Codec
from pretrained.corpora.folk import load_corpus
from pretrained.diffusion.corruption import batches_of, draw_masked, whole_bars
from pretrained.diffusion.denoising import DiffusionSettings, fit, held_out, measure
from pretrained.training.lessons import lesson, regular
from pretrained.trainings import TRAININGS
from tests.pretrained.diffusion.tiny import SIZES, places, tiny_net

TUNES = load_corpus().select("valid")[:24]


def test_masks_hide_cells_of_every_kind():
    rng = np.random.default_rng(0)
    place = places(64, 8).expand(4000, -1, -1)
    masked = draw_masked(place, rng)
    assert masked.any(dim=1).all()
    share = masked.float().mean(dim=1)
    assert 0.03 < (share == 1).float().mean() < 0.2  # nothing is known
    by_bar = masked.unflatten(1, (8, 8)).float().mean(dim=2)
    whole = ((by_bar == 0) | (by_bar == 1)).all(dim=1) & (share < 1)
    assert 0.08 < whole.float().mean() < 0.35  # whole bars are hidden, others known
    behind = (masked.int().diff(dim=1) >= 0).all(dim=1) & (share < 1)
    assert 0.1 < behind.float().mean() < 0.4  # all behind a cell


def test_whole_bars_end_with_a_held_note():
    tune = next(t for t in TUNES if regular(t))
    tune = replace(tune, tokens=tune.tokens[:-3], position=tune.position[:-3])
    shown = whole_bars(lesson(tune), tune.bar_cells)
    assert len(shown.tokens) % tune.bar_cells == 0 == (len(shown.place) - len(shown.tokens))
    assert (shown.tokens[len(tune.tokens) :] == HOLD).all()
    assert (np.diff(shown.place[:, 0]) % tune.bar_cells == 1).all()


def test_pieces_of_a_batch_have_one_length_and_every_tune_is_shown():
    shown = list(batches_of(TUNES, Codec(), 512, np.random.default_rng(0)))
    assert sum(len(tokens) for tokens, _ in shown) == len(TUNES)
    assert all(tokens.shape == place.shape[:2] for tokens, place in shown)


def test_a_training_learns_and_its_model_is_the_same_by_seed():
    settings = DiffusionSettings(
        **SIZES, epochs=3, learning_rate=1e-2, batch_tokens=512, average=0.5
    )
    told = []
    models = [fit(settings, TUNES, TUNES, Codec(), told.append) for _ in range(2)]
    assert [progress.done for progress in told] == [1, 2, 3, 1, 2, 3]
    for one, two in zip(*(m.net.state_dict().values() for m in models), strict=True):
        assert torch.equal(one, two)
    untrained = held_out(tiny_net(38), TUNES, Codec())[0]
    figures = measure(models[0], TUNES)
    assert figures["nats per masked token"] < min(untrained, np.log(38))
    assert not models[0].net.training


def test_the_training_is_known_by_its_name():
    assert TRAININGS["diffusion"].settings is DiffusionSettings


@pytest.mark.parametrize("setting", [{"epochs": 0}, {"dropout": 1.0}, {"optimizer": "sgd"}])
def test_settings_out_of_bounds_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        DiffusionSettings(**setting)
