"""A small benchmark, and what its cells left behind."""

from dataclasses import replace

import numpy as np

from agents.benchmark import BenchmarkConfig
from agents.benchmarking import figures as figures  # before a test leaves curves empty
from agents.benchmarking.bench import Bench
from agents.benchmarking.plan import choose, open_folder
from envs.music.score import Score
from tests.agents.helpers import strict

STEPS = 2 * 256 * 32  # two rollouts
PIECES = 16
NAMES = ["prior", "best-of-4", "masked", "ppo", "guided-beam", "ppo@kl=0.2", "best-of-n@kl=0.1"]


def config(tiny_checkpoint, out, **changes):
    reward = ("tonic=1", f"prior=0.5,checkpoint={tiny_checkpoint}", "leap_recovery=2,min_leap=4")
    base = BenchmarkConfig(
        out, seeds=1, n_timesteps=STEPS, pieces=PIECES, reward=reward, prior=str(tiny_checkpoint)
    )
    return replace(base, **changes)


def begin(settings, names):
    """A folder that has begun, without cells."""
    bench = Bench(settings.settings, settings.out)
    methods, _ = choose(names, bench)
    open_folder(bench, methods, settings.seeds)
    return bench


def cell(out, name, seed=0):
    return {
        str(file.relative_to(out)): file.read_bytes()
        for file in (out / "cells" / name / str(seed)).rglob("*")
        if file.name in ("result.json", "pieces.npz", "metrics.csv", "policy.safetensors")
    }


def numbers(out, name):
    return strict(out / "cells" / name / "0" / "result.json")["numbers"]


def pieces(bench, name):
    with np.load(bench.folder(name, 0) / "pieces.npz") as file:
        return Score(file["tokens"], bench.task)
