"""Speed of fine-tuning a 256-unit LSTM with PPO, against sb3-contrib's RecurrentPPO.

    python -m tests.tools.benchmarks.bench_ppo

Same environment and reward (nine rules and the prior's log-likelihood), same width, 256 pieces of
32 cells a rollout, 4 epochs, minibatches of 64 pieces, the same number of threads. RecurrentPPO
gets one LSTM for actor and critic and no further layers, which is its cheapest form. End to end:
acting, environment, reward and update.
"""

import argparse
import time

import gymnasium
import torch
from sb3_contrib import RecurrentPPO

from agents.algorithms import registry as algorithms
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.settings.config import TrainConfig
from pretrained import load
from rewards.build import build

PIECES, CELLS, EPOCHS, BATCH = 256, 32, 4, 64 * 32
REWARD = {"rl_tuner": 0.5, "prior": 1.0}


def ours():
    settings = {"n_epochs": EPOCHS, "batch_size": BATCH}
    config = TrainConfig(n_envs=PIECES, settings=settings, device="cpu")
    env = CompositionVecEnv(make_env(config.env, config.task, PIECES))
    return algorithms.make(config, env, load("folk"), build(REWARD))


def theirs():
    env = gymnasium.make_vec("composition/RLTuner-v0", num_envs=PIECES, reward=REWARD)
    settings = {
        "lstm_hidden_size": 256,
        "shared_lstm": True,
        "enable_critic_lstm": False,
        "net_arch": [],
    }
    return RecurrentPPO(
        "MultiInputLstmPolicy",
        CompositionVecEnv(env),
        n_steps=CELLS,
        batch_size=BATCH,
        n_epochs=EPOCHS,
        policy_kwargs=settings,
        device="cpu",
        seed=0,
    )


def rate(model, rollouts):
    """Environment steps per second of wall and CPU time, after a rollout to warm up."""
    model.learn(PIECES * CELLS)
    wall, cpu = time.perf_counter(), time.process_time()
    model.learn(rollouts * PIECES * CELLS, reset_num_timesteps=False)
    steps = rollouts * PIECES * CELLS
    return steps / (time.perf_counter() - wall), steps / (time.process_time() - cpu)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    peer, fast = rate(theirs(), 2), rate(ours(), 6)
    print(f"{threads} threads; steps per second of wall time / of CPU time")
    print(f"RecurrentPPO        {peer[0]:>8,.0f} / {peer[1]:,.0f}")
    print(f"PPO, whole pieces   {fast[0]:>8,.0f} / {fast[1]:,.0f}")
    print(f"  ratio {fast[0] / peer[0]:.2f}x / {fast[1] / peer[1]:.2f}x")


if __name__ == "__main__":
    main()
