"""Trainings on another device than the CPU, and runs that are resumed on the other one.

There need be no GPU: `tests.other_device` refuses what a GPU would refuse. On a machine with one,
`python -m tests.tools.gpu_check` trains on it.
"""

import contextlib
from dataclasses import replace

import pytest

from agents.training.job import train
from agents.training.listener import Listener
from tests.agents.helpers import UPDATE, settings_of, tiny
from tests.other_device import NAME, other_device


class StopsAt(Listener):
    """Stops a training in the rollout behind as many steps."""

    def __init__(self, steps):
        self.steps = steps

    def stepped(self, steps):
        return steps < self.steps


@pytest.fixture
def settings(tiny_checkpoint, tmp_path):
    """Return a function of an algorithm: the settings of a run in float32."""

    def of(algo, name):
        own = settings_of(
            algo, batch_size=128, n_epochs=2, group_size=8, buffer_size=2048, rollouts=2
        )
        reward = ("tonic=1", "prior=1" if algo == "g" else "prior=0.5")
        config = tiny(tiny_checkpoint, tmp_path, algo=algo, reward=reward, **own)
        return replace(
            config, name=name, n_timesteps=2 * UPDATE, bf16=False, samples=0, eval_freq=-1
        )

    return of


@pytest.fixture
def on(monkeypatch):
    """Return a function that trains on a device: there if True, on the CPU if False."""
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)

    def run(there, config, *arguments):
        with other_device() if there else contextlib.nullcontext():
            return train(replace(config, device=NAME if there else "cpu"), *arguments)

    return run


@pytest.mark.parametrize("algo", ["a2c", "maskable_ppo", "rloo", "psi", "qrdqn"])
def test_a_training_on_another_device_is_that_on_the_cpu(algo, settings, on):
    here, there = (on(there, settings(algo, str(there))) for there in (False, True))
    assert there.read_metrics() == here.read_metrics()
    assert there.policy_file.read_bytes() == here.policy_file.read_bytes()


@pytest.mark.parametrize("algo", ["ppo", "rwr", "g"])
@pytest.mark.parametrize("first", [False, True])
def test_a_run_is_resumed_on_another_device(algo, first, settings, on):
    straight = on(False, settings(algo, "straight"))
    config = settings(algo, "broken")
    run = on(first, config, None, StopsAt(UPDATE + 8))
    assert run.saved == UPDATE
    on(not first, config, run.path)
    assert run.read_metrics() == straight.read_metrics()
