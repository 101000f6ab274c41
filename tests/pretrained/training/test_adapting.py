"""Adapting a prior: the gain is that of tunes left out, and a prior that gains nothing is kept."""

import copy

import numpy as np
import pytest
import torch

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.checkpoint import load, save
from pretrained.corpora.folk import load_corpus
from pretrained.corpora.split import clusters
from pretrained.corpora.tunes import GridTune
from pretrained.networks.architectures import SumPrior, model_named
from pretrained.networks.recurrent import NetShape, RecurrentNet, RecurrentPrior
from pretrained.prior import sample
from pretrained.training import adapting
from pretrained.training.adapting import Gain, adapt, costs
from pretrained.training.changes import CHANGES, Recipe
from pretrained.training.fit import held_out

QUICK = Recipe(0.05, rounds=4)


def make_prior(seed=7, codec=None, scale=0.4, **sizes):
    codec = codec or Codec()
    shape = NetShape(codec.vocab, **({"hidden": 16, "embed": 8, "lookback": 1} | sizes))
    net, rng = RecurrentNet(shape), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0.0, scale, generator=rng)
    return RecurrentPrior(net, codec)


def written_by(prior, n, seed=0, bars=4):
    """Tunes that a prior writes."""
    task = Task(bars=bars, low=Codec.low, high=Codec.high)
    position = (np.arange(task.cells) % 16).astype(np.int16)
    tokens = sample(prior, Score.page(task, n), seed).tokens[:, 0]
    return [
        GridTune(row.astype(np.int16), position, (4, 4), 0, f"No. {number}")
        for number, row in enumerate(tokens)
    ]


def of_another_style(prior, much=2.0):
    """The prior with other chances of each token, whatever stands before."""
    other = copy.deepcopy(prior)
    rng = torch.Generator().manual_seed(1)
    other.net.head.bias.add_(much * torch.randn(other.net.head.bias.shape, generator=rng))
    return other


@pytest.fixture(scope="module")
def prior():
    return make_prior()


@pytest.fixture(scope="module")
def styled(prior):
    return written_by(of_another_style(prior), 12)


@pytest.mark.parametrize("how", CHANGES)
def test_a_planted_style_is_learned_and_gains_on_tunes_never_seen(prior, styled, how):
    before = copy.deepcopy(prior.net.state_dict())
    adapted = adapt(prior, styled, how, recipe=QUICK)
    assert adapted.gain.certain
    assert adapted.gain.after < adapted.gain.before - 2 * adapted.gain.error
    unseen = written_by(of_another_style(prior), 20, seed=5)
    old, new, best = (
        held_out(each.net, unseen, Codec()).bits_per_note
        for each in (prior, adapted.prior, of_another_style(prior))
    )
    assert new < old - 0.4 * (old - best)
    assert adapted.gain.before - adapted.gain.after == pytest.approx(old - new, rel=0.6)
    assert all(torch.equal(before[k], v) for k, v in prior.net.state_dict().items())


@pytest.mark.parametrize("how", CHANGES)
def test_tunes_of_the_prior_itself_gain_nothing_and_it_is_kept(prior, how):
    adapted = adapt(prior, written_by(prior, 12, seed=3), how, recipe=QUICK)
    assert not adapted.gain.certain
    assert adapted.prior is prior


