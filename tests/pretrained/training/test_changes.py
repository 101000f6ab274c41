"""Changes of networks: what they alter, by how many numbers, and that the gradients are right."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from envs.music.codec import Codec
from pretrained.corpora.folk import load_corpus
from pretrained.networks.architectures import model_named
from pretrained.training.changes import CHANGES, RANK, Recipe, learn
from pretrained.training.fit import collate
from pretrained.training.lessons import lesson

SMALL = {
    "lstm": {"hidden": 12, "embed": 9, "lookback": 1},
    "gru": {"hidden": 12, "embed": 9, "lookback": 0},
    "lstm-attention": {"hidden": 12, "embed": 9, "heads": 2, "head_size": 6, "feed": 11},
    "transformer": {"width": 12, "layers": 2, "heads": 2, "feed": 11},
}


def make(model, **sizes):
    kind = model_named(model)
    net = kind.network(kind.sizes(Codec().vocab, **(SMALL[model] | sizes))).eval()
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0.0, 0.3, generator=rng)
    return net


def disturbed(change, seed=0):
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for number in change.numbers:
            number.normal_(0.0, 0.1, generator=rng)
    change.write()


def differences(net, before):
    after = net.state_dict()
    return {k: after[k] - v for k, v in before.items() if not torch.equal(after[k], v)}


@pytest.fixture(scope="module")
def tunes():
    return load_corpus().select("train")[:6]


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize("how", CHANGES)
def test_at_first_nothing_changes(model, how):
    net = make(model, ahead=5)
    before = copy.deepcopy(net.state_dict())
    change = CHANGES[how](net)
    change.write()
    assert differences(net, before) == {}


@pytest.mark.parametrize("model", SMALL)
def test_state_adds_one_vector_to_all_inputs_and_changes_biases(model):
    net = make(model, ahead=5)
    before = copy.deepcopy(net.state_dict())
    change = CHANGES["state"](net)
    flat = {k for k, v in before.items() if v.ndim == 1 and not k.startswith("ahead.")}
    assert "head.bias" in flat
    few = before["token.weight"].shape[1] + sum(before[name].numel() for name in flat)
    assert sum(number.numel() for number in change.numbers) == few
    disturbed(change)
    found = differences(net, before)
    assert set(found) == {"token.weight", *flat}
    rows = found["token.weight"]
    assert torch.allclose(rows, rows[:1].expand_as(rows), atol=1e-6)
    assert rows.abs().max() > 0.01


@pytest.mark.parametrize("model", SMALL)
def test_low_rank_updates_are_of_low_rank_and_leave_what_reads_ahead(model):
    net = make(model, ahead=5)
    before = copy.deepcopy(net.state_dict())
    change = CHANGES["lora"](net)
    disturbed(change)
    found = differences(net, before)
    names = {name for name, _ in net.named_parameters() if not name.startswith("ahead.")}
    assert set(found) == names
    ranks = {k: int(torch.linalg.matrix_rank(v, atol=1e-4)) for k, v in found.items() if v.ndim > 1}
    assert max(ranks.values()) == RANK
    assert min(before[name].shape[0] for name in ranks) > RANK  # so that it says something


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.parametrize("how", CHANGES)
def test_gradients_of_the_numbers_are_those_of_small_steps(model, how, tunes):
    net = make(model)
    change = CHANGES[how](net)
    disturbed(change, seed=1)
    tokens, place, real = collate([lesson(tune) for tune in tunes[:2]], Codec())

    def loss():
        change.write()
        return functional.cross_entropy(net(tokens, place)[0][real], tokens[real])

    loss().backward()
    change.pull()
    rng = np.random.default_rng(0)
    for number in [change.numbers[i] for i in rng.choice(len(change.numbers), 2)]:
        at = int(number.grad.abs().argmax())
        flat, step = number.data.view(-1), 1e-2
        flat[at] += step
        up = loss().item()
        flat[at] -= 2 * step
        down = loss().item()
        flat[at] += step
        slope = (up - down) / (2 * step)
        assert number.grad.view(-1)[at].item() == pytest.approx(slope, rel=0.05, abs=1e-4)


def test_learning_lowers_the_loss_and_yields_the_average(tunes):
    net = make("lstm")
    tokens, place, real = collate([lesson(tune) for tune in tunes], Codec())
    losses = []
    for rounds in learn(
        net, "full", tunes, Codec(), Recipe(0.01, rounds=4), np.random.default_rng(0)
    ):
        assert rounds == len(losses)
        net.eval()
        with torch.no_grad():
            logits = net(tokens, place)[0]
        losses.append(functional.cross_entropy(logits[real], tokens[real]).item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] - 0.1


def test_decay_pulls_towards_the_prior(tunes):
    moved = {}
    for decay in (0.0, 20.0):
        net = make("lstm")
        before = copy.deepcopy(net.state_dict())
        recipe = Recipe(0.01, rounds=3, decay=decay)
        list(learn(net, "full", tunes, Codec(), recipe, np.random.default_rng(0)))
        moved[decay] = sum(x.square().sum() for x in differences(net, before).values())
    assert moved[20.0] < 0.5 * moved[0.0]


def test_what_is_yielded_is_the_running_average(tunes):
    moved = {}
    for average in (0.0, 0.05):  # which counts 0.95 of the first step
        net = make("lstm")
        before = copy.deepcopy(net.state_dict())
        recipe = Recipe(0.01, rounds=1, steps=1, average=average, dropout=0.0, batch_tokens=10**6)
        list(learn(net, "full", tunes, Codec(), recipe, np.random.default_rng(0)))
        moved[average] = differences(net, before)["head.bias"]
    assert torch.allclose(moved[0.05], 0.95 * moved[0.0], rtol=1e-3)
