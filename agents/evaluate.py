"""Repeat the table of a run: the agent beside the prior and the published figures.

python -m agents.evaluate runs/rltuner-v0-ppo-1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from agents.settings import commands
from envs.errors import quoted


@dataclass(frozen=True)
class EvaluateConfig:
    """Settings of an evaluation.

    Attributes:
        run: run directory.
        n: pieces to sample from the agent and from its prior.
        seed: of the draw.
        temperature: of the agent's draw; 1 is the policy as it was trained.
        task: arguments of the environment as name=value, in place of those of the run.
        told_apart: train discriminators afresh on the agent's pieces and on its prior's, and say
            how well they tell them from real tunes; done without asking after an `adversary`.
        threads: CPU threads of torch.
        trust: run the code that the run's settings name, such as rewards of its author's own.
    """

    run: tyro.conf.Positional[str]
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10_000
    seed: int = 1
    temperature: float = 1.0
    task: tuple[str, ...] = ()
    told_apart: bool = False
    threads: int = 1
    trust: bool = False

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n={self.n}: expected at least 1 piece")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed={quoted(self.seed)}: expected 0 to {2**63 - 1:,}")


def evaluate(config: EvaluateConfig) -> None:
    """Print the table; leave it in the run directory as evaluation.json."""
    import torch

    from agents.composing.masks import read_masks
    from agents.evaluating.comparison import as_json, compare, table
    from agents.runs.directory import Run
    from agents.settings.tasks import as_table, read_task
    from agents.settings.trust import require_trust
    from envs.durable_files import write_atomic
    from pretrained.checkpoint import load, locate
    from rewards.build import build

    torch.set_num_threads(config.threads)
    run = Run(config.run)
    settings = require_trust(run.read_config(config.trust), run.config_file, config.trust)
    task = read_task(config.task, settings.task)
    agent, prior = load(run.saved_policy, task), load(settings.prior, task)
    reward = build(settings.reward_spec)
    run.restore_reward(reward)
    commands.tell_changes(run.changed(locate(settings.prior), reward))
    mask = read_masks(settings.mask, reward) if settings.mask else None
    apart = config.told_apart or "adversary" in reward.terms
    columns = compare(
        agent, prior, task, config.n, config.seed, config.temperature, mask, reward, apart
    )
    print(table(columns, config.n, task, reward))
    facts: dict[str, Any] = {"pieces": config.n, "seed": config.seed}
    facts |= {"temperature": config.temperature, "task": as_table(task, settings.env)}
    write_atomic(run.path / "evaluation.json", as_json(facts, columns))


def main() -> None:
    """Command line."""
    commands.run(lambda: evaluate(commands.parse(EvaluateConfig, "evaluate", __doc__)))


if __name__ == "__main__":
    main()
