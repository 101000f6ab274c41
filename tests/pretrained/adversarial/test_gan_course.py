"""Training of a GAN: a step of each side, the grammar, collapses that are named, bad input."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from envs.music.codec import FIRST_PITCH, HOLD, Codec
from pretrained import checkpoint
from pretrained import train as verb
from pretrained.adversarial.coverage import Coverage
from pretrained.adversarial.game import Game, GanSettings
from pretrained.adversarial.gan_course import alarms, fit, measure, most_of, whole_strains
from pretrained.adversarial.strains import strains_of
from pretrained.corpora.folk import load_corpus
from pretrained.networks.lens import has_started

SMALL = {"batch": 4, "hidden": 8, "noise": 4, "ripple": 2, "width": 4, "n_critic": 2}


@pytest.fixture(scope="module")
def tunes():
    return load_corpus().select("valid")[:40]


def game_of(tunes, **settings):
    return Game(GanSettings(**SMALL | settings), Codec(), strains_of(tunes, Codec()))


def weights(net):
    return torch.cat([weight.detach().flatten() for weight in net.parameters()]).clone()


def test_a_round_moves_the_critic_n_times_and_the_generator_once(tunes, monkeypatch):
    game = game_of(tunes, n_critic=3)
    steps = []
    for number, adam in enumerate(game.adams):
        step = adam.step
        monkeypatch.setattr(
            adam, "step", lambda step=step, number=number: (steps.append(number), step())
        )
    before = weights(game.generator), weights(game.critic)
    figures = game.round(1.0)
    assert steps == [1, 1, 1, 0]
    assert (weights(game.generator) != before[0]).any()
    assert (weights(game.critic) != before[1]).any()
    assert set(figures) == {"gap", "slope"}


def test_the_generator_climbs_what_the_critic_likes(tunes):
    game = game_of(tunes, batch=16, generator_rate=0.02, given=0.0)
    rests = torch.zeros(2 * game.codec.vocab - 2)
    rests[0] = 1.0
    game.critic.forward = lambda roll, place: (roll @ rests).mean(dim=1)
    monitor = []
    for _ in range(15):
        tokens, place = game.strains[0].draw(16, game.rng)
        real = functional.one_hot(tokens, game.codec.vocab).float()
        made = game.write(real, place, torch.zeros(tokens.shape) > 0, game.strains[0].bar, 1.0)
        monitor.append(made[..., 0].mean().item())
        game._move(0, -game.critic(made, place).mean())
    assert monitor[-1] > monitor[0] + 0.3


def test_what_is_written_keeps_the_grammar_and_what_is_given(tunes):
    game = game_of(tunes)
    strains = game.strains[0]
    tokens, place = strains.draw(30, game.rng)
    real = functional.one_hot(tokens, game.codec.vocab).float()
    given = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(0)) < 0.1
    given &= tokens != HOLD
    made = game.write(real, place, given, strains.bar, 1.0)
    found = made[..., : game.codec.vocab].argmax(-1)
    assert (found[given] == tokens[given]).all()
    assert not ((found == HOLD) & ~has_started(found)).any()
    torch.testing.assert_close(made.sum(-1).round(), made.sum(-1))  # tokens are whole
    assert (made[..., game.codec.vocab :].sum(-1) <= 1.001).all()


def test_strains_are_parts_with_the_plan_of_their_tunes(tunes):
    groups = strains_of(tunes, Codec())
    rng = np.random.default_rng(0)
    for group in groups:
        tokens, place = group.draw(20, rng)
        bars = group.tasks[0].bars
        assert bars in (4, 8)
        assert tokens.shape == (20, bars * group.bar)
        assert (place[..., 1] == group.bar).all()
        assert (place[:, 0, 5] == bars - 1).all()
        phrases = set((place[:, 0, 4] + 1).tolist())
        assert phrases == ({4} if bars == 4 else {4, 8})
    pieces = sum(score.batch for group in groups for score, _ in group.scores())
    assert pieces == sum(len(group.tasks) for group in groups)


def test_a_wider_vocabulary_has_the_same_pitches(tunes):
    wide = Codec(40, 90)
    plain, moved = (strains_of(tunes, codec)[0] for codec in (Codec(), wide))
    one, other = (group.draw(5, np.random.default_rng(1))[0] for group in (plain, moved))
    assert (torch.where(one >= FIRST_PITCH, one + 8, one) == other).all()


def test_fit_is_repeated_by_its_seed_and_tells_of_each_epoch(tunes):
    told = []
    settings = GanSettings(**SMALL, epochs=2)
    models = [fit(settings, tunes[:20], tunes[20:], Codec(), told.append) for _ in range(2)]
    assert [each.done for each in told] == [1, 2, 1, 2]
    assert all("coverage" in str(each) for each in told)
    assert (weights(models[0].net) == weights(models[1].net)).all()
    other = fit(replace(settings, seed=1), tunes[:20], tunes[20:], Codec(), told.append)
    assert (weights(other.net) != weights(models[0].net)).any()
    figures = measure(models[0], tunes)
    assert all(np.isfinite(value) for value in figures.values())


GOOD = Coverage(coverage=0.9, density=1.0, clusters=0.9, distinct=1.0, grams=0.9)


@pytest.mark.parametrize(
    ("slope", "found", "words"),
    [
        (1.0, GOOD, []),
        (1.0, replace(GOOD, distinct=0.1, grams=0.1), ["generator_rate"]),
        (1.0, replace(GOOD, grams=0.2), ["repeats"]),
        (0.01, GOOD, ["critic has collapsed"]),
        (9.0, GOOD, ["steep"]),
        (0.0, replace(GOOD, distinct=0.0), ["generator has", "critic has"]),
    ],
)
def test_collapses_are_named(slope, found, words):
    said = alarms(slope, found)
    assert len(said) == len(words)
    for sentence, word in zip(said, words, strict=True):
        assert word in sentence


def test_a_generator_that_writes_one_piece_is_named_in_the_log(tunes, monkeypatch):
    told = []

    def stuck(self, warmth):
        self.kept.module.head.bias.data[:] = torch.arange(38.0) * 100
        return {"gap": 0.0, "slope": 0.0}

    monkeypatch.setattr(Game, "round", stuck)
    fit(GanSettings(**SMALL, epochs=1), tunes[:20], tunes[20:], Codec(), told.append)
    assert "generator has collapsed" in str(told[0])
    assert "critic has collapsed" in str(told[0])


def test_a_training_that_diverges_is_stopped(tunes):
    game = game_of(tunes)
    game.generator.head.bias.data[:] = float("nan")
    with pytest.raises(ValueError, match="diverged"):
        game.round(1.0)


def test_too_few_tunes_are_refused_before_the_training(tunes):
    for few in ([], tunes[:1]):
        with pytest.raises(ValueError, match="more tunes"):
            fit(GanSettings(**SMALL), few, tunes, Codec(), print)


def test_where_nothing_is_held_out_it_is_watched_by_what_it_learns(tunes):
    told = []
    model = fit(GanSettings(**SMALL, epochs=1), tunes[:20], [], Codec(), told.append)
    assert "coverage" in str(told[0])
    assert measure(model, []) == {"held-out strains of 8 bars": 0}


def test_the_tasks_with_the_most_pieces_are_watched(tunes):
    held = whole_strains(strains_of(tunes, Codec()))
    sizes = sorted((score.batch for score, _ in held), reverse=True)
    assert [score.batch for score, _ in most_of(held, sizes[0] + 1)] == sizes[:2]
    assert len(most_of(held, 10**6)) == len(held)


@pytest.mark.parametrize("word", ["n_critic=0", "penalty=-1", "warmth=0", "given=2"])
def test_settings_out_of_bounds_are_refused(word):
    with pytest.raises(ValueError, match=word.partition("=")[0]):
        GanSettings.read([word])


def test_it_is_trained_by_the_verb(tmp_path, monkeypatch, capsys, tunes):
    words = [f"{name}={value}" for name, value in SMALL.items() if name != "batch"]
    out = tmp_path / "gan.safetensors"
    command = ["x", "--model", "gan", "--epochs", "1", "--out", str(out), "--settings"]
    monkeypatch.setattr("sys.argv", [*command, *words, "batch=2048"])
    monkeypatch.setattr(Game, "round", lambda self, warmth: {"gap": 0.0, "slope": 1.0})
    verb.main()
    assert "coverage" in capsys.readouterr().out
    assert checkpoint.notes(out)["config"]["n_critic"] == 2
    assert checkpoint.load_model(out).format == "gan/1"
