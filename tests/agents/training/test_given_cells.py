"""Every algorithm learns on a page with given cells, with a network that hears what is ahead."""

import pytest

from agents.settings.algorithm import ALGORITHMS
from agents.training import Listener, train
from envs.music.task import Task
from pretrained import checkpoint
from tests.agents.helpers import settings_of, tiny, trained
from tests.pretrained.networks.hearing import hearing, partly_given
from tests.tools.kill_runs import COMPARED, same

TASK = partly_given(Task(bars=2, meter="2/4"), seed=3)
UPDATE = 8 * TASK.steps


class Stop(Listener):
    """Stops after two updates."""

    def stepped(self, steps):
        return steps < 2 * UPDATE


def config_of(algo, path, prior):
    return tiny(
        prior, path, algo=algo, task=TASK, n_timesteps=4 * UPDATE, samples=1, eval_pieces=8,
        reward=("tonic=1", f"prior=1,checkpoint={prior}", "leap_recovery=2"),
        mask=("key",) if algo == "maskable_ppo" else (),
        settings=settings_of(
            algo, batch_size=64, group_size=4, rollouts=2, n_epochs=1, buffer_size=20 * TASK.steps
        ),
    )  # fmt: skip


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_it_learns_and_goes_on_as_if_it_had_not_been_stopped(algo, tmp_path):
    prior = tmp_path / "hears.safetensors"
    before = hearing("lstm-attention")
    checkpoint.save(prior, before)
    straight = trained(config_of(algo, tmp_path / "straight", prior))
    config = config_of(algo, tmp_path / "stopped", prior)
    train(config, listener=Stop())
    stopped = trained(config, config.runs / config.name)
    assert all(same(stopped.path / name, straight.path / name) for name in COMPARED)
    policy = checkpoint.load(straight.policy_file)
    assert policy.hears_ahead
    metrics = straight.read_metrics()
    assert metrics["steps"][-1] == 4 * UPDATE
    if not config.mask:  # behind masks it is another policy than the prior
        assert metrics["kl"][0] == pytest.approx(0, abs=1e-5)
        assert abs(metrics["kl"][-1]) > 1e-4
