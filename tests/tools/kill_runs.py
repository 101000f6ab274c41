"""Kill runs at random moments, go on with them, and compare them with runs that were left alone.

    python -m tests.tools.kill_runs -n 50
    python -m tests.tools.kill_runs -n 50 --commands

Each run is a process of its own that gets SIGKILL one to three times, at moments drawn evenly over
the time that a run takes, and is then left to end. With --commands the processes are those a
person starts, imports included; else they are forked with everything imported, so that every
moment falls into the run itself.
"""

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

KEEN = "tests.rewards.learners:teachable"  # what it pays is learned from the melodies shown
KINDS = {
    "ppo": {},
    "ppo --vary": {
        "env": "composition/Melody-v0",
        "task": ("bars=1",),
        "vary": ("meter=3/4|2/4", "bars=1|2"),
    },
    "ppo --kl-budget": {"kl_budget": 0.3},
    "maskable_ppo": {"algo": "maskable_ppo", "mask": ("key",), "reward": ("tonic=1", "key=-1")},
    "rloo": {"algo": "rloo", "group_size": 4},
    "dqn": {"algo": "dqn", "buffer_size": 2048, "exploration": "egreedy"},
    "psi": {"algo": "psi", "buffer_size": 2048},
    "ppo, learned reward": {"reward": (f"{KEEN}=0.1", "leap_size=1,normalize=true", "prior=1")},
    "rloo, adversary": {
        "algo": "rloo",
        "group_size": 4,
        "reward": ("adversary=1,threshold=1", "diversity=5", "prior=1"),
    },
}
COMPARED = (
    *("policy.safetensors", "best.safetensors", "state.zip", "metrics.csv", "evaluations.csv"),
    *("reward.safetensors", "report.json", "report.txt", "samples/melodies.txt"),
)
HEADS = ("kills", "before it began", "readable", "lost saves", "runs", "ended", "equal")
MOST_KILLS = 3


def carry_out(config, resume):
    """In a process of its own: begin or go on, saying nothing."""
    from agents.train import show

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(show(config, resume))


class Starter:
    """Starts processes that train.

    Args:
        commands: as a person does, instead of by forking.
    """

    def __init__(self, commands=False):
        self.commands = commands
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["tests.tools.preload"])

    def __call__(self, config):
        """A process that begins the run, or goes on with it."""
        path = config.runs / config.name
        resume = path if (path / "config.toml").is_file() else None
        if not self.commands:
            process = self.context.Process(target=carry_out, args=(config, resume))
            process.start()
            return process
        words = ["--resume", str(path)] if resume else ["--config", str(settings_file(config))]
        return subprocess.Popen(
            [sys.executable, "-m", "agents.train", *words], stdout=subprocess.DEVNULL
        )

    def wait(self, process, seconds=None):
        """The exit status, None if it has not ended by then."""
        if not self.commands:
            process.join(seconds)
            return process.exitcode
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


def settings_file(config):
    from agents.settings.config import to_toml

    config.runs.mkdir(parents=True, exist_ok=True)
    path = config.runs / f"{config.name}.toml"
    path.write_text(to_toml(config))
    return path


