"""The generator: straight-through draws, what sounds, and what it reads of cells given ahead."""

import pytest
import torch
from torch.nn import functional

from envs.music.codec import Codec
from envs.music.task import Task
from pretrained.adversarial.generator import (
    Ask,
    Generator,
    GeneratorShape,
    gumbel_noise,
    soundings,
    straight_through,
)
from tests.helpers import places_of

VOCAB = Codec().vocab


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_draw_is_one_token_and_has_the_gradient_of_the_softmax():
    logits = torch.randn(5, 7, generator=rng()).requires_grad_(True)
    noise, weight = gumbel_noise((5, 7), rng(1)), torch.randn(5, 7, generator=rng(2))
    drawn = straight_through(logits, noise, 0.5)
    expected = functional.one_hot((logits + noise).argmax(1), 7).float()
    torch.testing.assert_close(drawn, expected)
    (weight * drawn).sum().backward()
    # By hand: the Jacobian of softmax((x + g) / w) is (diag(p) - p p^T) / w.
    p = ((logits + noise) / 0.5).softmax(1).detach()
    by_hand = (p * weight - p * (p * weight).sum(1, keepdim=True)) / 0.5
    torch.testing.assert_close(logits.grad, by_hand)


def test_draws_are_as_often_as_the_softmax_says():
    logits = torch.tensor([[0.0, 1.0, -1.0]]).expand(40_000, 3)
    for warmth in (0.1, 2.0):
        shares = straight_through(logits, gumbel_noise((40_000, 3), rng()), warmth).mean(0)
        torch.testing.assert_close(shares, logits[0].softmax(0), atol=0.01, rtol=0)


def test_an_onset_sounds_while_it_is_held_and_until_a_rest():
    tokens = torch.tensor([[4, 1, 1, 0, 1, 2, 3]])
    sounding = soundings(functional.one_hot(tokens, 6).float())[0]
    assert [row.nonzero().flatten().tolist() for row in sounding] == [
        *([2], [2], [2]),
        *([], []),
        *([0], [1]),
    ]


def test_the_gradient_of_a_late_cell_reaches_the_onset_that_it_holds():
    tokens = functional.one_hot(torch.tensor([[3, 1, 1]]), 6).float().requires_grad_(True)
    soundings(tokens)[0, 2, 1].backward()
    assert tokens.grad[0, 0, 3] == 1
    assert tokens.grad[0, 1, 1] == 1  # without the hold it would not sound


def ask(page=None, batch=2, bars=2):
    task = Task(bars=bars)
    shape = GeneratorShape()
    noise = torch.randn(batch, shape.noise, generator=rng(3))
    ripple = torch.randn(batch, task.cells, shape.ripple, generator=rng(4))
    return Ask(noise, ripple, places_of(task), task.bar_cells, page)


def logits_of(generator, asked, tokens):
    """Return logits (B, T, vocab) while the tokens (B, T, vocab) are written."""
    seen = []

    def choose(cell, logits):
        seen.append(logits)
        return tokens[:, cell]

    generator.write(asked, choose)
    return torch.stack(seen, dim=1)


@pytest.fixture
def generator():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(GeneratorShape(hidden=12))


def test_it_reads_what_is_before_a_cell_and_what_is_given_behind_it(generator):
    tokens = torch.randint(2, VOCAB, (2, 32), generator=rng())
    line = functional.one_hot(tokens, VOCAB).float()
    plain = logits_of(generator, ask(), line)
    other = line.clone()
    other[:, 20] = functional.one_hot(1 + tokens[:, 20] % (VOCAB - 1), VOCAB).float()
    later = logits_of(generator, ask(), other)
    assert torch.equal(plain[:, :21], later[:, :21])
    assert not torch.equal(plain[:, 21:], later[:, 21:])

    page = torch.zeros_like(line)
    page[0, 20] = line[0, 20]
    heard = logits_of(generator, ask(page), line)
    assert (heard[0, :21] != plain[0, :21]).any(dim=1).all()
    torch.testing.assert_close(heard[1], plain[1])  # of which nothing is given


@pytest.mark.parametrize(("number", "bars"), [(0, 1), (1, 2), (2, 4)])
def test_it_looks_bars_back(generator, number, bars):
    first = 2 * VOCAB - 2 + number * VOCAB  # behind the token before and what sounds
    weight = generator.gates.weight.data
    kept = weight[:, first : first + VOCAB].clone()
    weight.zero_()  # nothing else is heard of what is written
    weight[:, first : first + VOCAB] = kept
    line = functional.one_hot(torch.full((1, 80), 5), VOCAB).float()
    other = line.clone()
    other[:, 3] = line[:, 3].roll(1, dims=-1)
    plain, changed = (logits_of(generator, ask(batch=1, bars=5), each) for each in (line, other))
    differ = (plain != changed).any(dim=2)[0]
    assert differ.nonzero()[0] == 3 + 16 * bars


@pytest.mark.parametrize(
    ("sizes", "word"),
    [
        ({"hidden": 0}, "hidden"),
        ({"noise": True}, "noise"),
        ({"vocab": 1}, "vocab"),
        ({"ahead": "8"}, "ahead"),
        ({"ripple": 10**9}, "ripple"),
    ],
)
def test_sizes_that_no_generator_has_are_refused(sizes, word):
    with pytest.raises(ValueError, match=word):
        GeneratorShape(**sizes)
