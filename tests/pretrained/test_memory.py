"""A prior with a memory of the piece: against counts in plain Python, and in closed form."""

from collections import defaultdict

import numpy as np
import pytest
import torch

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from envs.primer import primed
from pretrained import checkpoint, load, memory
from pretrained.conformance import check_prior
from pretrained.memory import WithMemory
from pretrained.networks.lstm_attention import AttentivePrior
from pretrained.networks.regrid import OnGrid, on_grid
from pretrained.prior import ILLEGAL, Prior, Trainable, sample
from rewards.likelihood import Likelihood
from tests.helpers import nats_by_steps, random_pieces, writing_order

TASKS = [
    Task(bars=5, meter="2/4"),
    Task(bars=9, meter="1/4", low="C4", high="E4", pickup=3),
    Task(bars=4, meter="3/4", voices=2, key="D minor", low="C4", high="G4"),
]


def repetitive(task, n, seed=0):
    """Random pieces in which a voice often does what it did one, two or four bars ago."""
    rng, page = np.random.default_rng(seed), Score.page(task, n)
    draws = writing_order(random_pieces(task, n, seed))
    for cell, token in enumerate(draws):
        time, voice = divmod(cell, task.voices)
        ago = time - task.bar_cells * rng.choice([1, 2, 4], n)
        there = page.tokens[np.arange(n), voice, np.maximum(ago, 0)]
        copied = np.where((ago >= 0) & (rng.random(n) < 0.9), there, token)
        legal = page.allowed()[np.arange(n), copied]
        page = page.write(np.where(legal, copied, token))
    return page


class Even:
    """Every token that is allowed is as likely as another."""

    codec = Codec()

    def require(self, task):
        pass

    def start(self, task, batch):
        return 0

    def step(self, state, score):
        mask = torch.from_numpy(score.grammar())
        return torch.zeros(mask.shape).masked_fill(~mask, ILLEGAL), 0

    def take(self, state, rows):
        return 0

    def log_prob(self, score):
        raise AssertionError("the memory asks cell by cell")


def weight(bars, nats):
    more = (bars == 1, memory.NEXT_BAR), (bars % 4 == 0, memory.FOUR_BARS)
    more += ((bars % 8 == 0, memory.EIGHT_BARS),)
    log = memory.WEIGHT + sum(value for there, value in more if there)
    return float(np.exp(log)) * (0.5 + nats) ** memory.POWER


