"""Algorithms by name, all of them starting from the prior."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.utils import get_device

from agents.config import TrainConfig
from agents.policy import PriorPolicy
from agents.rollout import EpisodeBuffer
from envs.theory import did_you_mean

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    from agents.vec_env import CompositionVecEnv
    from pretrained.prior import RecurrentPrior
    from rewards.total import RewardSum

Maker = Callable[..., "OnPolicyAlgorithm"]


def has_bf16(device: str) -> bool:
    """Whether matrices are multiplied in bfloat16 by the hardware; emulated, it is slower."""
    if get_device(device).type != "cpu":
        return True
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def falling(peak: float) -> Callable[[float], float]:
    """A learning rate that falls linearly to a tenth as the remaining progress goes 1 to 0."""
    return lambda remaining: peak * (0.1 + 0.9 * max(0.0, remaining))  # the last rollout overshoots


def _ppo(config: TrainConfig, env: CompositionVecEnv, **common: object) -> OnPolicyAlgorithm:
    with warnings.catch_warnings():
        # SB3's advice on the last minibatch; whole pieces fill minibatches their own way
        warnings.filterwarnings("ignore", "You have specified a mini-batch size")
        return PPO(
            PriorPolicy,  # type: ignore[arg-type]  # SB3 names ActorCriticPolicy, uses its methods
            env,
            n_epochs=config.n_epochs,
            batch_size=config.batch_size,
            clip_range=config.clip_range,
            **common,  # type: ignore[arg-type]
        )


def _a2c(config: TrainConfig, env: CompositionVecEnv, **common: object) -> OnPolicyAlgorithm:
    return A2C(
        PriorPolicy,  # type: ignore[arg-type]
        env,
        use_rms_prop=False,
        normalize_advantage=True,
        **common,  # type: ignore[arg-type]
    )


ALGORITHMS: dict[str, Maker] = {"ppo": _ppo, "a2c": _a2c}


def check_name(name: str) -> None:
    """Raise ValueError unless there is such an algorithm."""
    if name not in ALGORITHMS:
        raise ValueError(
            f"unknown algorithm {name!r}.{did_you_mean(name, ALGORITHMS)} "
            f"Known: {', '.join(ALGORITHMS)}"
        )


def make(
    config: TrainConfig, env: CompositionVecEnv, prior: RecurrentPrior, reward: RewardSum
) -> OnPolicyAlgorithm:
    """An SB3 algorithm whose policy is the prior, learning from whole pieces.

    Args:
        config: settings.
        env: pays nothing itself; the buffer scores finished pieces.
        prior: to start from.
        reward: what the pieces are scored by.

    Raises:
        ValueError: an unknown algorithm or device, or a prior of another codec.
    """
    check_name(config.algo)
    try:
        get_device(config.device)
    except RuntimeError:
        raise ValueError(f"unknown device {config.device!r}; expected auto, cpu or cuda") from None
    task = env.env.task
    prior.require(task.codec)
    return ALGORITHMS[config.algo](
        config,
        env,
        learning_rate=falling(config.learning_rate),
        n_steps=task.steps,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        vf_coef=config.vf_coef,
        max_grad_norm=config.max_grad_norm,
        rollout_buffer_class=EpisodeBuffer,
        ent_coef=0.0,  # the entropy is in the return, where it also counts what is to come
        rollout_buffer_kwargs={
            "reward": reward,
            "task": task,
            "entropy": config.entropy,
            "normalize_values": True,
        },
        policy_kwargs={
            "prior": prior,
            "value_gradient": config.value_gradient,
            "bf16": config.bf16 and has_bf16(config.device),
        },
        seed=config.seed,
        device=config.device,
    )
