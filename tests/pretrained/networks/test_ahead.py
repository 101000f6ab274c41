"""Cells given ahead are heard, free ones are not, and both ways to ask a network agree."""

import copy

import numpy as np
import pytest
import torch

from envs.music.codec import FIRST_PITCH, HOLD, REST, UNWRITTEN
from envs.music.score import Score
from pretrained.conformance import check_prior
from pretrained.networks.ahead import BARS, FURTHEST, LONGEST_RUN, SHARES, WIDEST, Ahead
from pretrained.networks.lens import context_of
from pretrained.networks.network_prior import NetworkPrior
from pretrained.prior import Trainable, sample
from tests.helpers import nats_by_steps, random_pieces
from tests.pretrained.networks.hearing import KINDS, SIZES, TASKS, hearing, partly_given

every_kind = pytest.mark.parametrize("kind", KINDS)
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def asked(prior, tokens, given, task):
    """Logits (B, steps, vocab) of whole pieces of which some cells (B, V, T) are given, or None."""
    pieces = torch.from_numpy(tokens.astype(np.int64))
    known = {} if given is None else {"given": torch.from_numpy(np.array(given))}
    with torch.inference_mode():
        return prior.forward(pieces, context_of(task, len(tokens)), **known)[0]


def numbers(task):
    """(V, T) number of each cell in writing order."""
    return np.arange(task.steps).reshape(task.cells, task.voices).T


# -- both ways to ask ------------------------------------------------------------------------------


@every_kind
@every_task
def test_steps_equal_the_whole(kind, task):
    prior, task = hearing(kind), partly_given(task, seed=1)
    pieces = random_pieces(task, 4, seed=2)
    whole = prior.log_probs(pieces)
    stepped = torch.stack(list(nats_by_steps(prior, pieces)), dim=1).log_softmax(dim=-1)
    legal = whole > -100
    assert torch.equal(legal, stepped > -100)
    torch.testing.assert_close(stepped[legal], whole[legal], atol=1e-5, rtol=1e-5)


@every_kind
def test_states_that_are_taken_and_repeated_go_on_alike(kind):
    prior, task = hearing(kind), partly_given(TASKS["two voices in G"], seed=3)
    pieces, rows = random_pieces(task, 3, seed=4), np.array([2, 0, 2, 1])
    page, state, half = Score.page(task, 3), prior.start(task, 3), task.steps // 2
    tokens = pieces.tokens.transpose(2, 1, 0).reshape(task.steps, 3)
    for cell in range(half):
        _, state = prior.step(state, page)
        page = page.write(tokens[cell])
    state, page = prior.take(state, torch.from_numpy(rows)), page.take(rows)
    for cell in range(half, task.steps):
        logits, state = prior.step(state, page)
        expected = prior.log_probs(pieces)[rows, cell]
        found = logits.log_softmax(dim=1)
        torch.testing.assert_close(found[expected > -100], expected[expected > -100])
        page = page.write(tokens[cell][rows])


@every_kind
@every_task
def test_single_pages_are_read_as_whole_pieces(kind, task):
    prior, task = hearing(kind), partly_given(task, seed=5)
    pieces, number = random_pieces(task, 2, seed=6), numbers(task)
    tokens = pieces.tokens.astype(np.int64)
    whole = asked(prior, tokens, np.broadcast_to(~task.free, tokens.shape), task)
    context = context_of(task, task.steps)
    pages = np.where(number < np.arange(task.steps)[:, None, None], tokens[0], task.page)
    pages = torch.from_numpy(pages.astype(np.int64))
    for way in (type(prior), Trainable):  # that of an architecture of one's own too
        with torch.inference_mode():
            logits, features = way.forward_at(prior, pages, context, torch.arange(task.steps))
        torch.testing.assert_close(logits, whole[0], atol=1e-4, rtol=1e-5)
        assert features.shape == (task.steps, prior.n_features)


@pytest.mark.parametrize("kind", SIZES)
def test_an_architecture_that_hears_ahead_keeps_the_protocol(kind):
    check_prior(hearing(kind))


def test_a_sum_keeps_the_protocol():
    check_prior(hearing("sum"))
    assert not hearing("gru", ahead=0).hears_ahead
    assert hearing("sum").hears_ahead


# -- what is heard ---------------------------------------------------------------------------------


@every_kind
@every_task
def test_no_free_cell_from_the_current_one_on_changes_anything(kind, task):
    prior, task = hearing(kind), partly_given(task, seed=7)
    tokens = random_pieces(task, 1, seed=8).tokens
    rng, number = np.random.default_rng(9), numbers(task)
    changed = []
    for cell in range(task.steps):
        later = (number >= cell) & task.free
        changed.append(np.where(later, rng.integers(0, 30, later.shape), tokens[0]))
    given = np.broadcast_to(~task.free, (task.steps, *task.free.shape))
    same = asked(prior, np.repeat(tokens, task.steps, axis=0), given, task)
    other = asked(prior, np.stack(changed), given, task)
    for cell in range(task.steps):
        assert torch.equal(same[cell, : cell + 1], other[cell, : cell + 1])


