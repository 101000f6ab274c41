"""Small Q-learners for the algorithms' tests."""

import copy
from dataclasses import fields

import numpy as np
import pytest
import torch

from agents.algorithms.own_settings import Memory, Quantiles
from agents.algorithms.q_learning import QLearning
from agents.algorithms.q_policy import KINDS, QPolicy
from agents.learning.vec_env import CompositionVecEnv, Deferred
from envs.composition import CompositionVectorEnv
from rewards.likelihood import Likelihood
from rewards.objective import Objective
from rewards.sum import RewardSum
from rewards.term import Term

kinds = pytest.mark.parametrize("kind", KINDS)


def colour(score):
    """Return a reward that differs at every cell and depends on the cell before."""
    return np.sin(score.tokens * (score.cell + 1.0) + score.previous_pitch).astype(np.float32)


colour.cellwise = True


def make(prior, kind="q", n=4, task=None, weight=1.0, c=1.0, policy_kwargs=None, **settings):
    """Return a small learner on one bar, rewarded by `colour` and the prior."""
    env = CompositionVecEnv(CompositionVectorEnv(n, reward=Deferred(), **(task or {"bars": 1})))
    reward = RewardSum(
        [Term("colour", colour), Term("prior", Likelihood(checkpoint=prior), weight)]
    )
    own = {"batch_size": 32} | ({"n_quantiles": 3} if kind == "qrdqn" else {})
    of_memory = Quantiles if kind == "qrdqn" else Memory
    own |= {f.name: settings.pop(f.name) for f in fields(of_memory) if f.name in settings}
    settings = {"seed": 0, "n_steps": env.env.task.steps} | settings
    return QLearning(
        QPolicy, env, kind=kind, settings=of_memory(**own), device="cpu",
        policy_kwargs={"prior": prior, **(policy_kwargs or {})},
        rollout_buffer_kwargs={"objective": Objective(reward, c, 0.0), "task": env.env.task},
        **settings,
    )  # fmt: skip


def filled(prior, kind="q", **settings):
    """Return a learner with changed weights and a rollout in its memory, before any update."""
    model = make(prior, kind, **({"replay_ratio": 1e-3} | settings)).learn(1)
    for number, net in enumerate((model.policy.net, model.policy.target)):
        move(net, number)
        with torch.no_grad():
            net.head.bias -= 9.0  # below what stands for nothing: forgetting a mask would show
    return model


def state(model):
    return copy.deepcopy(model.policy.state_dict())


def move(net, seed):
    """Add noise to every weight of a network."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.empty_like(weight).normal_(0.0, 0.3, generator=rng))
