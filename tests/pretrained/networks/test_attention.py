"""Attention against a slow twin, its window, and memories that states share."""

import math

import numpy as np
import pytest
import torch

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.conformance import check_prior
from pretrained.networks.architectures import ARCHITECTURES, model_named
from pretrained.networks.attention import BLOCKED, Block, Blocks, BlockShape, Turn
from pretrained.networks.lstm_attention import AttentivePrior
from pretrained.networks.recurrent import NetShape, RecurrentNet, RecurrentPrior
from pretrained.prior import sample
from tests.pretrained.networks.hearing import SIZES, hearing, loud


def twin(block, x, place):
    """Return what a block makes of one line (T, width), cell by cell and key by key."""
    shape, size = block.shape, len(x)
    bars = np.cumsum(place[:, 0] == 0)
    pairs = shape.head_size // 2
    third = pairs // 3
    near = np.logspace(math.log10(4), math.log10(512), pairs - 2 * third)

    def angle(t):
        phase = place[t, 0] / max(1, place[t, 1])
        by = [t / period for period in near]
        by += [phase * k for k in range(1, third + 1)] + [
            bars[t] / 2**k for k in range(1, third + 1)
        ]
        return 2 * math.pi * np.array(by)

    def turned(v, t):
        z = (v[:pairs] + 1j * v[pairs:]) * np.exp(1j * angle(t))
        return np.concatenate([z.real, z.imag])

    normed = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    normed = normed * block.norm.weight.numpy()
    entered = normed @ block.enter.weight.numpy().T
    inner, out = shape.heads * shape.head_size, []
    for t in range(size):
        seen = []
        for head in range(shape.heads):
            part = slice(head * shape.head_size, (head + 1) * shape.head_size)
            query = turned(entered[t, :inner][part], t)
            cells = range(max(0, t - shape.window + 1), t + 1)
            keys = [turned(entered[s, inner : 2 * inner][part], s) for s in cells]
            scores = np.array([query @ key for key in keys]) / math.sqrt(shape.head_size)
            weights = np.exp(scores - scores.max())
            weights /= weights.sum()
            values = [entered[s, 2 * inner : 3 * inner][part] for s in cells]
            seen.append(sum(w * v for w, v in zip(weights, values, strict=True)))
        feed = np.maximum(entered[t, 3 * inner :], 0) ** 2
        out.append(x[t] + block.leave.weight.numpy() @ np.concatenate([*seen, feed]))
    return np.array(out)


def places(bar, size, before=0):
    """Return places (T, 6) of cells in bars of one length."""
    cell = (np.arange(size) + before) % bar
    rest = np.zeros((size, 4), np.int64)
    return np.column_stack([cell, np.full(size, bar), rest])


@pytest.mark.parametrize(("bar", "window"), [(4, 100), (3, 5), (6, 1)])
def test_a_block_is_its_slow_twin(bar, window):
    shape = BlockShape(width=8, heads=2, head_size=6, feed=5, window=window)
    blocks = loud(Blocks(2, shape, 0.0)).requires_grad_(False)
    rng = np.random.default_rng(1)
    x, place = rng.normal(size=(17, 8)), places(bar, 17, before=bar - 1)
    expected = x
    for block in blocks:
        expected = twin(block, expected, place)
    seen, at = torch.tensor(x, dtype=torch.float32)[None], torch.from_numpy(place)[None]
    np.testing.assert_allclose(blocks.along(seen, at)[0], expected, atol=2e-5)
    state, stepped = blocks.start(1, seen), []
    for t in range(17):
        out, state = blocks.after(seen[:, t], at[:, t], state)
        stepped.append(out[0].numpy())
    np.testing.assert_allclose(stepped, expected, atol=2e-5)


def test_a_new_block_adds_nothing():
    block = Block(BlockShape(8, 2, 6, 5, 4))
    x = torch.randn(2, 9, 8)
    turn = Turn.at(torch.arange(9), torch.zeros(2, 9, 6), torch.zeros(2, 9), 6)
    assert torch.equal(block(x, Turn(*(part[:, None] for part in turn))), x)
    assert BLOCKED < -100


@pytest.mark.parametrize("name", SIZES)
def test_the_architectures_keep_the_protocol(name):
    check_prior(hearing(name, ahead=0))


