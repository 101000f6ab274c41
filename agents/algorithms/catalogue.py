"""The algorithms that ship: how each is built, and what is searched.

One that is added here, or registered by other code, is known to the verbs and to settings files.
Nothing heavy is imported before an algorithm is built.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from agents.algorithms.own_settings import (
    Consistency,
    Critic,
    DirectPairs,
    Groups,
    Imitation,
    Memory,
    Proximal,
    Quantiles,
)
from agents.settings.algorithm import Algorithm, register
from rewards.objective import PRIOR

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    from agents.settings.config import TrainConfig


# -- how each is made ------------------------------------------------------------------------------


def _with_critic(settings: Any, common: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of an algorithm with a value beside the policy."""
    values = dict(vars(settings))
    common["policy_kwargs"]["value_gradient"] = values.pop("value_gradient")
    return _on_policy() | values | common


def _on_policy() -> dict[str, Any]:
    """Return the arguments that SB3's on-policy algorithms cannot do without."""
    from agents.learning.policy import PriorPolicy
    from agents.learning.rollout import EpisodeBuffer

    # The entropy is in the return, where it also counts what is to come.
    without = {"gae_lambda": 0.95, "vf_coef": 0.5, "ent_coef": 0.0}
    return {"policy": PriorPolicy, "rollout_buffer_class": EpisodeBuffer, **without}


def _ppo(settings: Proximal, common: dict[str, Any]) -> OnPolicyAlgorithm:
    from stable_baselines3 import PPO

    return PPO(**_with_critic(settings, common))


def _maskable_ppo(settings: Proximal, common: dict[str, Any]) -> OnPolicyAlgorithm:
    from sb3_contrib import MaskablePPO

    from agents.algorithms.maskable import MaskableEpisodeBuffer, MaskablePriorPolicy

    common |= {"policy": MaskablePriorPolicy, "rollout_buffer_class": MaskableEpisodeBuffer}
    return MaskablePPO(**_with_critic(settings, common))


def _a2c(settings: Critic, common: dict[str, Any]) -> OnPolicyAlgorithm:
    from stable_baselines3 import A2C

    shared = _with_critic(settings, common)
    return A2C(use_rms_prop=False, normalize_advantage=True, **shared)


def _piece_gradient(settings: Groups, common: dict[str, Any], divide: bool) -> OnPolicyAlgorithm:
    from agents.algorithms.piece_gradient import PieceBuffer, PieceGradient

    values = dict(vars(settings))
    group = {"group_size": values.pop("group_size"), "divide": divide}
    common["rollout_buffer_kwargs"] |= {**group, "normalize_values": False}
    return PieceGradient(**_on_policy() | {"rollout_buffer_class": PieceBuffer} | values | common)


def _decoupled_gradient(settings: Groups, common: dict[str, Any]) -> OnPolicyAlgorithm:
    from agents.algorithms.decoupled_gradient import DecoupledBuffer

    return _piece_gradient(settings, common | {"rollout_buffer_class": DecoupledBuffer}, False)


def _path_consistency(settings: Consistency, common: dict[str, Any]) -> OnPolicyAlgorithm:
    from agents.algorithms.path_consistency import ConsistencyPolicy, PathConsistency, cosine
    from rewards.sight import RuleSight

    values = dict(vars(settings))
    del values["heat"], values["cooling"]  # of the objective's c, see agents.training.callbacks
    rules = common["rollout_buffer_kwargs"]["objective"].rules
    watch = RuleSight.of(rules.terms.values()) if rules else None
    of_policy = {name: values.pop(name) for name in ("value_units", "value_rate")}
    of_policy["facts"] = watch.width if watch else 0
    common["policy_kwargs"] |= of_policy
    common["rollout_buffer_kwargs"] |= {"normalize_values": False}
    common["learning_rate"] = cosine(common["learning_rate"](1.0))
    kept = _on_policy() | {"policy": ConsistencyPolicy}
    return PathConsistency(**kept | values | common, watch=watch)


def _reward_weighted(settings: Imitation, common: dict[str, Any]) -> OnPolicyAlgorithm:
    from agents.algorithms.reward_weighted import RewardWeighted

    common["rollout_buffer_kwargs"] |= {"normalize_values": False}
    return RewardWeighted(**_on_policy() | vars(settings) | common)


def _direct_preference(settings: DirectPairs, common: dict[str, Any]) -> OnPolicyAlgorithm:
    from agents.algorithms.direct_preference import DirectPreference
    from agents.preferring.comparisons import read_comparisons

    values = dict(vars(settings))
    file = values.pop("pairs")
    common["rollout_buffer_kwargs"] |= {"normalize_values": False}
    task = common["rollout_buffer_kwargs"]["task"]
    comparisons = read_comparisons(file, task) if file else None
    return DirectPreference(**_on_policy() | values | common, comparisons=comparisons)


def _q_learning(settings: Memory, common: dict[str, Any], kind: str) -> OnPolicyAlgorithm:
    from agents.algorithms.q_learning import QLearning
    from agents.algorithms.q_policy import QPolicy

    # The entropy is in the policy that is drawn from the values, not in what they learn.
    buffer = common["rollout_buffer_kwargs"]
    buffer |= {"objective": buffer["objective"].with_entropy(0.0), "normalize_values": False}
    return QLearning(QPolicy, kind=kind, settings=settings, **common)


def _whole_pieces(config: TrainConfig) -> None:
    if config.gamma != 1:
        raise ValueError(
            f"gamma={config.gamma}: {config.algo} looks at the return of whole pieces; expected 1"
        )


