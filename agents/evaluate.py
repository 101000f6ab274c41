"""Repeat the report of a run: the agent beside the prior, on the tasks that it learned.

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
        task: arguments of the environment as name=value, in place of those of the run; a run on
            several tasks is evaluated on all of them if empty.
        told_apart: train discriminators afresh on the agent's pieces and on its prior's, and say
            how well they tell them from real tunes; done without asking after an `adversary`.
        threads: CPU threads of torch.
        limit: also show the limit of fine-tuning: the highest mean reward that any policy can have
            at its KL, and the share of that gain which the agent has.
        pool: pieces of the prior that the limit is read off; they are kept for the next time.
        trust: run the code that the run's settings name, such as rewards of its author's own.
    """

    run: tyro.conf.Positional[str]
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10_000
    seed: int = 1
    temperature: float = 1.0
    task: tuple[str, ...] = ()
    told_apart: bool = False
    threads: int = 1
    limit: bool = False
    pool: int = 2**17
    trust: bool = False

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n={self.n}: expected at least 1 piece")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed={quoted(self.seed)}: expected 0 to {2**63 - 1:,}")
        if self.pool < 1:
            raise ValueError(f"pool={self.pool}: expected at least 1 piece")
        if self.limit and self.temperature != 1:
            raise ValueError(
                f"temperature={self.temperature:g}: the limit is that of policies at temperature "
                "1; leave out --temperature or --limit"
            )


def evaluate(config: EvaluateConfig) -> None:
    """Print the table; leave it in the run directory as evaluation.json."""
    import torch

    from agents.composing.masks import read_masks
    from agents.evaluating import standing, task_report
    from agents.evaluating.comparison import as_json
    from agents.evaluating.pool import require_fixed
    from agents.runs.directory import Run
    from agents.settings.tasks import as_table, read_task
    from agents.settings.trust import require_trust
    from agents.training.monitor import find_judge
    from envs.durable_files import write_atomic
    from pretrained.checkpoint import load, locate
    from rewards.adaptive.fresh import beside
    from rewards.build import build

    torch.set_num_threads(config.threads)
    run = Run(config.run)
    settings = require_trust(run.read_config(config.trust), run.config_file, config.trust)
    tasks = (read_task(config.task, settings.task),) if config.task else settings.tasks
    reward = build(settings.reward_spec)  # first: a policy may see its rules
    agent, prior = (load(each, tasks[0]) for each in (run.saved_policy, settings.prior))
    run.restore_reward(reward)
    commands.tell_changes(run.changed(locate(settings.prior), reward))
    mask = read_masks(settings.mask, reward) if settings.mask else None
    if config.limit:
        require_fixed(reward, settings.mask)
    how: dict[str, Any] = {"temperature": config.temperature, "mask": mask}
    how["apart"] = config.told_apart or "adversary" in reward.terms
    for each in tasks if config.told_apart else ():
        try:
            beside(each)
        except ValueError as error:
            commands.note(f"nothing is told apart: {error}")
    how["judge"] = find_judge(tasks[0], commands.note) if settings.judge else None
    report = task_report.report_on(agent, prior, tasks, config.n, config.seed, reward, **how)
    print(task_report.as_text(report))
    facts: dict[str, Any] = {"pieces": config.n, "seed": config.seed}
    facts |= {"temperature": config.temperature, "task": as_table(tasks[0], settings.env)}
    if len(tasks) > 1:
        facts |= {"task": as_table(settings.task, settings.env), "vary": settings.vary}
    if config.limit:
        first, seed = tasks[0], config.seed + 1
        found = standing.against_limit(agent, prior, reward, first, config.n, seed, config.pool)
        where = f", on {first.key}, {first.meter}, {first.bars} bars" if len(tasks) > 1 else ""
        print(f"\nThe limit of fine-tuning, from {config.pool:,} pieces of the prior{where}\n")
        print(standing.as_text(found))
        facts["limit"] = standing.as_facts(found)
    write_atomic(run.path / "evaluation.json", as_json(facts, report.columns))


def main() -> None:
    """Command line."""
    commands.run(lambda: evaluate(commands.parse(EvaluateConfig, "evaluate", __doc__)))


if __name__ == "__main__":
    main()