@pytest.mark.parametrize("name", SIZES)
def test_stepping_is_scoring_to_1e_5(name):
    prior, task = (
        hearing(name, ahead=0),
        Task(bars=3, meter="3/4", key="Eb major", voices=2, pickup=3),
    )
    pieces = sample(prior, Score.page(task, 5), seed=2)
    page, state, rows = Score.page(task, 5), prior.start(task, 5), np.arange(5)
    nats = np.empty(pieces.tokens.shape, np.float32)
    while not page.finished:
        time, voice = divmod(page.n_written, 2)
        logits, state = prior.step(state, page)
        tokens = pieces.tokens[:, voice, time]
        nats[:, voice, time] = logits.log_softmax(dim=1).numpy()[rows, tokens]
        page = page.write(tokens)
    np.testing.assert_allclose(nats, prior.log_prob(pieces), atol=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_one_state_goes_on_in_several_ways(name):
    """A search steps one state with other tokens, drops pieces and repeats them."""
    prior, task = hearing(name, ahead=0), Task(bars=2)
    page = Score.page(task, 2)
    state = prior.start(task, 2)
    for _ in range(20):
        logits, state = prior.step(state, page)
        page = page.write(logits.argmax(dim=1).numpy())
    ways = []
    for token in (5, 9, 5):
        on, here = page.write(np.full(2, token)), prior.step(state, page)[1]
        for _ in range(3):
            logits, here = prior.step(here, on)
            on = on.write(np.full(2, token + 2))
        ways.append(prior.step(here, on)[0])
    assert torch.equal(ways[0], ways[2])
    assert not torch.allclose(ways[0], ways[1], atol=1e-3)
    rows = torch.tensor([1, 1, 0])
    taken = prior.step(prior.take(state, rows), page.take(rows.numpy()))[0]
    torch.testing.assert_close(taken, prior.step(state, page)[0][rows], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SIZES)
def test_ways_that_are_walked_in_turn_do_not_disturb_each_other(name):
    prior, task = hearing(name, ahead=0), Task(bars=2)
    page, state = Score.page(task, 2), prior.start(task, 2)
    for _ in range(5):
        logits, state = prior.step(state, page)
        page = page.write(logits.argmax(dim=1).numpy())
    pages = [page.write(np.full(2, token)) for token in (5, 9)]
    states = [prior.step(state, each)[1] for each in pages]  # both write the memory's next cell
    for each, here in zip(pages, states, strict=True):
        on = each.write(np.full(2, 1))
        alone = prior.step(prior.start(task, 2), on)[0]
        torch.testing.assert_close(prior.step(here, on)[0], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SIZES)
def test_gradients_flow_through_steps_and_states_cross_modes(name):
    prior, task = hearing(name, ahead=0), Task(bars=1)
    context, tokens = torch.from_numpy(task.context(0))[None], torch.tensor([[5, 1, 7, 1, 9]])
    with torch.inference_mode():
        state = prior.advance(prior.begin(context, 1, task.cells), tokens)[2]
    with torch.no_grad():
        assert prior.advance(state, tokens[:, :1])[0].shape == (1, 38)
    prior.net.requires_grad_(True)
    logits, _, state = prior.advance(prior.begin(context, 1, task.cells), tokens[:, :2])
    for token in tokens[:, 2:].split(1, dim=1):
        more, _, state = prior.advance(state, token)
        logits = logits + more
    logits.sum().backward()
    stepped = [weight.grad.clone() for weight in prior.net.parameters() if weight.grad is not None]
    prior.net.zero_grad()
    whole = torch.zeros(1, 1, task.cells, dtype=torch.int64)
    whole[0, 0, :5] = tokens
    prior.forward(whole, context)[0][:, 2:6].sum().backward()
    along = [weight.grad for weight in prior.net.parameters() if weight.grad is not None]
    for one, two in zip(stepped, along, strict=True):
        torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-3)


def test_cells_beyond_the_window_of_a_transformer_change_nothing():
    kind = model_named("transformer")
    shape = kind.sizes(vocab=38, width=12, layers=1, heads=2, feed=5, window=7)
    prior, task = kind(loud(kind.network(shape)), Codec()), Task(bars=2)
    tokens = sample(prior, Score.page(task, 1), seed=1).tokens
    other = tokens.copy()
    other[0, 0, 2] = 20 if other[0, 0, 2] != 20 else 21
    gap = np.abs(prior.log_prob(Score(tokens, task)) - prior.log_prob(Score(other, task)))[0, 0]
    assert gap[3:10].max() > 1e-4
    assert gap[10:].max() == 0


def test_an_lstm_with_attention_begins_as_the_lstm_and_learns():
    lstm = RecurrentPrior(loud(RecurrentNet(NetShape(38, 10, 1, 6, lookback=2))), Codec())
    prior, task = AttentivePrior.over(lstm), Task(bars=2)
    pieces = sample(lstm, Score.page(task, 3), seed=1)
    np.testing.assert_array_equal(prior.log_prob(pieces), lstm.log_prob(pieces))
    prior.net.requires_grad_(True)
    logits, _ = prior.forward(
        torch.from_numpy(pieces.tokens.astype(np.int64)), torch.from_numpy(task.context(0))[None]
    )
    logits.square().sum().backward()
    assert prior.net.blocks[0].leave.weight.grad.abs().max() > 0


WRONG = [
    *({"vocab": 0}, {"lookback": [1, 9]}, {"lookback": [2, 2]}, {"lookback": "2"}, {"ahead": -1}),
    *({"places": 2}, {"window": 0}, {"heads": True}, {"head_size": 7}, {"width": 7}),
]


@pytest.mark.parametrize(
    "name", [name for name in ARCHITECTURES if name not in ("sum/1", "sighted/1")]
)
@pytest.mark.parametrize("shape", WRONG)
def test_sizes_that_cannot_be_are_refused(name, shape):
    kind = ARCHITECTURES[name]
    with pytest.raises((ValueError, TypeError), match=next(iter(shape))):
        kind.build({"vocab": 38, **shape}, Codec())
