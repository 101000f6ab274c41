"""Repeat the table of a run: the agent beside the prior and the published figures.

python -m agents.evaluate runs/rltuner-v0-ppo-1
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from agents import commands
from agents.wishes import merged

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from agents.config import TrainConfig
    from envs.score import Score
    from envs.task import Task
    from pretrained.prior import RecurrentPrior
    from rewards.total import RewardSum

    Array = npt.NDArray[np.float32]

BATCH = 1000  # pieces sampled at once
RETURN = "mean return, this reward"
KL = "mean KL to the prior (nats)"


@dataclass(frozen=True)
class EvaluateConfig:
    """What to evaluate.

    Attributes:
        run: run directory.
        n: pieces to sample from the agent and from its prior.
        seed: of the draw.
        temperature: of the agent's draw; 1 is the policy as it was trained.
        task: arguments of the environment as name=value, in place of those of the run.
        threads: CPU threads of torch.
        trust: run the code that the run's settings name, such as rewards of its author's own.
    """

    run: tyro.conf.Positional[str]
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10_000
    seed: int = 1
    temperature: float = 1.0
    task: tuple[str, ...] = ()
    threads: int = 1
    trust: bool = False

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n={self.n}: expected at least 1 piece")


def sample_many(
    prior: RecurrentPrior,
    task: Task,
    n: int,
    seed: int,
    temperature: float = 1.0,
    mask: RewardSum | None = None,
) -> Score:
    """`n` pieces drawn in portions; the same seed gives the same pieces.

    With a mask its rules are kept, as by a policy that learned behind it.
    """
    import numpy as np
    import torch

    from agents.search import masked
    from envs.score import Score
    from pretrained.prior import sample

    if mask is not None:
        pages = np.random.default_rng(seed)
        found = [
            masked(prior, task.sample(pages, min(BATCH, n - done)), mask, seed + done, temperature)
            for done in range(0, n, BATCH)
        ]
        return Score(np.concatenate([each.score.tokens for each in found]), task)

    torch_rng = torch.Generator().manual_seed(seed)
    pages = np.random.default_rng(seed)
    parts = [
        sample(prior, task.sample(pages, min(BATCH, n - done)), torch_rng, temperature).tokens
        for done in range(0, n, BATCH)
    ]
    return Score(np.concatenate(parts), task)


def log_policy(agent: RecurrentPrior, score: Score, mask: RewardSum | None = None) -> Array:
    """log pi in nats (B, V, T) of finished pieces, behind a mask if there is one."""
    import numpy as np

    from agents.search import masked_nats

    if mask is None:
        return agent.log_prob(score)
    return np.concatenate([masked_nats(agent, part, mask) for part in score.chunks(BATCH)])


def objective(
    agent: RecurrentPrior,
    score: Score,
    reward: RewardSum,
    config: TrainConfig,
    mask: RewardSum | None = None,
) -> float:
    """What a run is after, on pieces its agent drew: nats a piece, with the run's last weights.

    The mean of rules / c + (weight of the prior) log p - (last weight of the entropy) log pi.
    """
    paid = reward.divided(config.c)(score).sum(axis=(1, 2))
    own = log_policy(agent, score, mask).sum(axis=(1, 2))
    return float((paid - config.last_entropy * own).mean())


def column(
    score: Score,
    prior: RecurrentPrior,
    writer: RecurrentPrior | None = None,
    mask: RewardSum | None = None,
    reward: RewardSum | None = None,
) -> dict[str, float]:
    """One column of the table: statistics, mean log p under `prior`, distinct pieces.

    With a reward also what it pays on average and how often its rules are broken; and, where there
    are real tunes to compare with, how like them the pieces are (`rewards.likeness`). With the
    `writer` the pieces were drawn from (at temperature 1, behind its mask) also its KL to the
    prior: the mean of log pi - log p over the cells that are not given.
    """
    from envs.task import Task
    from rewards.likeness import likeness, mean_violations
    from rewards.metrics import distinct, table_rows

    rows, likely = table_rows(score), prior.log_prob(score)
    rows["mean log p per token (nats)"] = float(likely.mean())
    if writer is not None:
        nats = log_policy(writer, score, mask) - likely
        rows[KL] = float(nats[:, score.task.free].mean())
    if reward is not None:
        rows[RETURN] = float(reward(score).sum(axis=(1, 2)).mean())
        if score.task != Task():  # the paper's table is left as it is
            rows |= mean_violations(score, reward)
    rows |= likeness(score)
    rows["distinct pieces"] = float(distinct(score))
    return rows


def compare(
    agent: RecurrentPrior,
    prior: RecurrentPrior,
    task: Task,
    n: int,
    seed: int,
    temperature: float = 1.0,
    mask: RewardSum | None = None,
    reward: RewardSum | None = None,
) -> dict[str, dict[str, float]]:
    """Columns of prior and agent, `n` pieces each; the agent's behind its mask, if it has one."""
    pieces = sample_many(agent, task, n, seed, temperature, mask)
    writer = agent if temperature == 1 else None
    return {
        "prior": column(sample_many(prior, task, n, seed), prior, prior, reward=reward),
        "agent": column(pieces, prior, writer, mask, reward),
    }


def table(columns: Mapping[str, Mapping[str, float]], n: int, task: Task) -> str:
    """The columns as text, beside the published figures if the task is the paper's."""
    from envs.task import Task
    from rewards.metrics import format_table

    return f"{n:,} pieces each\n\n{format_table(columns, published=task == Task())}"


def as_json(facts: Mapping[str, Any], columns: Mapping[str, Mapping[str, float]]) -> str:
    """The columns for a file; null where nothing could be counted, as JSON has no NaN."""
    known = {
        head: {name: None if isnan(value) else value for name, value in column.items()}
        for head, column in columns.items()
    }
    return json.dumps({**facts, "columns": known}, indent=2) + "\n"


def evaluate(config: EvaluateConfig) -> None:
    """Print the table; leave it in the run directory as evaluation.json."""
    import torch

    from agents.compose import read_masks
    from agents.run import Run
    from agents.trust import require_trust
    from agents.vec_env import make_task
    from pretrained.checkpoint import load, locate
    from pretrained.files import write_atomic
    from rewards.total import build

    torch.set_num_threads(config.threads)
    run = Run(config.run)
    settings = require_trust(run.config, run.config_file, config.trust)
    settings = replace(settings, task=merged(settings.task, config.task))
    task = make_task(settings)
    agent, prior = load(run.saved_policy, task), load(settings.prior, task)
    reward = build(settings.reward_spec)
    run.restore_reward(reward)
    commands.tell_changes(run.changed(locate(settings.prior), reward))
    mask = read_masks(settings.mask, reward) if settings.mask else None
    columns = compare(agent, prior, task, config.n, config.seed, config.temperature, mask, reward)
    print(table(columns, config.n, task))
    facts: dict[str, Any] = {"pieces": config.n, "seed": config.seed}
    facts |= {"temperature": config.temperature, "task": dict(settings.task_arguments)}
    write_atomic(run.path / "evaluation.json", as_json(facts, columns))


def main() -> None:
    """Command line."""
    commands.run(lambda: evaluate(commands.parse(EvaluateConfig, "evaluate", __doc__)))


if __name__ == "__main__":
    main()
