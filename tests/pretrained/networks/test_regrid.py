"""A network of 16ths on coarser grids and with triplets, against what it says of 16ths itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.music.codec import HOLD, REST, UNWRITTEN, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.conformance import check_prior
from pretrained.networks import regrid as grids
from pretrained.networks.regrid import OnGrid, on_grid
from pretrained.prior import sample
from tests.helpers import random_pieces
from tests.pretrained.networks.hearing import hearing, partly_given

TRIPLET = Task(bars=2, meter="3/4", grid=12, low="C4", high="C5", pickup=12)


@pytest.mark.parametrize("grid", [1, 2])
def test_a_coarse_cell_is_the_networks_with_holds_between(tiny_prior, grid):
    task = Task(key="A minor", bars=2, meter="3/4", grid=grid, pickup=1, phrases="AB")
    fine = Task(key="A minor", bars=2, meter="3/4", pickup=4 // grid, phrases="AB")
    score = random_pieces(task, 20)
    begun = np.maximum.accumulate(score.tokens > HOLD, axis=2)
    spread = np.repeat(np.where(begun, HOLD, 0), 4 // grid, axis=2)
    spread[:, :, :: 4 // grid] = score.tokens
    theirs = tiny_prior.log_probs(Score(spread, fine))
    wanted = theirs[:, :: 4 // grid].gather(
        2, torch.from_numpy(score.tokens[:, 0, :, None] * 1).long()
    )
    found = on_grid(tiny_prior, task).log_prob(score)
    np.testing.assert_allclose(found[:, 0], wanted[..., 0], atol=1e-4)


@pytest.mark.parametrize("grid", [1, 2, 12])
def test_chances_sum_to_one_and_keep_the_grammar(tiny_prior, grid):
    task = Task(bars=1, grid=grid, low="C4", high="C5", pickup=1)
    score = random_pieces(task, 30)
    prior = on_grid(tiny_prior, task)
    prior.require(task)
    state, page = prior.start(task, 30), Score.page(task, 30)
    for cell in range(task.cells):
        logits, state = prior.step(state, page)
        np.testing.assert_allclose(logits.softmax(1).sum(1), 1, atol=1e-5)
        assert not (logits.softmax(1).numpy() * ~page.allowed()).max() > 1e-6
        np.testing.assert_allclose(logits.exp().sum(1), 1, atol=1e-4)
        page = page.write(score.tokens[:, 0, cell])


def events(logits, started):
    nothing = torch.where(started, HOLD, 0)
    return 1 - logits.softmax(1).gather(1, nothing[:, None])[:, 0]


def test_triplets_share_out_what_the_network_says(tiny_prior):
    prior = on_grid(tiny_prior, TRIPLET)
    score = sample(prior, Score.page(TRIPLET, 200), seed=1)
    tokens = torch.from_numpy(score.tokens[:, 0].astype(np.int64))
    state, page, seen = prior.start(TRIPLET, 200), Score.page(TRIPLET, 200), {}
    for cell in range(TRIPLET.cells):
        logits, state = prior.step(state, page)
        (line,) = state.inner
        place, started = cell % 12, line.started
        chance, said = events(logits, started), events(line.chance.log(), started)
        if place in (1, 2, 5, 7, 10, 11):
            assert chance.max() < 1e-6  # nothing begins off the 16ths and the thirds
        if place == 3:
            seen[3] = chance, said
            torch.testing.assert_close(chance, said * (1 - grids.AT_THIRD))
        if place == 4:  # either at 1/4 or at 1/3: together what the network says of its cell
            early, all_of_it = seen[3]
            free = tokens[:, cell - 1] == torch.where(started, HOLD, 0)
            total = early + (1 - early) * chance
            torch.testing.assert_close(total[free], all_of_it[free], atol=1e-4, rtol=1e-3)
            assert chance[~free].max() < 1e-6
        page = page.write(score.tokens[:, 0, cell])
    quarters = (tokens.reshape(200, -1, 12) > HOLD).numpy()
    thirds, halves = quarters[:, :, [4, 8]].any(axis=2), quarters[:, :, [3, 6, 9]].any(axis=2)
    assert thirds.sum() > 20
    assert halves.sum() > 100
    assert not (thirds & halves).any()


@pytest.mark.parametrize("grid", [1, 2, 12])
def test_on_another_grid_it_is_a_prior_that_keeps_the_protocol(tiny_prior, grid):
    task = Task(bars=1, meter="3/4", grid=grid, low="C4", high="C5", voices=2, phrases="A")
    check_prior(on_grid(tiny_prior, task), task)


def test_the_likelihood_is_that_of_the_steps_and_of_the_draw(tiny_prior):
    prior = on_grid(tiny_prior, TRIPLET)
    score = sample(prior, Score.page(TRIPLET, 30), seed=2)
    nats = prior.log_prob(score)
    assert (nats > -25).all()
    alone = prior.log_prob(score[3:4])
    np.testing.assert_allclose(alone[0], nats[3], atol=1e-4)
    _, state = prior.step(prior.start(TRIPLET, 30), Score.page(TRIPLET, 30))
    taken = prior.take(state, torch.tensor([4, 4, 1]))
    page = Score.page(TRIPLET, 3).write(score.tokens[[4, 4, 1], 0, 0])
    logits, _ = prior.step(taken, page)
    wanted = nats[[4, 4, 1], 0, 1]
    second = torch.from_numpy(score.tokens[[4, 4, 1], 0, 1].astype(np.int64))
    np.testing.assert_allclose(
        logits.log_softmax(1).gather(1, second[:, None])[:, 0], wanted, atol=1e-4
    )


def test_an_upbeat_of_a_third_is_silent_before_it(tiny_prior):
    task = Task(bars=1, meter="2/4", grid=12, pickup=4)
    prior = on_grid(tiny_prior, task)
    score = sample(prior, Score.page(task, 100), seed=3)
    onset = score.tokens[:, 0] > HOLD
    places = {(cell - 4) % 24 % 12 for cell in np.flatnonzero(onset.any(axis=0))}
    assert places <= {0, 3, 4, 6, 8, 9}
    assert 8 in places  # the upbeat itself


def test_other_grids_are_refused(tiny_prior):
    with pytest.raises(ValueError, match="1, 2, 4"):
        on_grid(tiny_prior, Task(grid=3))
    assert on_grid(tiny_prior, Task()) is tiny_prior
    assert OnGrid(tiny_prior, 2).codec == Codec(grid=2)
    with pytest.raises(ValueError, match="grid=12"):
        OnGrid(tiny_prior, 2).start(TRIPLET, 1)


def test_a_bar_of_half_quarters_leaves_nothing_to_the_next(tiny_prior):
    task = Task(bars=2, meter="3/8", grid=12)  # a bar ends half-way through a quarter
    prior = on_grid(tiny_prior, task)
    line = [14, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 16, 1, 1, 1, 18, 1]  # a third in its last half
    page = Score.page(task, 1)
    for token in [*line, *[1] * 6]:
        page = page.write(np.array([token]))
    logits, state = prior.step(prior.start(task, 1), page)  # place 6 of the second bar
    line = state.inner[0]
    torch.testing.assert_close(
        events(logits, line.started), events(line.chance.log(), line.started)
    )


def test_a_pickup_of_nearly_a_bar_is_refused(tiny_prior):
    task = Task(meter="2/4", grid=12, pickup=23)
    with pytest.raises(ValueError, match="pickup=23"):
        on_grid(tiny_prior, task).start(task, 1)


# -- what is given ahead ---------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [1, 2])
def test_cells_given_on_a_coarse_grid_are_heard_with_holds_between(grid):
    prior, fine = hearing("lstm-attention"), Task(bars=3, meter="3/4", pickup=4 // grid)
    task = partly_given(replace(fine, grid=grid, pickup=1), seed=2)
    score, given = random_pieces(task, 10), np.repeat(~task.free, 4 // grid, axis=1)
    begun = np.maximum.accumulate(score.tokens > HOLD, axis=2)
    spread = np.repeat(np.where(begun, HOLD, REST), 4 // grid, axis=2)
    spread[:, :, :: 4 // grid] = score.tokens
    # Behind a given rest nothing is known between, unless a note was given before.
    sounds = np.repeat(np.cumsum(task.page > HOLD, axis=1) > 0, 4 // grid, axis=1)
    between = np.arange(fine.cells) % (4 // grid) > 0
    page = np.where(given & (sounds | ~between), spread[0], UNWRITTEN)
    theirs = prior.log_probs(Score(spread, replace(fine, given=tuple(map(tuple, page.tolist())))))
    asked = torch.from_numpy(score.tokens[:, 0, :, None].astype(np.int64))
    wanted = theirs[:, :: 4 // grid].gather(2, asked)[..., 0]
    found = on_grid(prior, task).log_prob(score)[:, 0]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    deaf = on_grid(prior, task).log_prob(Score(score.tokens, replace(task, given=())))[:, 0]
    assert np.abs(found - deaf).max() > 0.01


@pytest.mark.parametrize("grid", [1, 2, 12])
def test_what_is_given_is_what_will_have_been_read(tiny_prior, grid):
    task = Task(bars=2, meter="3/4", grid=grid, pickup=1, voices=2)
    score, prior = random_pieces(task, 6, seed=1), on_grid(tiny_prior, task)
    state, page = prior.start(task, 6), Score.page(task, 6)
    for token in score.tokens.transpose(2, 1, 0).reshape(-1, 6):
        _, state = prior.step(state, page)
        page = page.write(token)
    for voice, line in enumerate(state.inner):
        silent = line.page.task.pickup * grid // 4 - task.pickup
        for piece in range(6):
            row = [REST] * silent + score.tokens[piece, voice].tolist()
            known = grids.in_16ths_of(row, line.page.task, grid)[: line.page.n_written]
            read = line.page.tokens[piece, 0, : line.page.n_written].tolist()
            assert UNWRITTEN not in known or grid < 4
            assert all(k in (UNWRITTEN, r) for k, r in zip(known, read, strict=True))


@pytest.mark.parametrize("grid", [1, 2, 12])
def test_a_prior_that_hears_ahead_keeps_the_protocol_on_other_grids(grid):
    prior = OnGrid(hearing("lstm-attention"), grid)
    assert prior.hears_ahead
    check_prior(prior)