class Trial:
    """One kind of run, left alone once and killed many times.

    Args:
        kind: a name of KINDS.
        start: a Starter.
        prior: file of the prior.
        folder: for the runs.
        updates: of a run.
    """

    def __init__(self, kind, start, prior, folder, updates=24):
        from agents.runs.directory import Run
        from agents.settings.config import for_budget
        from tests.agents.helpers import UPDATE, tiny

        self.start = start
        often = {"save_freq": 2 * UPDATE, "eval_freq": 3 * UPDATE, "eval_episodes": 20}
        base = tiny(prior, folder, name="alone", n_timesteps=updates * UPDATE, **often)
        self.config = for_budget(base.changed(**KINDS[kind]))
        began = time.monotonic()
        if start.wait(start(self.config)) != 0:
            raise RuntimeError(f"{kind}: the run that was left alone did not end")
        self.seconds = time.monotonic() - began
        self.alone = Run(folder / "alone")
        self.rows = [0, *map(int, self.alone.read_metrics()["steps"])]

    def kill(self, name, rng):
        """Kill one run up to MOST_KILLS times and let it end; counts of what happened."""
        found, config = Counter(runs=1), replace(self.config, name=name)
        path = config.runs / config.name
        kills = rng.integers(1, MOST_KILLS + 1)
        while found["kills"] < kills:
            began, process = time.monotonic(), self.start(config)
            if self.start.wait(process, rng.uniform(0, self.seconds)) is None:
                process.kill()
                self.start.wait(process)
                found.update(kills=1, **self.look(config))
            elif found["kills"]:
                break
            else:  # it ended before it was killed, as the machine has less to do than before
                self.seconds = min(self.seconds, time.monotonic() - began)
                shutil.rmtree(path)
        if not (path / "report.json").is_file():
            self.start.wait(self.start(config))
        found["ended"] += (path / "report.json").is_file()
        differ = [name for name in COMPARED if not same(path / name, self.alone.path / name)]
        found["equal"] += not differ
        if differ:
            print(f"{path} differs in {', '.join(differ)}", file=sys.stderr)
        return found

    def look(self, config):
        """Check the files that a killed run has left."""
        from agents.runs.directory import Run
        from agents.runs.state import Saved
        from pretrained.checkpoint import load

        path = config.runs / config.name
        if not (path / "config.toml").is_file():
            return {"before it began": 1}
        run = Run(path)
        try:
            steps = [0, *map(int, run.read_metrics()["steps"])] if run.read_metrics() else [0]
            saved = Saved(run.state_file).steps if run.state_file.is_file() else -1
            whole = run.config == config and steps == self.rows[: len(steps)]
            if run.policy_file.is_file() or len(steps) > 1:
                load(run.saved_policy)
        except (ValueError, OSError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return {"lost saves": 1}
        # A row is written at the end of a rollout, and a save at the beginning of one.
        due = self.due(steps[-2]) if len(steps) > 1 else -1
        return {"readable": int(whole), "lost saves": int(saved < due)}

    def due(self, began):
        """Steps of the last save that must be there once a rollout has begun."""
        last = 0
        for steps in self.rows:
            if steps <= began and steps - last >= self.config.save_freq:
                last = steps
        return last


def same(one, other):
    """True if two files have the same bytes, or neither exists."""
    if not one.is_file() or not other.is_file():
        return one.is_file() == other.is_file()
    return one.read_bytes() == other.read_bytes()


def main():
    from pretrained import checkpoint
    from tests.helpers import small_prior

    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("-n", type=int, default=50, help="runs in all")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    words.add_argument("--commands", action="store_true", help="start what a person would")
    chosen = words.parse_args()
    rng, start = np.random.default_rng(chosen.seed), Starter(chosen.commands)
    print(f"{'':20}" + "".join(f"{head:>17}" for head in HEADS), flush=True)
    whole = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder, prior = Path(name), small_prior()
        checkpoint.save(folder / "prior.safetensors", prior.net, prior.codec)
        for place, kind in enumerate(chosen.kinds):
            count = len(range(place, chosen.n, len(chosen.kinds)))
            found = Counter()
            if count:
                trial = Trial(kind, start, folder / "prior.safetensors", folder / str(place))
                for number in range(count):
                    found += trial.kill(f"run-{number}", rng)
            print(f"{kind:20}" + "".join(f"{found[head]:17}" for head in HEADS), flush=True)
            whole += found
    print(f"{'all':20}" + "".join(f"{whole[head]:17}" for head in HEADS))
    sound = whole["ended"] == whole["equal"] == whole["runs"] and not whole["lost saves"]
    sys.exit(not (sound and whole["readable"] + whole["before it began"] == whole["kills"]))


if __name__ == "__main__":
    main()
