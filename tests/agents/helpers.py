"""Tiny policies, agents and runs for the agents' tests."""

import json
from dataclasses import fields
from itertools import product
from pathlib import Path

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.utils import obs_as_tensor

from agents.learning.policy import PriorPolicy
from agents.learning.vec_env import CompositionVecEnv
from agents.settings.algorithm import find_algorithm
from agents.settings.config import TrainConfig
from agents.training import job as training
from envs.composition import CompositionVectorEnv
from envs.music.codec import HOLD
from envs.music.score import Score
from rewards.build import build

UPDATE = 8 * 32  # steps of one update of the reference episode


def make_policy(prior, task, seed=None, **arguments):
    """Return a policy for a task; a seed changes its weights at random, the value head included."""
    env = CompositionVectorEnv(1, reward="in_key", **task)
    spaces = env.single_observation_space, env.single_action_space
    policy = PriorPolicy(*spaces, lambda _: 1e-3, prior=prior, **arguments)
    if seed is not None:
        rng = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in policy.parameters():
                weight.add_(torch.empty_like(weight).normal_(0.0, 0.3, generator=rng))
    return policy.train(False)


def observe(pieces, task):
    """Return the observations before each cell of finished pieces, in writing order, as tensors."""
    env = CompositionVectorEnv(pieces.batch, reward="in_key", autoreset_mode="Disabled", **task)
    observation, _ = env.reset()
    seen = []
    for action in writing_order(pieces.tokens).reshape(pieces.batch, -1).T:
        seen.append(obs_as_tensor(observation, "cpu"))
        observation, *_ = env.step(action)
    assert np.array_equal(env.score.tokens, pieces.tokens)
    return seen


def writing_order(cells):
    """Return (B, V, T) as (B * T * V,), piece by piece, each in writing order."""
    return np.asarray(cells).transpose(0, 2, 1).reshape(-1)


def whole(pieces, seen):
    """Return the observation of whole pieces in the form of an EpisodeBuffer's minibatches."""
    return {
        "pieces": torch.from_numpy(pieces.tokens.astype(np.int64)),
        "action_mask": torch.stack([obs["action_mask"] for obs in seen], dim=1),
        "context": seen[0]["context"],
    }


def rows(observation, index):
    return {name: value[index] for name, value in observation.items()}


def vec_env(n=4, reward="in_key", **task):
    return CompositionVecEnv(CompositionVectorEnv(n, reward=reward, **({"bars": 1} | task)))


def learner(algorithm, prior, buffer=None, seed=0, n=4, task=None, **settings):
    """Return a small agent on one bar, with rewards paid step by step."""
    env = vec_env(n, **(task or {}))
    if algorithm is PPO:
        settings = {"batch_size": 32, "n_epochs": 2} | settings
    kwargs = {"prior": prior} | settings.pop("policy_kwargs", {})
    return algorithm(
        PriorPolicy, env, n_steps=env.env.task.steps, rollout_buffer_class=buffer, seed=seed,
        policy_kwargs=kwargs, device="cpu", **settings,
    )  # fmt: skip


def weights(model):
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def settings_of(algo, **settings):
    """Those of the settings that an algorithm has."""
    known = {field.name for field in fields(find_algorithm(algo).settings)}
    return {name: value for name, value in settings.items() if name in known}


def tiny(checkpoint_file, runs, **changes):
    """Return the settings of a run that takes a second."""
    base = TrainConfig(
        n_timesteps=3 * UPDATE,
        reward=("tonic=1", f"prior=0.5,checkpoint={checkpoint_file}", "leap_recovery=2,min_leap=4"),
        prior=str(checkpoint_file),
        runs=Path(runs),
        name="tiny",
        n_envs=8,
        settings={"batch_size": 128, "n_epochs": 2},
        learning_rate=5e-3,
        threads=1,
        device="cpu",
        eval_pieces=20,
        samples=2,
        judge=False,  # counted from music21's corpus at first use
        progress=False,
    )
    return base.changed(**changes)


def trained(config, resume=None):
    run = training.train(config, resume)
    assert run.reported >= config.n_timesteps
    return run


def strict(path):
    """Parse JSON; refuse NaN, which other readers do not know."""

    def refuse(word):
        raise ValueError(f"{word} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def every_piece(task):
    """Return all pieces that a small task has."""
    legal = np.flatnonzero(task.codec.legal(np.array(True), task.low, task.high)).tolist()
    lines = [
        line
        for line in product(legal, repeat=task.cells)
        if HOLD not in line[: next((i for i, token in enumerate(line) if token > HOLD), len(line))]
    ]
    return Score(np.array(lines)[:, None], task)


def optimum(prior, reward, pieces):
    """Return the shares of all pieces under a prior times exp of a reward."""
    likely = prior.log_prob(pieces).sum(axis=(1, 2), dtype=np.float64)
    heights = likely + build(reward)(pieces).sum(axis=(1, 2), dtype=np.float64)
    shares = np.exp(heights - heights.max())
    return shares / shares.sum()
