"""Speed of stepping and scoring, as ratios in one run, on one core.

python -m tests.tools.benchmarks.bench_env
"""

import time

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv

import envs  # noqa: F401  (registers the ids)
from envs.music.score import Score
from envs.music.task import Task
from rewards.build import build

PIECES, CELLS = 1024, 32


def best_rate(action, steps, repeats=5):
    """Steps per CPU second of the best of several runs, after one to warm up."""
    action()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        action()
        times.append(time.process_time() - began)
    return steps / min(times)


def stepping_natively():
    env = gymnasium.make_vec("composition/RLTuner-v0", num_envs=PIECES)
    actions = np.random.default_rng(0).integers(0, 38, (CELLS, PIECES))
    env.reset(seed=0)
    return best_rate(lambda: [env.step(row) for row in actions], CELLS * PIECES)


def stepping_dummy(count=16):
    env = DummyVecEnv([lambda: gymnasium.make("composition/RLTuner-v0")] * count)
    actions = np.random.default_rng(0).integers(0, 38, (CELLS, count))
    env.reset()
    return best_rate(lambda: [env.step(row) for row in actions], CELLS * count, repeats=3)


def naive_autocorrelation(tokens):
    """One rule of the nine as one would first write it: each prefix afresh, whole batch."""
    total = np.zeros(tokens.shape)
    for n in range(2, tokens.shape[1] + 1):
        x = tokens[:, :n] - tokens[:, :n].mean(axis=1, keepdims=True)
        variance = x.var(axis=1)
        for lag in range(1, min(4, n)):
            with np.errstate(all="ignore"):
                c = (x[:, :-lag] * x[:, lag:]).sum(axis=1) / n / variance
            c = np.nan_to_num(np.abs(c))
            total[:, n - 1] += np.where(c > 0.15, c, 0)
    return total


def scoring(pieces, bars):
    task, reward = Task(bars=bars), build("rl_tuner")
    tokens = np.random.default_rng(0).integers(0, 38, (pieces, 1, task.cells)).astype(np.int16)
    return best_rate(lambda: reward.breakdown(Score(tokens, task)), tokens.size)


def main():
    native, dummy = stepping_natively(), stepping_dummy()
    print(f"stepping, {PIECES} pieces, nine rules: {native:,.0f} steps/s")
    print(f"SB3 DummyVecEnv over the single environment: {dummy:,.0f} steps/s")
    print(f"  ratio {native / dummy:.0f}x\n")
    base = scoring(16384, 2)
    tokens = np.random.default_rng(0).integers(0, 38, (16384, CELLS)).astype(np.float64)
    naive = best_rate(lambda: naive_autocorrelation(tokens), tokens.size, repeats=3)
    print(f"scoring, 32 cells, nine rules: {base / 1e6:.2f} million tokens/s")
    print(f"  ratio {base / naive:.1f}x to one naive rule (autocorrelation) alone")
    for pieces, bars in ((4096, 8), (4096, 16), (2048, 64)):
        rate = scoring(pieces, bars)
        print(f"scoring, {bars * 16} cells: {rate / 1e6:.2f} million tokens/s, "
              f"{rate / base:.2f} of the rate at 32 cells")  # fmt: skip


if __name__ == "__main__":
    main()
