"""The settings that the algorithms that ship have of their own."""

from __future__ import annotations

from dataclasses import dataclass

from agents.settings.algorithm import Settings
from envs.checked import bounded, one_of


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
class DirectPairs(Minibatches):
    """Settings of learning from pairs of pieces.

    Attributes:
        pairs: file of comparisons, as python -m agents.prefer writes it; if empty the pieces of
            each rollout are compared by the reward.
        sharpness: of such a comparison by the reward: a standard deviation of it, in nats of the
            odds of being liked.
    """

    pairs: str = ""
    sharpness: float = bounded(1.0, 1e-3, 1e3)


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
    tau: float = bounded(0.01, 1e-9, 1.0)
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


@dataclass(frozen=True)
class Consistency(Settings):
    """Settings of path consistency learning.

    Attributes:
        batch_size: cells in a minibatch of whole pieces.
        replay_ratio: cells replayed for each new one.
        rollouts: the last ones, which are kept and replayed.
        gae_lambda: of generalised advantage estimation.
        value_lambda: of the returns that values are fitted to.
        value_updates: steps of the value network for each of the policy.
        value_units: of each layer of the value network.
        value_rate: learning rate of the value network, as a factor of the policy's.
        heat: c begins as so many times its value, where there is no KL budget.
        cooling: share of the run along which c falls to its value.
    """

    batch_size: int = bounded(1536, 2, 10**9)
    replay_ratio: float = bounded(2.5, 1e-3, 1e3)
    rollouts: int = bounded(4, 1, 10**6)
    gae_lambda: float = bounded(0.87, 0.0, 1.0)
    value_lambda: float = bounded(0.97, 0.0, 1.0)
    value_updates: int = bounded(4, 1, 10**4)
    value_units: int = bounded(128, 1, 2**14)
    value_rate: float = bounded(3.0, 1e-3, 1e3)
    heat: float = bounded(4.0, 1.0, 1e6)
    cooling: float = bounded(0.4, 0.0, 1.0)