def _paired(config: TrainConfig) -> None:
    _whole_pieces(config)
    if not min(config.entropy, config.last_entropy) > 0:
        raise ValueError(
            f"entropy={min(config.entropy, config.last_entropy)}: {config.algo} finds the policy "
            "whose choices cost something; expected above 0, 1 for the KL to the prior"
        )
    if config.settings.pairs and config.vary:
        raise ValueError(
            f"{config.algo} compares pieces of one task in a file; leave --vary out, or --pairs"
        )


def _learned_from(config: TrainConfig) -> str:
    """Return which terms of the reward comparisons take the place of; '' if they do of none."""
    rules = [name for name in config.reward_spec if name != PRIOR]
    if not (config.settings.pairs and rules):
        return ""
    return (
        f"--pairs: {config.algo} learns from the comparisons alone; {', '.join(rules)} of --reward "
        "and --sharpness change nothing, and the reward is only shown"
    )


def _soft_values(config: TrainConfig) -> None:
    if config.settings.temperature != 1:
        raise ValueError(
            f"temperature={config.settings.temperature}: the values of {config.algo} are those of "
            "the policy at temperature 1; expected 1, or another --c"
        )


# -- the algorithms --------------------------------------------------------------------------------

_RATE = {"learning_rate": (1e-4, 3e-3)}
_CLIP = {
    "n_epochs": [2, 4, 7, 10],
    "batch_size": [512, 1024, 1536, 3072, 8192],
    "clip_range": (0.1, 0.6),
}
_VALUE = {
    "gae_lambda": [0.8, 0.9, 0.95, 1.0],
    "vf_coef": (0.1, 1.0),
    "value_gradient": [True, False],
}
_ADVANTAGE = {**_RATE, **_VALUE, "n_envs": [32, 64, 128, 512]}
_PROXIMAL = {**_RATE, **_CLIP, "n_envs": [32, 64, 128, 256, 384, 768], **_VALUE}
_GROUPS = {**_RATE, **_CLIP, "n_envs": [128, 256, 512, 768], "group_size": [8, 16, 32, 128]}
_IMITATION = {
    **_RATE,
    "n_epochs": [1, 2, 3, 6],
    "n_envs": [512, 1024, 2048],
    "rollouts": [1, 2, 4, 8],
}
_CONSISTENCY = {
    **_RATE,
    "n_envs": [192, 384, 768],
    "batch_size": [1024, 1536, 3072],
    "replay_ratio": [2.5, 4.0],
    "rollouts": [1, 4, 8],
    "gae_lambda": [0.8, 0.87, 0.95],
    "value_updates": [1, 2, 4],
}
_PAIRS = {
    **_RATE,
    "n_epochs": [1, 2, 4],
    "n_envs": [128, 256, 512],
    "batch_size": [1024, 2048, 4096],
    "sharpness": [0.5, 1.0, 2.0],
}
_MEMORY = {
    **_RATE,
    "n_envs": [64, 128, 256, 512],
    "batch_size": [1024, 2048, 4096],
    "replay_ratio": [1.6, 3.2, 6.4],
    "tau": (0.005, 0.2),
    "gamma": [0.5, 0.9, 0.97, 1.0],
    "temperature": [0.5, 0.7, 1.0, 1.5],
}
_QUANTILES = {**_MEMORY, "n_quantiles": [5, 10, 25]}
_BUDGET: dict[str, Any] = {"kl_budget": True}
_FREE = _BUDGET | {"tasks": True}
_PIECES = _FREE | {"check": _whole_pieces}
_RLOO, _GRPO = (partial(_piece_gradient, divide=divide) for divide in (False, True))
_DQN, _QRDQN, _Q, _PSI, _G = (
    partial(_q_learning, kind=kind) for kind in ("dqn", "qrdqn", "q", "psi", "g")
)
for _algorithm in (
    Algorithm("ppo", "proximal policy optimisation", _ppo, Proximal, _PROXIMAL, **_FREE),
    Algorithm("a2c", "advantage actor-critic", _a2c, Critic, _ADVANTAGE, **_FREE),
    Algorithm(
        "maskable_ppo", "PPO behind masks", _maskable_ppo, Proximal, _PROXIMAL, mask=True, **_BUDGET
    ),
    Algorithm(
        "rloo", "each piece beside the others of its group", _RLOO, Groups, _GROUPS, **_PIECES
    ),
    Algorithm(
        "grpo", "rloo, in standard deviations of the group", _GRPO, Groups, _GROUPS, **_PIECES
    ),
    Algorithm(
        "gdpo",
        "grpo, each term in its own standard deviations",
        _decoupled_gradient,
        Groups,
        _GROUPS,
        **_PIECES,
    ),
    Algorithm(
        "rwr",
        "imitation of the best pieces",
        _reward_weighted,
        Imitation,
        _IMITATION,
        tasks=True,
        check=_whole_pieces,
    ),
    Algorithm(
        "dpo",
        "direct preference optimisation",
        _direct_preference,
        DirectPairs,
        _PAIRS,
        **_FREE,
        check=_paired,
        note=_learned_from,
    ),
    Algorithm("dqn", "deep Q-learning", _DQN, Memory, _MEMORY),
    Algorithm("qrdqn", "deep Q-learning of quantiles", _QRDQN, Quantiles, _QUANTILES),
    Algorithm("q", "Q-learning of RL Tuner", _Q, Memory),
    Algorithm("psi", "Psi-learning of RL Tuner", _PSI, Memory, check=_soft_values),
    Algorithm("g", "G-learning of RL Tuner", _G, Memory, check=_soft_values),
    Algorithm(
        "pcl",
        "path consistency learning with a replay",
        _path_consistency,
        Consistency,
        _CONSISTENCY,
        **_PIECES,
    ),
):
    register(_algorithm)
