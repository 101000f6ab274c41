"""The algorithms that ship: the settings of each, how it is built, what is searched.

One that is added here, or registered by other code, is known to the verbs and to settings files.
Nothing heavy is imported before an algorithm is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from agents.settings.algorithm import Algorithm, Settings, bounded, one_of, register

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    from agents.settings.config import TrainConfig


# -- settings --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Critic(Settings):
    """Settings of a value beside the policy.

    Attributes:
        gae_lambda: of generalised advantage estimation.
        vf_coef: weight of the value's error.
        value_gradient: whether the value's error also trains the recurrent network.
    """

    gae_lambda: float = bounded(0.95, 0.0, 1.0)
    vf_coef: float = bounded(0.5, 0.0, 1e6)
    value_gradient: bool = True


@dataclass(frozen=True)
class Minibatches(Settings):
    """Settings of passes over what was collected.

    Attributes:
        n_epochs: passes over each rollout, or over what is imitated of several (rwr).
        batch_size: cells in a minibatch of whole pieces.
    """

    n_epochs: int = bounded(4, 1, 10**6)
    batch_size: int = bounded(4096, 2, 10**9)


@dataclass(frozen=True)
class Clipped(Minibatches):
    """Settings of a probability ratio that is clipped.

    Attributes:
        clip_range: of the probability ratio.
    """

    clip_range: float = bounded(0.2, 1e-6, 10.0)


@dataclass(frozen=True)
class Proximal(Critic, Clipped):
    """Settings of PPO."""


@dataclass(frozen=True)
class Groups(Clipped):
    """Settings of returns that are compared within groups.

    Attributes:
        group_size: pieces whose returns are each other's baseline.
    """

    group_size: int = bounded(32, 2, 2**20)


@dataclass(frozen=True)
class Imitation(Minibatches):
    """Settings of imitating the best pieces.

    Attributes:
        rollouts: drawn from one policy before it is fitted to the best of their pieces.
    """

    rollouts: int = bounded(32, 1, 10**6)


@dataclass(frozen=True)
class Memory(Settings):
    """Settings of learning from a memory.

    Attributes:
        batch_size: cells in a minibatch of whole pieces.
        buffer_size: cells remembered.
        replay_ratio: cells replayed for each new one.
        tau: share of the online network that moves into the target network at each update.
        temperature: of the policy drawn from the Q-values.
        exploration: boltzmann draws from that policy, egreedy plays the best or anything.
        exploration_fraction: share of the run over which epsilon falls (egreedy).
        exploration_initial_eps: epsilon at the start.
        exploration_final_eps: epsilon after that.
    """

    batch_size: int = bounded(4096, 2, 10**9)
    buffer_size: int = bounded(100_000, 1, 10**10)
    replay_ratio: float = bounded(6.4, 1e-3, 1e3)
    tau: float = bounded(0.01, 0.0, 1.0)
    temperature: float = bounded(1.0, 1e-3, 1e3)
    exploration: str = one_of("boltzmann", "egreedy")
    exploration_fraction: float = bounded(0.3, 0.0, 1.0)
    exploration_initial_eps: float = bounded(1.0, 0.0, 1.0)
    exploration_final_eps: float = bounded(0.05, 0.0, 1.0)


@dataclass(frozen=True)
class Quantiles(Memory):
    """Settings of QR-DQN.

    Attributes:
        n_quantiles: of each action's return.
    """

    n_quantiles: int = bounded(25, 1, 10**4)


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


def _reward_weighted(settings: Imitation, common: dict[str, Any]) -> OnPolicyAlgorithm:
    from agents.algorithms.reward_weighted import RewardWeighted

    common["rollout_buffer_kwargs"] |= {"normalize_values": False}
    return RewardWeighted(**_on_policy() | vars(settings) | common)


def _q_learning(settings: Memory, common: dict[str, Any], kind: str) -> OnPolicyAlgorithm:
    from agents.algorithms.q_learning import QLearning
    from agents.algorithms.q_policy import QPolicy

    # The entropy is in the policy that is drawn from the values, not in what they learn.
    buffer = common["rollout_buffer_kwargs"]
    buffer |= {"objective": buffer["objective"].with_entropy(0.0), "normalize_values": False}
    return QLearning(policy=QPolicy, kind=kind, **vars(settings) | common)


def _whole_pieces(config: TrainConfig) -> None:
    if config.gamma != 1:
        raise ValueError(
            f"gamma={config.gamma}: {config.algo} looks at the return of whole pieces; expected 1"
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
    "n_epochs": [1, 2, 4, 6],
    "batch_size": [1024, 2048, 4096, 8192],
    "clip_range": (0.1, 0.4),
}
_VALUE = {
    "gae_lambda": [0.8, 0.9, 0.95, 1.0],
    "vf_coef": (0.1, 1.0),
    "value_gradient": [True, False],
}
_ADVANTAGE = {**_RATE, **_VALUE, "n_envs": [32, 64, 128, 512]}
_PROXIMAL = {**_RATE, **_CLIP, "n_envs": [32, 64, 128, 256, 512], **_VALUE}
_GROUPS = {**_RATE, **_CLIP, "n_envs": [128, 256, 512], "group_size": [8, 32, 128]}
_IMITATION = {
    **_RATE,
    "n_epochs": [1, 2, 3, 6],
    "n_envs": [512, 1024, 2048],
    "rollouts": [1, 2, 4, 8],
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
for _algorithm in (
    Algorithm(
        "ppo", "proximal policy optimisation", _ppo, Proximal, _PROXIMAL, kl_budget=True, tasks=True
    ),
    Algorithm(
        "a2c", "advantage actor-critic", _a2c, Critic, _ADVANTAGE, kl_budget=True, tasks=True
    ),
    Algorithm(
        "maskable_ppo",
        "PPO behind masks",
        _maskable_ppo,
        Proximal,
        _PROXIMAL,
        kl_budget=True,
        mask=True,
    ),
    Algorithm(
        "rloo",
        "each piece beside the others of its group",
        partial(_piece_gradient, divide=False),
        Groups,
        _GROUPS,
        kl_budget=True,
        tasks=True,
        check=_whole_pieces,
    ),
    Algorithm(
        "grpo",
        "rloo, in standard deviations of the group",
        partial(_piece_gradient, divide=True),
        Groups,
        _GROUPS,
        kl_budget=True,
        tasks=True,
        check=_whole_pieces,
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
    Algorithm("dqn", "deep Q-learning", partial(_q_learning, kind="dqn"), Memory, _MEMORY),
    Algorithm(
        "qrdqn",
        "deep Q-learning of quantiles",
        partial(_q_learning, kind="qrdqn"),
        Quantiles,
        {**_MEMORY, "n_quantiles": [5, 10, 25]},
    ),
    Algorithm("q", "Q-learning of RL Tuner", partial(_q_learning, kind="q"), Memory),
    Algorithm(
        "psi",
        "Psi-learning of RL Tuner",
        partial(_q_learning, kind="psi"),
        Memory,
        check=_soft_values,
    ),
    Algorithm(
        "g", "G-learning of RL Tuner", partial(_q_learning, kind="g"), Memory, check=_soft_values
    ),
):
    register(_algorithm)
