"""Algorithms by name, all of them starting from the prior."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.utils import get_device

from agents.learning.policy import PriorPolicy
from agents.learning.rollout import EpisodeBuffer
from agents.settings.config import TrainConfig
from envs.errors import did_you_mean, quoted
from rewards.objective import Objective

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    from agents.learning.vec_env import CompositionVecEnv
    from pretrained.networks.network_prior import RecurrentPrior
    from rewards.sum import RewardSum

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


def _clipped(config: TrainConfig) -> dict[str, Any]:
    names = ("n_epochs", "batch_size", "clip_range")
    return {name: getattr(config, name) for name in names}


def _actor_critic(
    config: TrainConfig, policy: type[PriorPolicy], buffer: type[EpisodeBuffer]
) -> dict[str, Any]:
    """What PPO and its kin share."""
    return {
        "policy": policy,
        "rollout_buffer_class": buffer,
        "gae_lambda": config.gae_lambda,
        "vf_coef": config.vf_coef,
        "ent_coef": 0.0,  # the entropy is in the return, where it also counts what is to come
    }


def _ppo(config: TrainConfig, common: dict[str, Any]) -> OnPolicyAlgorithm:
    common = _clipped(config) | _actor_critic(config, PriorPolicy, EpisodeBuffer) | common
    return PPO(**common)


def _maskable_ppo(config: TrainConfig, common: dict[str, Any]) -> OnPolicyAlgorithm:
    from sb3_contrib import MaskablePPO

    from agents.algorithms.maskable import MaskableEpisodeBuffer, MaskablePriorPolicy

    shared = _actor_critic(config, MaskablePriorPolicy, MaskableEpisodeBuffer)
    return MaskablePPO(**_clipped(config) | shared | common)


def _a2c(config: TrainConfig, common: dict[str, Any]) -> OnPolicyAlgorithm:
    shared = _actor_critic(config, PriorPolicy, EpisodeBuffer)
    return A2C(use_rms_prop=False, normalize_advantage=True, **shared | common)


def _piece_gradient(config: TrainConfig, common: dict[str, Any], divide: bool) -> OnPolicyAlgorithm:
    from agents.algorithms.piece_gradient import PieceBuffer, PieceGradient

    settings = {"group_size": config.group_size, "divide": divide, "normalize_values": False}
    common["rollout_buffer_kwargs"] |= settings
    shared = _actor_critic(config, PriorPolicy, PieceBuffer)
    return PieceGradient(**_clipped(config) | shared | common)


def _reward_weighted(config: TrainConfig, common: dict[str, Any]) -> OnPolicyAlgorithm:
    from agents.algorithms.reward_weighted import RewardWeighted

    common["rollout_buffer_kwargs"] |= {"normalize_values": False}
    shared = _actor_critic(config, PriorPolicy, EpisodeBuffer)
    names = ("rollouts", "batch_size", "n_epochs")
    settings = {name: getattr(config, name) for name in names}
    return RewardWeighted(**settings | shared | common)


def _q_learning(config: TrainConfig, common: dict[str, Any], kind: str) -> OnPolicyAlgorithm:
    from agents.algorithms.q_learning import QLearning
    from agents.algorithms.q_policy import QPolicy

    names = (
        *("buffer_size", "replay_ratio", "tau", "batch_size", "n_quantiles", "temperature"),
        *("exploration", "exploration_fraction"),
        *("exploration_initial_eps", "exploration_final_eps"),
    )
    settings = {name: getattr(config, name) for name in names}
    # The entropy is in the policy that is drawn from the values, not in what they learn.
    buffer = common["rollout_buffer_kwargs"]
    buffer |= {"objective": buffer["objective"].with_entropy(0.0), "normalize_values": False}
    del common["policy_kwargs"]["value_gradient"]  # there is no value beside the Q-values
    return QLearning(
        policy=QPolicy, kind=kind, rollout_buffer_class=EpisodeBuffer, **settings | common
    )


ALGORITHMS: dict[str, Maker] = {
    "ppo": _ppo,
    "a2c": _a2c,
    "maskable_ppo": _maskable_ppo,
    "rloo": partial(_piece_gradient, divide=False),
    "grpo": partial(_piece_gradient, divide=True),
    "rwr": _reward_weighted,
    **{kind: partial(_q_learning, kind=kind) for kind in ("dqn", "qrdqn", "q", "psi", "g")},
}
# Those whose objective's c may be turned while they learn.
WITH_KL_BUDGET = ("ppo", "a2c", "maskable_ppo", "rloo", "grpo")
WITH_MASK = ("maskable_ppo",)
WITH_TASKS = ("ppo", "a2c", "rloo", "grpo", "rwr")  # that can learn on several


def check_name(name: str) -> None:
    """Raise ValueError unless there is such an algorithm."""
    if name not in ALGORITHMS:
        raise ValueError(
            f"unknown algorithm {name!r}.{did_you_mean(name, ALGORITHMS)} "
            f"Known: {', '.join(ALGORITHMS)}"
        )


def check_settings(config: TrainConfig) -> None:
    """Raise ValueError for settings the algorithm cannot follow."""
    check_name(config.algo)
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,2})?", config.device):
        raise ValueError(f"unknown device {quoted(config.device)}; expected auto, cpu or cuda")
    if config.mask and config.algo not in WITH_MASK:
        raise ValueError(
            f"{config.algo} cannot act with the masks asked for ({', '.join(config.mask)}); "
            f"expected --algo {' or '.join(WITH_MASK)}, or no --mask"
        )
    if config.vary and config.algo not in WITH_TASKS:
        raise ValueError(
            f"{config.algo} learns on one task; expected --algo {', '.join(WITH_TASKS[:-1])} or "
            f"{WITH_TASKS[-1]}, or no --vary"
        )
    if config.kl_budget and config.algo not in WITH_KL_BUDGET:
        raise ValueError(
            f"{config.algo} cannot hold a KL budget; expected --algo "
            f"{', '.join(WITH_KL_BUDGET[:-1])} or {WITH_KL_BUDGET[-1]}, or a fixed --c"
        )
    if config.algo in ("rloo", "grpo", "rwr") and config.gamma != 1:
        raise ValueError(
            f"gamma={config.gamma}: {config.algo} looks at the return of whole pieces; expected 1"
        )
    if config.algo in ("psi", "g") and config.temperature != 1:
        raise ValueError(
            f"temperature={config.temperature}: the values of {config.algo} are those of the "
            "policy at temperature 1; expected 1, or another --c"
        )


def small_batch(config: TrainConfig, steps: int) -> str:
    """What to tell where a minibatch, which is whole pieces, is rounded up to one; else ''.

    Args:
        config: settings.
        steps: cells of the longest piece, all voices.
    """
    if config.algo == "a2c" or config.batch_size >= steps:  # a2c learns from a rollout at once
        return ""
    return (
        f"--batch-size {config.batch_size} is less than a piece; a minibatch is one whole piece, "
        f"{steps} cells"
    )


def check_budget(config: TrainConfig, reward: RewardSum) -> None:
    """Raise ValueError if a KL budget is asked for and the objective is no KL."""
    likely = Objective(reward).log_p_weight
    if config.kl_budget and not likely == config.entropy == config.last_entropy:
        raise ValueError(
            f"kl_budget: log p has weight {likely:g}, log pi {config.entropy:g}, which is no KL; "
            "expected the same all along: prior=1 in the reward, --entropy 1 --entropy-end -1"
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
    check_settings(config)
    check_budget(config, reward)
    task = env.env.task
    prior.require(task)
    common = {
        "env": env,
        "learning_rate": falling(config.learning_rate),
        "n_steps": task.steps,
        "gamma": config.gamma,
        "max_grad_norm": config.max_grad_norm,
        "rollout_buffer_kwargs": {
            "objective": Objective(reward, config.c, config.entropy),
            "task": task,
            "normalize_values": True,
        },
        "policy_kwargs": {
            "prior": prior,
            "value_gradient": config.value_gradient,
            "bf16": config.bf16 and has_bf16(config.device),
        },
        "seed": config.seed,
        "device": config.device,
    }
    with warnings.catch_warnings():
        # SB3's advice on the last minibatch; whole pieces fill minibatches their own way
        warnings.filterwarnings("ignore", "You have specified a mini-batch size")
        return ALGORITHMS[config.algo](config, common)
