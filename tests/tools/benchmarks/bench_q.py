"""Speed of Q-learning on whole pieces, against the way RL Tuner learns.

    python -m tests.tools.benchmarks.bench_q

The peer is RL Tuner's loop in PyTorch: it writes one cell, and after every fifth it learns from 32
single experiences, each with the recurrent states its networks had when it was made. Both have the
same network, environment, reward (nine rules and the prior's log-likelihood) and threads, and
replay 6.4 cells for each new one. End to end: acting, environment, reward and update.
"""

import argparse
import copy
import random
import time
from collections import deque

import torch
from torch.nn import functional

from agents.algorithms import registry as algorithms
from agents.learning.vec_env import CompositionVecEnv, make_env
from agents.settings.config import from_mapping
from envs.composition import CompositionEnv
from pretrained import load
from pretrained.networks.recurrent import Hidden
from rewards.build import build
from tests.helpers import places_of

REWARD = {"rl_tuner": 1.0, "prior": 1.0}
PERIOD, BATCH, GAMMA, TAU, CLIP = 5, 32, 0.5, 0.01, 5.0
CELLS = 32


def joined(states):
    """States of one piece each as the state of a batch."""
    h, c, past, run = zip(*states, strict=True)
    return Hidden(torch.cat(h, 1), torch.cat(c, 1), torch.cat(past), torch.cat(run))


class OneCellAtATime:
    """The peer. An experience is (token, place, states), action, reward, and those after it."""

    def __init__(self):
        self.net = load("folk").net.requires_grad_(True)
        self.target = copy.deepcopy(self.net).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        self.env = CompositionEnv(reward=build(REWARD))
        self.places = places_of(self.env.task)[0]
        self.memory, self.steps = deque(maxlen=100_000), 0

    def update(self):
        before, actions, rewards, after, ends = zip(*random.sample(self.memory, BATCH), strict=True)
        token, place, states, _ = zip(*before, strict=True)
        logits = self.net.step(torch.cat(token), torch.cat(place), joined(states))[0]
        with torch.no_grad():
            token, place, _, states = zip(*after, strict=True)
            ahead = self.target.step(torch.cat(token), torch.cat(place), joined(states))[0]
            going_on = 1 - torch.tensor(ends, dtype=torch.float32)
            goal = torch.tensor(rewards) + GAMMA * going_on * ahead.amax(dim=1)
        played = logits[torch.arange(BATCH), torch.tensor(actions)]
        self.optimizer.zero_grad()
        functional.mse_loss(played, goal).backward()
        for weight in self.net.parameters():
            torch.nn.utils.clip_grad_norm_(weight, CLIP)
        self.optimizer.step()
        with torch.no_grad():
            for mine, theirs in zip(self.target.parameters(), self.net.parameters(), strict=True):
                mine.lerp_(theirs, TAU)

    def learn(self, steps, reset_num_timesteps=True):
        for _ in range(steps // CELLS):
            self.env.reset()
            token = torch.tensor([self.net.start_token])
            states, last = (self.net.start(1), self.target.start(1)), None
            for cell in range(CELLS):
                now = (token, self.places[cell][None], *states)
                if last:
                    self.memory.append((*last, now, False))
                with torch.no_grad():
                    logits, _, mine = self.net.step(*now[:3])
                    _, _, theirs = self.target.step(now[0], now[1], now[3])
                token = torch.multinomial(logits.softmax(dim=1), 1)[0]
                _, reward, ended, _, _ = self.env.step(int(token))
                states, last = (mine, theirs), (now, int(token), reward)
                if ended:
                    self.memory.append((*last, now, True))
                self.steps += 1
                if self.steps % PERIOD == 0 and len(self.memory) >= BATCH:
                    self.update()


def ours():
    config = from_mapping({"algo": "q"}, "preset q")
    env = CompositionVecEnv(make_env(config.env, config.task, config.n_envs))
    return algorithms.make(config, env, load("folk"), build(config.reward_spec))


def rate(model, warm_up, steps):
    """Environment steps per second of wall and CPU time."""
    model.learn(warm_up)
    wall, cpu = time.perf_counter(), time.process_time()
    model.learn(steps, reset_num_timesteps=False)
    return steps / (time.perf_counter() - wall), steps / (time.process_time() - cpu)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    peer, fast = rate(OneCellAtATime(), 320, 3200), rate(ours(), 8192, 24 * 8192)
    print(f"{threads} threads; steps per second of wall time / of CPU time")
    print(f"one cell at a time  {peer[0]:>8,.0f} / {peer[1]:,.0f}")
    print(f"q, whole pieces     {fast[0]:>8,.0f} / {fast[1]:,.0f}")
    print(f"  ratio {fast[0] / peer[0]:.2f}x / {fast[1] / peer[1]:.2f}x")


if __name__ == "__main__":
    main()
