"""Fine-tune the pretrained network as an agent's policy.

    python -m agents.train
    python -m agents.train --reward rl_tuner=0.5 prior=1 my_rewards.py:smooth=0.3
    python -m agents.train --env composition/Melody-v0 --task bars=4 meter=3/4
    python -m agents.train --resume runs/rltuner-v0-ppo-1

Prints the statistics of agent and prior beside the published ones, and leaves a run directory
with the policy, metrics, a learning curve and melodies.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agents.settings import commands
from agents.settings.arguments import parse_arguments
from agents.settings.config import TrainConfig
from agents.settings.trust import code_of
from agents.training.terminal import Stopped, Terminal
from envs.durable_files import read_facts

if TYPE_CHECKING:
    from agents.runs.directory import Run


def summary(run: Run, config: TrainConfig) -> str:
    """Return the table of a run that is done, and what it left where."""
    missed = read_facts(run.path / "report.json").get("kl_budget")
    warning = f"\nwarning: {missed}\n" if missed else ""
    table = (run.path / "report.txt").read_text()
    many = commands.counted(config.samples, config.tasks[0].voices)
    return f"\n{table}{warning}\n{run.path}: policy, learning curve and {many}"


def show(config: TrainConfig, resume: Path | None = None) -> int:
    """Train and print what comes of it. Returns 0, or 130 or 143 if a signal stopped it."""
    commands.learn_chorales(config.prior)
    with Terminal() as terminal, suppress(Stopped):
        from agents.training.job import train

        train(config, resume, terminal)
    run = terminal.run
    if run is not None and run.reported >= config.n_timesteps:
        print(summary(run, config))
        return 0
    if run is None:
        print("\nstopped before the run began")
    else:
        trust = " --trust" if code_of(run.config) else ""
        print(
            f"\nstopped at {max(0, run.saved):,} of {config.n_timesteps:,} steps, "
            f"{'all saved' if run.saved >= 0 else 'before the first save'}; go on with: "
            f"python -m agents.train --resume {run.path}{trust}"
        )
    return 128 + terminal.signal


def main() -> None:
    """Command line."""
    commands.run(lambda: show(*parse_arguments(description=__doc__ or "")))


if __name__ == "__main__":
    main()
