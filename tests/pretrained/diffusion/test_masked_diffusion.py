import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.music.codec import FIRST_PITCH, HOLD, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.diffusion import masked_diffusion
from pretrained.diffusion.masked_diffusion import MaskedDiffusion
from pretrained.diffusion.unmasking import Way, schedule
from pretrained.infiller_check import check_infiller
from pretrained.prior import Scorer
from tests.pretrained.diffusion.tiny import tiny_model, tiny_net

TASK = Task(bars=1, meter="1/4", low=60, high=61)
PAGE = Score.page(TASK, 1)
TOKENS = (0, 1, TASK.codec.token(60), TASK.codec.token(61))


def every_piece(task=TASK):
    lines = [
        line
        for line in itertools.product(TOKENS, repeat=TASK.cells)
        if all(
            token != HOLD or max(line[:at], default=0) >= FIRST_PITCH
            for at, token in enumerate(line)
        )
    ]
    return Score(np.array(lines)[:, None], task)


def test_it_keeps_the_protocol_of_infillers():
    check_infiller(tiny_model())
    check_infiller(tiny_model(mix=4))


def test_it_is_a_scorer():
    assert isinstance(tiny_model(), Scorer)


@pytest.mark.parametrize("way", [Way(), Way(calls=2), Way(calls=1), Way(order="forward")])
def test_likelihoods_of_all_pieces_add_up_to_1(way):
    model, pieces = tiny_model(), every_piece()
    model.judging = way
    for seed in range(3):
        model.seed = seed
        nats = model.log_prob(pieces).astype(float).sum(axis=(1, 2))
        assert np.exp(nats).sum() == pytest.approx(1, abs=1e-4)


def test_the_bound_is_below_the_likelihood_of_a_random_order_and_equal_in_one_order():
    model, pieces = tiny_model(), every_piece()
    cells = np.arange(TASK.cells)
    orders = list(itertools.permutations(range(TASK.cells)))
    each = np.array(
        [model.nats_in(pieces, cells[list(order)][:, None]).sum(axis=(1, 2)) for order in orders],
        float,
    )
    exact = np.log(np.exp(each).mean(axis=0))  # of filling in an order drawn at random
    model.judging, model.orders = Way(), 2000
    assert (each.mean(axis=0) <= exact + 1e-6).all()
    few = pieces.take([5, 50, 90])
    bound = model.log_prob(few).sum(axis=(1, 2))
    np.testing.assert_allclose(bound, each.mean(axis=0)[[5, 50, 90]], atol=0.05)


def test_pieces_are_drawn_as_often_as_they_are_likely():
    model, pieces = tiny_model(), every_piece()
    way = Way(order="forward")
    model.judging = way
    chance = np.exp(model.log_prob(pieces).astype(float).sum(axis=(1, 2)))
    drawn = model.fill(PAGE, 6000, seed=5, way=way).tokens
    counts = (drawn[:, None, 0] == pieces.tokens[None, :, 0]).all(axis=2).sum(axis=0)
    assert counts.sum() == 6000
    error = (counts - 6000 * chance) / np.sqrt(6000 * chance + 1)
    assert np.abs(error).max() < 5


def test_filling_again_leaves_cells_as_likely_as_they_are():
    model = tiny_model(seed=3)
    drawn = model.fill(PAGE, 4000, seed=2, way=Way(order="forward")).tokens
    again = model.fill(PAGE, 4000, seed=4, way=Way(calls=12, remask=0.6, order="forward")).tokens
    for cell in range(TASK.cells):
        shares = [[(t[..., cell] == token).mean() for token in TOKENS] for t in (drawn, again)]
        np.testing.assert_allclose(*shares, atol=0.06)


def test_the_first_pieces_do_not_depend_on_their_number():
    model, page = tiny_model(), Score.page(Task(bars=2, meter="3/4"), 1)
    few, many = (model.fill(page, n, seed=7).tokens for n in (3, 8))
    assert (few == many[:3]).all()


