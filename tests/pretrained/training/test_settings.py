"""Settings of a training: recipes, sizes, and the network and optimisers they make."""

from dataclasses import fields

import pytest
import torch

from envs.music.codec import Codec
from pretrained.networks.architectures import model_named
from pretrained.training.fit import untrained
from pretrained.training.optimizers import MUON_RATE, Optimizers
from pretrained.training.settings import PriorConfig

MODELS = ("lstm", "gru", "lstm-attention", "transformer", "voices")


def test_an_lstm_is_trained_as_folk_was_unless_other_settings_are_given():
    asked = PriorConfig(hidden=16, epochs=3)
    assert asked.settled() == {
        **{"model": "lstm", "range": "C3-B5", "seed": 0, "bf16": True, "hidden": 16, "layers": 1},
        **{
            "embed": 128,
            "lookback": 2,
            "plan": False,
            "epochs": 3,
            "dropout": 0.4,
            "token_dropout": 0.0,
        },
        **{"batch_tokens": 6144, "optimizer": "adamw", "learning_rate": 4e-3},
        **{"weight_decay": 0.05, "average": 0.998},
    }
    assert PriorConfig(model="lstm-attention").setting("optimizer") == "muon"
    assert PriorConfig(model="lstm-attention", optimizer="adamw").setting("optimizer") == "adamw"


@pytest.mark.parametrize("name", MODELS)
def test_the_network_has_the_sizes_of_its_recipe(name):
    config = PriorConfig(model=name)
    net, kind = untrained(config, Codec()), model_named(name)
    assert type(net) is kind.network
    for size, value in config.sizes().items():
        assert getattr(net.shape, size) == value
    if name != "voices":  # which always sees the plan
        assert net.shape.places == (6 if config.setting("plan") else 3)


@pytest.mark.parametrize("name", MODELS)
def test_anything_asked_for_reaches_the_network_or_is_refused(name):
    known = {field.name for field in fields(model_named(name).sizes)}
    for size, value in {"hidden": 24, "width": 24, "layers": 2, "heads": 2, "ahead": 8}.items():
        config = PriorConfig(model=name, **{size: value})
        if size in known:
            assert getattr(untrained(config, Codec()).shape, size) == value
        else:
            with pytest.raises(ValueError, match=size):
                untrained(config, Codec())


def test_a_model_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="transformer"):
        untrained(PriorConfig(model="gan"), Codec())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_each_weight_has_one_optimiser_and_matrices_inside_have_muon(name, optimizer):
    config = PriorConfig(model=name, optimizer=optimizer, ahead=8, learning_rate=1e-3)
    net = untrained(config, Codec())
    optimizers = Optimizers(net, config)._all
    groups = [group for each in optimizers for group in each.param_groups]
    weights = [id(weight) for group in groups for weight in group["params"]]
    assert sorted(weights) == sorted(map(id, net.parameters()))
    if optimizer == "adamw":
        assert len(optimizers) == 1
        return
    with_muon = {id(weight) for weight in groups[1]["params"]}
    tables = {id(w) for m in net.modules() if isinstance(m, torch.nn.Embedding) for w in [m.weight]}
    assert with_muon
    assert not with_muon & (tables | {id(net.head.weight), id(net.head.bias)})
    assert groups[1]["lr"] == pytest.approx(MUON_RATE * 1e-3)


def test_what_reads_ahead_is_cut_apart_from_the_rest():
    """A steep gradient ahead leaves the step of the trunk as it is."""
    after = []
    for steep in (0.0, 1e6):
        torch.manual_seed(0)
        config = PriorConfig(hidden=8, embed=8, ahead=8)
        net = untrained(config, Codec())
        loss = net.head.weight.square().sum() + steep * net.ahead.trust.weight.square().sum()
        Optimizers(net, config).descend(loss, 1.0)
        after.append(net.head.weight.detach().clone())
    assert torch.equal(*after)