@pytest.mark.parametrize("kind", SIZES)
def test_a_given_cell_changes_those_before_it_but_not_its_own(kind):
    prior, task = hearing(kind), TASKS["bars of 8"]
    tokens = random_pieces(task, 2, seed=10).tokens.copy()
    at = 29
    tokens[:, 0, at] = 12
    other = tokens.copy()
    other[:, 0, at] = 19
    given = np.zeros(tokens.shape, bool)
    given[..., at] = True
    before, after = (asked(prior, each, given, task) for each in (tokens, other))
    gap = (before - after).abs().amax(dim=-1)
    assert (gap[:, :at] > 1e-3).all()
    assert torch.equal(before[:, at], after[:, at])
    free = np.zeros_like(given)
    assert torch.equal(*(asked(prior, each, free, task)[:, :at] for each in (tokens, other)))


@pytest.mark.parametrize("kind", SIZES)
def test_a_voice_hears_what_is_given_in_itself_alone(kind):
    prior, task = hearing(kind), TASKS["two voices in G"]
    tokens = random_pieces(task, 1, seed=11).tokens
    given = np.zeros(tokens.shape, bool)
    given[:, 1, 20:] = True
    found, without = (asked(prior, tokens, g, task)[0] for g in (given, given & False))
    assert torch.equal(found[::2], without[::2])
    assert ((found - without)[1:40:2].abs().amax(dim=-1) > 1e-4).all()


@pytest.mark.parametrize("kind", SIZES)
def test_with_nothing_given_ahead_it_is_bitwise_as_without(kind):
    prior, task = hearing(kind), TASKS["waltz with a pickup"]
    deaf = copy.deepcopy(prior)
    deaf.net.ahead = None
    assert not deaf.hears_ahead
    tokens = random_pieces(task, 3, seed=12).tokens
    plain = asked(deaf, tokens, None, task)
    given = np.zeros(tokens.shape, bool)
    given[1, 0, 20] = True  # of one piece, up to a cell
    found = asked(prior, tokens, given, task)
    assert torch.equal(found[::2], plain[::2])
    assert torch.equal(found[1, 20:], plain[1, 20:])
    assert not torch.equal(found[1, 19], plain[1, 19])
    assert torch.equal(prior.log_probs(Score(tokens, task)), deaf.log_probs(Score(tokens, task)))
    steps = (nats_by_steps(each, Score(tokens, task)) for each in (prior, deaf))
    for one, other in zip(*steps, strict=True):
        assert torch.equal(one, other)


@every_kind
def test_a_sample_keeps_what_is_given_and_hears_it(kind):
    prior, task = hearing(kind), partly_given(TASKS["bars of 8"], seed=13)
    drawn = sample(prior, Score.page(task, 50), seed=1)
    assert (drawn.tokens[:, ~task.free] == task.page[~task.free]).all()
    if kind != "sum":
        deaf = copy.deepcopy(prior)
        deaf.net.ahead = None
        assert (sample(deaf, Score.page(task, 50), seed=1).tokens != drawn.tokens).any()


# -- the rows that are heard -----------------------------------------------------------------------

NAMES = ["first", "first_in", "interval", "second", "second_in", "gap", "gap_in"]
NAMES += [f"{name}{bars}" for bars in BARS for name in ("there", "behind", "run", "share")]


def rows_by_hand(line, given, bar, time, vocab):
    """Return the rows heard at a cell, looked up in a page that shows no more than it knows."""
    page = [t if c < time or given[c] else None for c, t in enumerate(line)]
    later = [c for c in range(time + 1, len(line)) if page[c] is not None]
    onsets = [c for c in later if page[c] >= FIRST_PITCH] + [None, None]
    past = [c for c in range(time) if line[c] >= FIRST_PITCH]
    first, second = onsets[:2]

    def token(cell):
        return vocab if cell is None else page[cell]

    def distance(start, end):
        return FURTHEST if end is None else min(end - start, FURTHEST)

    interval = 2 * WIDEST + 1
    if first is not None and past:
        interval = max(-WIDEST, min(WIDEST, page[first] - line[past[-1]])) + WIDEST
    gap = later[0] if later else None
    rows = [token(first), distance(time, first), interval, token(second), distance(first, second)]
    rows += [token(gap), distance(time, gap)]
    for far in (bars * bar for bars in BARS):
        ahead = time + far
        there = page[ahead] if ahead < len(line) else None
        behind = line[time - far] if time >= far else vocab
        run = 0
        while (
            run < min(LONGEST_RUN, far - 1, time)
            and time - 1 - run + far < len(line)
            and page[time - 1 - run + far] == line[time - 1 - run]
        ):
            run += 1
        pairs = [c for c in later if far <= c < time + far]
        equal = sum(page[c] == line[c - far] for c in pairs)
        share = 1 + SHARES * equal // len(pairs) if pairs else 0
        rows += [vocab if there is None else there, behind, run, share]
    return rows


