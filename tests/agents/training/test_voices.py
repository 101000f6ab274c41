"""The network that hears all voices as a policy of four: it begins as the prior, and learns."""

import numpy as np
import pytest
import torch

from envs.music.task import Task
from pretrained import checkpoint
from pretrained.networks.voices import VoicesPrior
from tests.agents.helpers import make_policy, observe, settings_of, tiny, trained, whole
from tests.agents.helpers import writing_order as in_order
from tests.helpers import random_pieces
from tests.pretrained.networks.hearing import partly_given
from tests.pretrained.networks.singing import singing

TASK = Task(bars=1, meter="2/4", voices=4, key="D minor")


@pytest.mark.parametrize("voices", [1, 2, 4])
def test_a_policy_begins_as_the_prior(voices):
    prior, task = singing(), {"bars": 1, "meter": "2/4", "voices": voices}
    policy, pieces = make_policy(prior, task), random_pieces(Task(**task), 5, seed=6)
    seen, actions = observe(pieces, task), torch.from_numpy(in_order(pieces.tokens))
    with torch.no_grad():
        _, chosen, _ = policy.evaluate_actions(whole(pieces, seen), actions)
        np.testing.assert_allclose(chosen, in_order(prior.log_prob(pieces)), atol=1e-5)
        for obs in seen:
            drawn, _, nats = policy(obs)
            anew = policy.evaluate_actions(obs, drawn)[1]
            torch.testing.assert_close(anew, nats, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("algo", "given"), [("ppo", False), ("ppo", True), ("pcl", False), ("qrdqn", True)]
)
def test_four_voices_are_learned(algo, given, tmp_path):
    task = partly_given(TASK, seed=2, share=0.3) if given else TASK
    update, path = 8 * task.steps, tmp_path / "voices.safetensors"
    checkpoint.save(path, singing())
    run = trained(
        tiny(
            path, tmp_path, algo=algo, task=task, n_timesteps=2 * update, samples=1, eval_pieces=8,
            reward=("tonic=1", f"prior=1,checkpoint={path}", "leap_recovery=2"),
            settings=settings_of(
                algo, batch_size=64, rollouts=2, n_epochs=1, buffer_size=20 * task.steps
            ),
        )
    )  # fmt: skip
    metrics = run.read_metrics()
    assert metrics["kl"][0] == pytest.approx(0, abs=1e-5)
    assert abs(metrics["kl"][-1]) > 1e-5
    agent = checkpoint.load(run.policy_file, task)
    assert isinstance(agent, VoicesPrior)
    pieces = random_pieces(task, 3, 1)
    assert (agent.log_prob(pieces) != singing().log_prob(pieces)).any()
