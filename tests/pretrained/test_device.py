"""Networks on another device than the CPU, and which devices there are."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.corpora.folk import load_corpus
from pretrained.device import find_device, has_bf16, require_device
from pretrained.networks.recurrent import MANY
from pretrained.prior import sample
from pretrained.training.fit import fit
from pretrained.training.settings import PriorConfig
from tests.other_device import NAME, MixedError, other_device
from tests.pretrained.networks.hearing import KINDS, SIZES, hearing

TASK = Task(bars=2, meter="3/4")
AHEAD = replace(TASK, given=((*(-1,) * 20, 14, 1, 1, 1),))


def test_the_other_device_refuses_what_a_gpu_refuses():
    with other_device() as device:
        there = torch.arange(3, device=device)
        assert (there + 1).tolist() == [1, 2, 3]
        assert there[torch.tensor([2, 2])].sum() == 4  # indices may be on the CPU
        for mixed in (
            lambda: there + torch.ones(3),
            lambda: torch.cat([there, torch.arange(3)]),
            lambda: torch.where(there > 0, torch.ones(3), 0),
            lambda: there.numpy(),
            lambda: np.asarray(there),
            lambda: torch.empty_like(there, dtype=torch.float32).exponential_(
                generator=torch.Generator()
            ),
        ):
            with pytest.raises(MixedError):
                mixed()


@pytest.mark.parametrize("name", KINDS)
def test_a_prior_on_another_device_is_the_same_prior(name, tmp_path):
    prior = hearing(name)
    for task in (TASK, AHEAD):
        page = Score.page(task, MANY)
        drawn = sample(prior, page, seed=1)
        nats = prior.log_prob(drawn)
        with other_device():
            prior.net.to(NAME)
            assert np.array_equal(sample(prior, page, seed=1).tokens, drawn.tokens)
            assert np.array_equal(prior.log_prob(drawn), nats)
            logits, state = prior.step(prior.start(task, MANY), page)
            picked = prior.take(state, torch.tensor([2, 0]))
            written = page.take(np.array([2, 0])).write(drawn.tokens[[2, 0], 0, 0])
            assert logits.device == prior.step(picked, written)[0].device == torch.device("cpu")
            checkpoint.save(tmp_path / "there.safetensors", prior)
            prior.net.cpu()
    checkpoint.save(tmp_path / "here.safetensors", prior)
    assert (tmp_path / "there.safetensors").read_bytes() == (
        tmp_path / "here.safetensors"
    ).read_bytes()


@pytest.mark.filterwarnings("ignore:at..frobenius_norm")  # that of Muon, where it is dispatched
@pytest.mark.parametrize("name", SIZES)
def test_a_fit_on_another_device_is_that_on_the_cpu(name, monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    tunes = load_corpus().select("test")[:4]
    sizes = {k: v for k, v in SIZES[name].items() if hasattr(PriorConfig, k)}
    config = PriorConfig(name, epochs=1, dropout=0.0, bf16=False, ahead=8, plan=True, **sizes)
    here = fit(config, tunes, tunes[:1], Codec())
    with other_device():
        there = fit(replace(config, device=NAME), tunes, tunes[:1], Codec())
    for (key, one), two in zip(here.state_dict().items(), there.state_dict().values(), strict=True):
        assert two.device.type == "cpu"
        assert torch.allclose(one, two, atol=1e-6), key


def test_devices_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    for name in ("cpu", "auto", "cuda", "cuda:0", "cuda:1"):
        require_device(name)
    assert [find_device(name) for name in ("auto", "cuda:1", "cpu")] == ["cuda", "cuda:1", "cpu"]
    with pytest.raises(ValueError, match="finds 2 GPU here"):
        require_device("cuda:2")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert find_device("auto") == "cpu"
    for name, word in (("cuda", "no GPU"), ("mps", "no such GPU"), ("gpu", "unknown device")):
        with pytest.raises(ValueError, match=word):
            fit(PriorConfig(device=name), [], [], Codec())


def test_bfloat16_is_that_of_the_device(monkeypatch):
    class Chosen:
        def __init__(self, device):
            self.device = device

        def __enter__(self):
            supported = self.device == "cuda:1"
            monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **how: supported)

        def __exit__(self, *error):
            pass

    monkeypatch.setattr("torch.cuda.device", Chosen)
    assert not has_bf16("cuda:0")
    assert has_bf16("cuda:1")
    assert isinstance(has_bf16("cpu"), bool)


def test_float32_is_whole_while_training_and_as_before_afterwards():
    before = torch.backends.cudnn.allow_tf32
    seen = []

    def build(config, codec):
        seen.append(torch.backends.cudnn.allow_tf32)
        raise KeyError

    with pytest.raises(KeyError):
        fit(PriorConfig(), [], [], Codec(), build)
    assert seen == [False]
    assert torch.backends.cudnn.allow_tf32 == before