@pytest.mark.parametrize(("bar", "cells"), [(16, 90), (6, 60), (3, 40), (8, 5)])
def test_what_is_heard_is_what_is_looked_up_by_hand(bar, cells):
    rng = np.random.default_rng(bar)
    once = rng.choice([REST, HOLD, HOLD, 9, 11], (3, bar))
    line = np.tile(once, cells // bar + 1)[:, :cells]  # the same bar again and again, with faults
    line = np.where(rng.random(line.shape) < 0.93, line, 30)
    given = np.repeat(rng.random((3, cells // 4 + 1)) < 0.5, 4, axis=1)[:, :cells]
    given[2] = False
    place = torch.zeros(1, cells, 6, dtype=torch.int64)
    place[..., 1] = bar
    heard = Ahead(38, 4, 4).listen(torch.from_numpy(line), torch.from_numpy(given), place)
    for piece in range(3):
        for time in range(cells):
            expected = rows_by_hand(line[piece].tolist(), given[piece], bar, time, 38)
            found = heard.rows[piece, time].tolist()
            assert dict(zip(NAMES, found, strict=True)) == dict(zip(NAMES, expected, strict=True))
            assert bool(heard.any[piece, time]) == bool(given[piece, time + 1 :].any())


def test_what_is_behind_the_end_of_a_line_does_not_count():
    """A line has the same rows alone as in a batch of longer ones, where it is padded."""
    rng = np.random.default_rng(0)
    line, given = rng.choice([REST, HOLD, 9, 11], (1, 30)), rng.random((1, 30)) < 0.4
    place = torch.tensor([0, 8, 4, 0, 0, 0]).expand(1, 50, 6)
    ahead = Ahead(38, 4, 4)
    alone = ahead.listen(torch.from_numpy(line), torch.from_numpy(given), place[:, :30])
    padded = (torch.from_numpy(np.pad(each, ((0, 0), (0, 20)))) for each in (line, given))
    among = ahead.listen(*padded, place)
    assert torch.equal(among.rows[:, :30], alone.rows)
    assert torch.equal(among.any[:, :30], alone.any)


def test_a_cell_that_is_asked_about_is_heard_as_in_the_whole():
    net = hearing("transformer").net
    task = partly_given(TASKS["bars of 8"], seed=14)
    pieces = torch.from_numpy(random_pieces(task, 1, seed=15).tokens[:, 0].astype(np.int64))
    page = torch.where(torch.tensor(task.free), UNWRITTEN, pieces)
    place = torch.zeros(1, task.cells, 6, dtype=torch.int64)
    place[..., 1] = 8
    features = torch.zeros(1, net.head.in_features)
    found, _ = net.hear(features, page, place, 0)
    heard = net.ahead.listen(pieces, torch.from_numpy(~task.free), place)
    every = net.ahead(torch.zeros(1, task.cells, net.head.in_features), heard)
    torch.testing.assert_close(found, net.head(every[:, 0]))


def test_only_what_reads_ahead_learns_from_given_cells():
    net = hearing("lstm-attention").net.train().requires_grad_(True)
    tokens = torch.randint(0, 30, (2, 32))
    place = torch.tensor([0, 16, 4, 0, 0, 0]).expand(2, 32, 6)
    given = torch.zeros(2, 32, dtype=torch.bool)
    given[:, 20:] = True
    logits = net.answer_ahead(net(tokens, place)[1].detach(), tokens, place, given)
    logits[:, :20].logsumexp(dim=-1).sum().backward()
    moved = {name for name, weight in net.named_parameters() if weight.grad is not None}
    assert moved == {name for name, _ in net.named_parameters() if name.startswith("ahead.")}


def test_a_new_network_hears_without_effect():
    prior = hearing("lstm")
    net = type(prior.net)(prior.net.shape).eval()
    fresh, task = type(prior)(net, prior.codec), partly_given(TASKS["bars of 8"])
    pieces = random_pieces(task, 2)
    free = Score(pieces.tokens, TASKS["bars of 8"])
    assert isinstance(fresh, NetworkPrior)
    assert np.array_equal(fresh.log_prob(pieces), fresh.log_prob(free))
