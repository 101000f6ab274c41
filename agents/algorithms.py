"""Algorithms by name, all of them starting from the prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stable_baselines3 import A2C, PPO

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


def falling(peak: float) -> Callable[[float], float]:
    """A learning rate that falls linearly to a tenth as the remaining progress goes 1 to 0."""
    return lambda remaining: peak * (0.1 + 0.9 * remaining)


def _ppo(config: TrainConfig, env: CompositionVecEnv, **common: object) -> OnPolicyAlgorithm:
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
        ValueError: an unknown algorithm, or a prior of another codec.
    """
    check_name(config.algo)
    task = env.env.task
    prior.require(task.codec)
    return ALGORITHMS[config.algo](
        config,
        env,
        learning_rate=falling(config.learning_rate),
        n_steps=task.steps,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        ent_coef=config.ent_coef,
        vf_coef=config.vf_coef,
        max_grad_norm=config.max_grad_norm,
        rollout_buffer_class=EpisodeBuffer,
        rollout_buffer_kwargs={"reward": reward, "task": task},
        policy_kwargs={"prior": prior, "value_gradient": config.value_gradient},
        seed=config.seed,
        device=config.device,
    )
