"""Building the algorithm that a run's settings name, starting from the prior."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.settings.algorithm import ALGORITHMS, names_with
from pretrained.device import find_device, has_bf16, require_device
from rewards.objective import Objective

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    from agents.learning.vec_env import CompositionVecEnv
    from agents.settings.config import TrainConfig
    from pretrained.prior import Trainable
    from rewards.sum import RewardSum


def falling(peak: float) -> Callable[[float], float]:
    """Return a learning rate that falls linearly to a tenth as the remaining progress goes to 0."""
    return lambda remaining: peak * (0.1 + 0.9 * max(0.0, remaining))  # the last rollout overshoots


def check_settings(config: TrainConfig) -> None:
    """Raise ValueError for settings the algorithm cannot follow."""
    algorithm = ALGORITHMS[config.algo]
    require_device(config.device)
    masks = ", ".join(config.mask)
    for asked, ability, lack, instead in (
        (config.mask, "mask", f"cannot act with the masks asked for ({masks})", "no --mask"),
        (config.vary, "tasks", "learns on one task", "no --vary"),
        (config.kl_budget, "kl_budget", "cannot hold a KL budget", "a fixed --c"),
    ):
        if asked and not getattr(algorithm, ability):
            *others, last = names_with(ability)
            either = f"{', '.join(others)} or {last}" if others else last
            raise ValueError(f"{config.algo} {lack}; expected --algo {either}, or {instead}")
    algorithm.check(config)


def small_batch(config: TrainConfig, steps: int) -> str:
    """Return a note where a minibatch, of whole pieces, is rounded up to one piece; else ''.

    Args:
        config: settings.
        steps: cells of the longest piece, all voices.
    """
    size = getattr(config.settings, "batch_size", steps)  # a2c learns from a rollout at once
    if size >= steps:
        return ""
    return (
        f"--batch-size {size} is less than a piece; a minibatch is one whole piece, {steps} cells"
    )


def notes(config: TrainConfig, steps: int) -> list[str]:
    """Return what is rounded and what has no effect, in words; the arguments of `small_batch`."""
    told = small_batch(config, steps), ALGORITHMS[config.algo].note(config)
    return [words for words in told if words]


def check_budget(config: TrainConfig, reward: RewardSum) -> None:
    """Raise ValueError if a KL budget is asked for and the objective is no KL."""
    likely = Objective(reward).log_p_weight
    if config.kl_budget and not likely == config.entropy == config.last_entropy:
        raise ValueError(
            f"kl_budget: log p has weight {likely:g}, log pi {config.entropy:g}, which is no KL; "
            "expected the same all along: prior=1 in the reward, --entropy 1 --entropy-end -1"
        )


def make(
    config: TrainConfig, env: CompositionVecEnv, prior: Trainable, reward: RewardSum
) -> OnPolicyAlgorithm:
    """Return an SB3 algorithm whose policy is the prior, learning from whole pieces.

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
    task, device = env.env.task, find_device(config.device)
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
        "policy_kwargs": {"prior": prior, "bf16": config.bf16 and has_bf16(device)},
        "seed": config.seed,
        "device": device,
    }
    with warnings.catch_warnings():
        # SB3's advice on the last minibatch; whole pieces fill minibatches their own way
        warnings.filterwarnings("ignore", "You have specified a mini-batch size")
        return ALGORITHMS[config.algo].make(config.settings, common)