def test_the_same_seed_adapts_the_same_and_no_other_draw_is_disturbed(prior, styled):
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    one, two, other = (adapt(prior, styled, "lora", seed, QUICK) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert one.gain == two.gain != other.gain
    for a, b in zip(one.prior.net.parameters(), two.prior.net.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("model", ["gru", "lstm-attention", "transformer"])
def test_every_architecture_is_adapted_and_read_again(model, styled, tmp_path):
    kind = model_named(model)
    small = {"transformer": {"width": 12, "heads": 2, "layers": 1}}
    sizes = small.get(model, {"hidden": 8, "embed": 8})
    prior = kind(kind.network(kind.sizes(Codec().vocab, ahead=4, places=6, **sizes)), Codec())
    adapted = adapt(prior, styled, "state", recipe=QUICK)
    assert adapted.gain.certain
    save(tmp_path / "mine.safetensors", adapted.prior)
    again = load(tmp_path / "mine.safetensors")
    assert type(again) is kind
    assert again.shape == prior.shape
    page = Score.page(Task(), 3)
    drawn = sample(adapted.prior, page)
    np.testing.assert_allclose(again.log_prob(drawn), adapted.prior.log_prob(drawn))


def test_costs_are_those_of_the_held_out_figures(prior, styled):
    nats, notes = costs(prior.net, styled, Codec()).T
    figures = held_out(prior.net, styled, Codec())
    assert nats.sum() / notes.sum() / np.log(2) == pytest.approx(figures.bits_per_note, rel=1e-5)
    assert notes.tolist() == [(tune.tokens > 1).sum() for tune in styled]
    alone = costs(prior.net, styled[3:4], Codec())
    np.testing.assert_allclose(alone[0], [nats[3], notes[3]], rtol=1e-5)


def test_the_gain_by_plain_loops():
    rng = np.random.default_rng(0)
    nats, notes = rng.uniform(50, 60, (7, 5)), rng.integers(10, 30, 7).astype(float)
    after = []
    for i in range(7):
        sums = [sum(nats[j, r] for j in range(7) if j != i) for r in range(5)]
        after.append(nats[i, sums.index(min(sums))])
    bits = notes.sum() * np.log(2)
    gain = Gain.of(nats, notes)
    assert gain.before == pytest.approx(nats[:, 0].sum() / bits)
    assert gain.after == pytest.approx(sum(after) / bits)
    totals = nats.sum(axis=0).tolist()
    assert gain.rounds == totals.index(min(totals))


def test_the_standard_error_is_how_far_gains_of_other_tunes_lie():
    rng = np.random.default_rng(1)

    def draw():
        notes = rng.integers(10, 50, 30).astype(float)
        nats = np.stack([notes * 3, notes * 3 - notes * rng.normal(0.4, 0.3, 30)], axis=1)
        return Gain.of(nats, notes)

    gains = [draw() for _ in range(400)]
    spread = np.std([gain.before - gain.after for gain in gains])
    assert np.mean([gain.error for gain in gains]) == pytest.approx(spread, rel=0.1)


def test_noise_is_seldom_a_gain_and_none_on_average():
    rng = np.random.default_rng(2)
    notes = np.full(10, 40.0)
    gains = [Gain.of(100 + rng.normal(0, 5, (10, 9)), notes) for _ in range(500)]
    assert abs(np.mean([gain.before - gain.after for gain in gains])) < 0.02
    assert np.mean([gain.certain for gain in gains]) < 0.3


def test_near_duplicates_are_left_out_together(styled):
    variants = [styled[i // 3] for i in range(30)]  # three of each of ten
    cluster = np.array(clusters([tune.tokens for tune in variants]))
    folds = adapting._folds(variants, cluster, np.random.default_rng(0))
    assert len(folds) == adapting.FOLDS
    assert sorted(np.concatenate(folds)) == list(range(30))
    for fold in folds:
        rest = np.setdiff1d(np.arange(30), fold)
        assert not set(cluster[fold]) & set(cluster[rest])


def test_of_many_tunes_one_part_is_left_out(styled, monkeypatch):
    monkeypatch.setattr(adapting, "MOST_FOLDED", 100)
    monkeypatch.setattr(adapting, "MANY", 11)
    (fold,) = adapting._folds(styled, np.arange(12), np.random.default_rng(0))
    assert len(fold) == 3  # a fifth
    adapted = adapt(make_prior(), styled, "state", recipe=QUICK)
    assert (adapted.folds, adapted.left_out) == (1, 3)
    monkeypatch.setattr(adapting, "MOST_LEFT_OUT", 2)
    (fold,) = adapting._folds(styled, np.arange(12), np.random.default_rng(0))
    assert len(fold) == 2
    monkeypatch.setattr(adapting, "MANY", 12)  # of a few long ones each is left out
    assert len(adapting._folds(styled, np.arange(12), np.random.default_rng(0))) == 5


def test_two_tunes_are_enough_and_each_is_left_out(prior, styled):
    adapted = adapt(prior, styled[:2], recipe=QUICK)
    assert (adapted.tunes, adapted.folds, adapted.left_out) == (2, 2, 2)


def test_few_tunes_change_the_state_and_more_change_all(prior, styled):
    assert adapt(prior, [*styled[:10], styled[0]], recipe=QUICK).how == "state"
    assert adapt(prior, styled[:11], recipe=QUICK).how == "full"


@pytest.mark.parametrize("tunes", [[], [0], [0, 0]])
def test_too_few_tunes_are_refused(prior, styled, tunes):
    with pytest.raises(ValueError, match="at least 2"):
        adapt(prior, [styled[i] for i in tunes])


def test_tunes_beyond_the_range_are_counted_and_not_used(styled):
    narrow = Codec(60, 71)
    tunes = load_corpus().select("train")
    with pytest.raises(ValueError, match="beyond the range"):
        adapt(make_prior(codec=narrow), styled)
    inside = [t for t in tunes if set(t.tokens) <= {0, 1, *range(14, 26)}][:3]
    adapted = adapt(make_prior(codec=narrow), [*inside, *styled], recipe=QUICK)
    assert (adapted.tunes, adapted.beyond) == (3, 12)


def test_priors_without_these_parts_are_refused(prior, styled):
    with pytest.raises(ValueError, match="sum/1"):
        adapt(SumPrior(prior, make_prior(1)), styled)
    with pytest.raises(ValueError, match="grid|quarter"):
        adapt(make_prior(codec=Codec(grid=2)), styled)
    with pytest.raises(ValueError, match="state, lora, full"):
        adapt(prior, styled, "all")


def test_progress_is_told(prior, styled):
    told = []
    adapted = adapt(prior, styled, "state", recipe=QUICK, progress=lambda *x: told.append(x))
    rounds = 4 * adapted.folds + adapted.gain.rounds
    assert told == [(i, 4 * (adapted.folds + 1)) for i in range(1, rounds + 1)]
