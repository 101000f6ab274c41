"""The check of a GPU, on the device that stands in for one; and where there is none."""

import pytest

from tests.other_device import NAME, other_device
from tests.tools import gpu_check


def test_without_a_gpu_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu_check.main([]) == 0
    assert "no GPU here" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [0, 1])
def test_losses_that_differ_are_told(capsys, monkeypatch, tmp_path, wrong):
    small = {"MODELS": ("lstm",), "TUNES": 2, "EPOCHS": 1, "ENVS": 32, "UPDATES": 2}
    for name, value in {**small, "ALGORITHMS": ("rloo",)}.items():
        monkeypatch.setattr(gpu_check, name, value)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    monkeypatch.setattr(gpu_check, "fit_speed", lambda *arguments: 1000.0)
    monkeypatch.setattr(gpu_check, "train_speed", lambda *arguments: 2000.0)
    if wrong:
        monkeypatch.setattr(gpu_check, "on_cpu", lambda logits: logits.argmax(dim=-1))
        monkeypatch.setattr(
            gpu_check, "fit_losses", lambda model, device: [1.0, 1.0 + 0.01 * (device == NAME)]
        )
    with other_device():
        assert gpu_check.main(["--device", NAME]) == wrong
    told = capsys.readouterr().out
    assert told.count("DIFFERENT") == wrong
    assert told.count("same, apart") == 3 - wrong