def test_nats_do_not_depend_on_the_batch_and_are_the_same_each_time():
    model, pieces = tiny_model(), every_piece()
    whole = model.log_prob(pieces)
    parts = np.concatenate([model.log_prob(part) for part in pieces.chunks(7)])
    np.testing.assert_allclose(whole, parts, atol=1e-5)
    assert (whole == model.log_prob(pieces)).all()


def test_pieces_do_not_depend_on_how_many_are_read_together(monkeypatch):
    model, page, pieces = tiny_model(), Score.page(Task(bars=1), 1), every_piece()
    tokens, nats = model.fill(page, 5, 2).tokens, model.log_prob(pieces)
    monkeypatch.setattr(masked_diffusion, "TOGETHER", 2 * page.task.steps)
    assert (model.fill(page, 5, 2).tokens == tokens).all()
    np.testing.assert_allclose(model.log_prob(pieces), nats, atol=1e-5)


def test_given_cells_cost_nothing_and_the_others_are_told_of_them():
    model, free = tiny_model(), every_piece()
    given = replace(TASK, given=((TOKENS[2], -1, -1, TOKENS[3]),))
    pieces = [t for t in free.tokens if t[0, 0] == TOKENS[2] and t[0, 3] == TOKENS[3]]
    nats = model.log_prob(Score(np.array(pieces), given))
    assert (nats[..., [0, 3]] == 0).all()
    assert np.exp(nats.astype(float).sum(axis=(1, 2))).sum() == pytest.approx(1, abs=1e-4)


def test_a_lower_temperature_draws_likelier_pieces():
    model, page = tiny_model(), Score.page(Task(bars=2), 1)
    warm, cool = (model.fill(page, 32, 1, t) for t in (1.0, 0.3))
    assert model.log_prob(cool).mean() > model.log_prob(warm).mean()


def test_keys_are_read_as_the_key_signature_of_c():
    model = tiny_model(Codec(40, 100))
    low = Task(bars=1, key="C major", low=60, high=72)
    high = Task(bars=1, key="D major", low=62, high=74)
    line = np.array([[[low.codec.token(p) for p in (60, 64, 67, 72)] * 4]])
    moved = np.array([[[high.codec.token(p + 2) for p in (60, 64, 67, 72)] * 4]])
    np.testing.assert_allclose(
        model.log_prob(Score(line, low)), model.log_prob(Score(moved, high)), atol=1e-5
    )


def test_a_checkpoint_gives_the_same_pieces(tmp_path):
    model, page = tiny_model(), Score.page(Task(bars=1), 1)
    checkpoint.save(tmp_path / "a.safetensors", model)
    loaded = checkpoint.load_model(tmp_path / "a.safetensors")
    assert isinstance(loaded, MaskedDiffusion)
    assert loaded.shape == model.shape
    assert (loaded.fill(page, 3, 1).tokens == model.fill(page, 3, 1).tokens).all()
    assert checkpoint.load_scorer(tmp_path / "a.safetensors") is loaded
    with pytest.raises(ValueError, match="cell by cell"):
        checkpoint.load(tmp_path / "a.safetensors")


def test_what_it_cannot_fill_or_read_is_refused():
    model = tiny_model()
    with pytest.raises(ValueError, match="grid"):
        model.require(Task(grid=3))
    with pytest.raises(ValueError, match="grid"):
        model.fill(Score.page(Task(grid=3), 1))
    with pytest.raises(ValueError, match="finished"):
        model.log_prob(PAGE)
    with pytest.raises(ValueError, match="tokens"):
        MaskedDiffusion(tiny_net(6), Codec())
    with pytest.raises((TypeError, ValueError)):
        MaskedDiffusion.build({"vocab": 38, "hidden": "many"}, Codec())


def test_a_table_without_a_cell_costs_nothing():
    table = schedule(np.array([1, 2]), 2, "forward", np.random.default_rng(0))
    nats = tiny_model().nats_in(every_piece(), table)
    assert (nats[..., [0, 3]] == 0).all()
    assert (nats[..., [1, 2]] < 0).any()


def test_random_numbers_of_torch_are_taken():
    model = tiny_model()
    one, two = (model.fill(PAGE, 5, torch.Generator().manual_seed(s)).tokens for s in (1, 1))
    assert (one == two).all()