def counted(line, nats, bar):
    """Nats of each token of one line, from the prior's nats (T, vocab), in plain Python."""
    out = []
    for now, token in enumerate(line):
        copied = defaultdict(float)
        for ago in range(bar, now + 1, bar):
            surprise, cell = 0.0, now - 1
            while cell >= ago and line[cell] == line[cell - ago]:
                surprise += min(4.0, -nats[cell, line[cell]])
                cell -= 1
            copied[line[now - ago]] += weight(ago // bar, surprise)
        chance = (np.exp(nats[now, token]) + copied[token]) / (1 + sum(copied.values()))
        out.append(np.log(chance))
    return out


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_it_is_what_a_count_in_plain_python_gives(tiny_prior, task):
    score = repetitive(task, 6)
    nats = WithMemory(tiny_prior).log_prob(score)
    alone = tiny_prior.log_probs(score).double().numpy()
    for piece in range(score.batch):
        for voice in range(task.voices):
            line = score.tokens[piece, voice].tolist()
            twin = counted(line, alone[piece, voice :: task.voices], task.bar_cells)
            np.testing.assert_allclose(nats[piece, voice], twin, atol=1e-4)
    assert nats.mean() > tiny_prior.log_prob(score).mean() + 0.3


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_steps_and_teacher_forcing_agree(tiny_prior, task):
    score, prior = repetitive(task, 7, seed=3), WithMemory(tiny_prior)
    whole = prior.log_prob(score).transpose(2, 1, 0).reshape(-1, score.batch)
    for nats, logits, token in zip(
        whole, nats_by_steps(prior, score), writing_order(score), strict=True
    ):
        log_p = logits.log_softmax(1).numpy()
        np.testing.assert_allclose(log_p[np.arange(7), token], nats, atol=1e-5)
        np.testing.assert_allclose(logits.exp().sum(1), 1, atol=1e-5)


def test_it_keeps_the_protocol(tiny_prior):
    prior = WithMemory(tiny_prior)
    assert isinstance(prior, Prior)
    assert not isinstance(prior, Trainable)
    assert prior.one_line
    assert not prior.hears_ahead
    check_prior(prior, Task(bars=3, meter="1/4"))
    check_prior(prior, Task(bars=3, meter="1/4", voices=2, pickup=2, key="D minor"))


def test_a_prior_without_a_network_is_asked_cell_by_cell():
    task = TASKS[0]
    score, prior = repetitive(task, 5), WithMemory(Even())
    nats = np.stack([logits.numpy() for logits in nats_by_steps(Even(), score)], 1).astype(float)
    nats -= np.log(np.exp(nats).sum(2, keepdims=True))
    found = prior.log_prob(score)
    for piece in range(5):
        line = score.tokens[piece, 0].tolist()
        np.testing.assert_allclose(
            found[piece, 0], counted(line, nats[piece], task.bar_cells), atol=1e-4
        )


def test_a_bar_that_comes_again_is_likelier_the_longer_it_does():
    task, bar = Task(bars=3, meter="2/4"), [14, 1, 16, 1, 18, 19, 20, 21]
    nats = WithMemory(Even()).log_prob(Score([[bar * 3]], task))[0, 0]
    legal = Codec().vocab
    np.testing.assert_allclose(nats[0], -np.log(legal - 1), atol=1e-5)  # no hold at first
    np.testing.assert_allclose(nats[1:8], -np.log(legal), atol=1e-5)
    run = np.r_[0, np.cumsum([min(4, np.log(legal))] * 7)]
    mass = np.array([weight(1, nats) for nats in run])
    np.testing.assert_allclose(nats[8:16], np.log((1 / legal + mass) / (1 + mass)), atol=1e-4)
    assert (np.diff(nats[8:16]) > 0).all()
    assert nats[8] < -1.5  # that it begins again is not certain yet
    assert nats[15] > -0.5


def test_a_token_that_differs_ends_the_run():
    task, bar = Task(bars=2, meter="2/4"), [14, 1, 16, 1, 18, 19, 20, 21]
    other = [*bar[:5], 17, *bar[6:]]
    same, new = (
        WithMemory(Even()).log_prob(Score([[bar + second]], task))[0, 0] for second in (bar, other)
    )
    np.testing.assert_allclose(new[:13], same[:13], atol=1e-6)
    assert new[13] < same[13] - 1
    np.testing.assert_allclose(new[14], same[8], atol=1e-5)


def test_nothing_of_other_voices_is_remembered():
    task = Task(bars=2, meter="1/4", voices=2)
    first = [[14, 16, 18, 19, 20, 21, 22, 23], [2, 3, 4, 5, 14, 16, 18, 19]]
    other = [[30, 31, 32, 33, 20, 21, 22, 23], [2, 3, 4, 5, 14, 16, 18, 19]]
    nats = WithMemory(Even()).log_prob(Score([first, other], task))
    np.testing.assert_allclose(nats[0, 1], nats[1, 1], atol=1e-6)


def test_what_the_prior_forbids_is_not_remembered_either():
    class Narrow(Even):
        def step(self, state, score):
            logits, state = super().step(state, score)
            logits[:, 14] = ILLEGAL
            return logits, state

    task = Task(bars=2, meter="1/4")
    prior, page = WithMemory(Narrow()), Score.page(task, 1)
    for token in (14, 15, 16, 17):
        page = page.write(np.array([token]))
    logits, _ = prior.step(prior.start(task, 1), page)
    assert logits[0, 14] <= ILLEGAL / 2
    np.testing.assert_allclose(logits.exp().sum(), 1, atol=1e-5)
    np.testing.assert_allclose(logits[0, 15], Narrow().step(0, page)[0].log_softmax(1)[0, 15])


def test_pieces_are_taken_with_their_memories(tiny_prior):
    task, prior = TASKS[2], WithMemory(tiny_prior)
    score = repetitive(task, 4, seed=5)
    page = _begun(score, task.steps // 2 + 1)
    rows = torch.tensor([3, 1, 1])
    _, state = prior.step(prior.start(task, 4), page)
    chosen = prior.take(state, rows)
    token = np.array([2, 5, 6])
    after, _ = prior.step(chosen, page.take(rows.numpy()).write(token))
    fresh, _ = prior.step(prior.start(task, 3), page.take(rows.numpy()).write(token))
    torch.testing.assert_close(after, fresh, atol=1e-5, rtol=0)


def _begun(score, cells):
    page = Score.page(score.task, score.batch)
    for token in writing_order(score)[:cells]:
        page = page.write(token)
    return page


def test_a_primer_and_given_cells_are_remembered(tiny_prior):
    given = np.full((1, 24), -1)
    given[0, 10:13] = [14, 16, 17]
    task, prior = Task(bars=3, meter="2/4", given=tuple(map(tuple, given))), WithMemory(tiny_prior)
    page = primed(Score.page(task, 5), [14, 1, 16, 17, 18, 1, 1, 1, 14])
    drawn = sample(prior, page, seed=4)
    np.testing.assert_array_equal(drawn.tokens[0, 0, 10:13], given[0, 10:13])
    logits, _ = prior.step(prior.start(task, 5), page)
    token = drawn.tokens[:, 0, 9]
    nats = logits.log_softmax(1).numpy()[np.arange(5), token]
    np.testing.assert_allclose(nats, prior.log_prob(drawn)[:, 0, 9], atol=1e-5)


def test_a_network_that_reads_ahead_goes_on_doing_so():
    given = np.full((1, 24), -1)
    given[0, 3:5] = given[0, 11:13] = [19, 21]
    given[0, 18:21] = [14, 16, 17]
    task = Task(bars=3, meter="2/4", given=tuple(map(tuple, given)))
    sizes = {"hidden": 10, "embed": 6, "heads": 2, "head_size": 6, "feed": 5, "ahead": 6}
    shape = AttentivePrior.sizes(vocab=38, places=6, lookback=(1,), blocks=1, window=7, **sizes)
    net, rng = AttentivePrior.network(shape), torch.Generator().manual_seed(0)
    for weight in net.parameters():
        weight.data.normal_(0.0, 0.2, generator=rng)
    prior, score = WithMemory(AttentivePrior(net, Codec())), repetitive(task, 5)
    assert prior.hears_ahead
    whole = prior.log_prob(score)
    deaf = prior.log_prob(Score(score.tokens, Task(bars=3, meter="2/4")))
    assert np.abs(whole - deaf).max() > 0.05
    for first in (0, 9, 16):  # cells that the first question reads at once
        page, state = _begun(score, first), prior.start(task, 5)
        for cell in range(first, task.steps):
            logits, state = prior.step(state, page)
            token = score.tokens[:, 0, cell]
            nats = logits.log_softmax(1).numpy()[np.arange(5), token]
            np.testing.assert_allclose(nats, whole[:, 0, cell], atol=1e-5)
            page = page.write(token)


@pytest.mark.parametrize("grid", [2, 12])
def test_on_another_grid_it_remembers_16ths(tiny_prior, grid):
    task = Task(bars=2, meter="1/4", grid=grid)
    prior = on_grid(WithMemory(tiny_prior), task)
    assert isinstance(prior, OnGrid)
    check_prior(prior, task)
    check_prior(WithMemory(OnGrid(tiny_prior, grid)), task)


def test_its_name_is_a_checkpoints_with_memory_behind(tiny_checkpoint, tiny_prior):
    name, task = f"{tiny_checkpoint}+memory", TASKS[0]
    score = repetitive(task, 3)
    prior = checkpoint.load_once(name)
    assert isinstance(prior, WithMemory)
    assert prior.prior is checkpoint.load_once(tiny_checkpoint)
    wanted = WithMemory(tiny_prior).log_prob(score)
    np.testing.assert_allclose(prior.log_prob(score), wanted, atol=1e-6)
    np.testing.assert_allclose(Likelihood(checkpoint=name)(score), np.maximum(wanted, -20))
    assert checkpoint.locate(name) == checkpoint.locate(tiny_checkpoint)
    with pytest.raises(FileNotFoundError, match="missing"):
        checkpoint.load_once("missing+memory")


def test_it_is_refused_where_a_network_is_trained(tiny_checkpoint):
    with pytest.raises(ValueError, match="no network to train"):
        load(f"{tiny_checkpoint}+memory")


def test_a_scorer_has_no_memory():
    class Judge:
        codec = Codec()

        def require(self, task):
            pass

        def log_prob(self, score):
            return np.zeros(score.tokens.shape, np.float32)

    with pytest.raises(TypeError, match="cell by cell"):
        WithMemory(Judge())


def test_unfinished_pieces_are_refused(tiny_prior):
    with pytest.raises(ValueError, match="finished"):
        WithMemory(tiny_prior).log_prob(Score.page(TASKS[0], 1))
