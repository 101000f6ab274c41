"""Fine-tune the pretrained network as an agent's policy.

    python -m agents.train
    python -m agents.train --reward rl_tuner=0.5 prior=1 my_rewards.py:smooth=0.3
    python -m agents.train --env composition/Melody-v0 --task bars=4 meter=3/4
    python -m agents.train --resume runs/rltuner-v0-ppo-1

Prints the statistics of agent and prior beside the published ones, and leaves a run directory
with the policy, metrics, a learning curve and melodies.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents import commands
from agents.arguments import parse_arguments
from agents.config import TrainConfig, for_budget, to_toml

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    from agents.run import Run
    from envs.task import Task
    from pretrained.prior import RecurrentPrior
    from rewards.total import RewardSum


def learn(
    run: Run,
    config: TrainConfig,
    model: OnPolicyAlgorithm,
    prior: RecurrentPrior,
    reward: RewardSum,
    mask: RewardSum | None = None,
) -> bool:
    """Train to the end, or until Ctrl-C; save either way. Returns whether it was the end."""
    from stable_baselines3.common.logger import configure

    from agents.callbacks import Anneal, Interrupt, PieceMetrics, ProgressBar, Saver
    from agents.kl import KLController
    from agents.monitor import Diagnostics, Evaluator, find_judge
    from rewards.learning import Lessons

    model.set_logger(configure(str(run.path), ["tensorboard"] if config.tensorboard else []))
    task = model.env.env.task  # type: ignore[union-attr]
    watch = Diagnostics(task, reward, find_judge(task)) if config.judge else None
    if watch is not None:
        watch.remember(run.read_metrics())  # of a run that is resumed
    lessons = Lessons(reward, config.seed)
    lessons.prepare(task)
    metrics = PieceMetrics(run, prior, reward, config.prior, watch, lessons)
    interrupt = Interrupt()
    bar = ProgressBar(metrics, config.n_timesteps, config.progress)
    beside: list[BaseCallback] = [interrupt, metrics, bar, Saver(run, config.save_freq)]
    if config.last_entropy != config.entropy:
        beside.append(Anneal(config.entropy, config.last_entropy, config.n_timesteps))
    if config.eval_freq > 0:
        beside.append(Evaluator(run, task, reward, config, mask))
    if config.kl_budget:
        beside.append(KLController(metrics, config.kl_budget))
    try:
        model.learn(
            max(0, config.n_timesteps - model.num_timesteps),
            callback=beside,
            reset_num_timesteps=False,
        )
    except BaseException:
        model.num_timesteps = interrupt.learned  # the cells of a broken rollout taught nothing
        raise
    finally:
        interrupt.on_training_end()
        run.save(model)
        if watch is not None and watch.warnings:
            with (run.path / "warnings.txt").open("a") as file:
                file.write("\n".join(watch.warnings) + "\n")
    return model.num_timesteps >= config.n_timesteps


def report(
    run: Run, config: TrainConfig, model: OnPolicyAlgorithm, prior: RecurrentPrior,
    reward: RewardSum, task: Task, mask: RewardSum | None = None,
) -> None:  # fmt: skip
    """The table, the melodies and the learning curve."""
    from agents import curve
    from agents.evaluate import KL, as_json, compare, sample_many, table
    from agents.kl import verdict
    from agents.run import write_atomic
    from agents.sheets import write_pieces

    agent = model.policy.as_prior()  # type: ignore[operator]
    drawn = config.eval_pieces, config.seed + 1
    columns = compare(agent, prior, task, *drawn, mask=mask, reward=reward)
    text = table(columns, config.eval_pieces, task)
    print("\n" + text)
    facts: dict[str, Any] = {"pieces": config.eval_pieces, "steps": model.num_timesteps}
    missed = verdict(columns["agent"][KL], config.kl_budget) if config.kl_budget else ""
    if missed:
        print(f"\nwarning: {missed}")
        facts["kl_budget"] = missed
    write_atomic(run.path / "report.json", as_json(facts, columns))
    write_atomic(run.path / "report.txt", text + "\n")
    curve.draw(run.read_metrics(), run.path / "learning_curve.png")
    if config.samples:
        run.samples.mkdir(exist_ok=True)
        score = sample_many(agent, task, config.samples, config.seed, mask=mask)
        write_pieces(score, run.samples, reward)
    print(f"\n{run.path}: policy, learning curve and {config.samples} melodies")


def train(config: TrainConfig, resume: Path | None = None) -> int:
    """The main job. Returns the exit status: 130 if it was stopped before the end."""
    import torch

    from agents import algorithms
    from agents.compose import read_masks
    from agents.run import Run, write_atomic
    from agents.tasks import learn_on, varied
    from agents.vec_env import CompositionVecEnv, make_env
    from pretrained.checkpoint import load, locate
    from rewards.total import build

    config = for_budget(config)
    algorithms.check_settings(config)
    if config.device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device {config.device}: torch finds no GPU here; use cpu or auto")
    torch.set_num_threads(config.threads)
    reward = build(config.reward_spec)
    mask = read_masks(config.mask, reward) if config.mask else None
    env = CompositionVecEnv(make_env(config, config.n_envs), mask)
    task = env.env.task
    prior = load(config.prior, task)
    reward.prepare(task)
    model = algorithms.make(config, env, prior, reward)
    if config.vary:
        tasks = varied(config)
        for each in tasks:
            prior.require(each.env.task)
            reward.prepare(each.env.task)
        learn_on(model, tasks)
    if resume is None:
        run = Run.create(config)
        run.write_provenance(locate(config.prior), reward)
    else:
        run = Run(resume)
        before = run.config
        for name in ("algo", "env", "task", "vary", "mask", "reward", "prior"):
            if getattr(config, name) != getattr(before, name):
                raise ValueError(
                    f"{run.path} was begun with another {name}: {getattr(before, name)!r}; "
                    f"start a new run from its policy with --prior {run.path}"
                )
        run.check_provenance(locate(config.prior), reward)
        steps = run.restore(model)
        run.restore_reward(reward)
        model.set_random_seed(config.seed + steps)  # not the same draws again
        if steps >= config.n_timesteps:
            raise ValueError(f"{run.path} has done its {steps:,} steps; give a larger -n to go on")
        run.cut_metrics(steps)
        write_atomic(run.path / "config.toml", to_toml(config))  # it may run longer now
    print(f"{run.path}: {config.algo} on {config.env}, {config.n_timesteps:,} steps")
    if not learn(run, config, model, prior, reward, mask):
        print(
            f"\nstopped at {model.num_timesteps:,} of {config.n_timesteps:,} steps, all saved; "
            f"go on with: python -m agents.train --resume {run.path}"
        )
        return 130
    report(run, config, model, prior, reward, task, mask)
    return 0


def main() -> None:
    """Command line."""
    commands.run(lambda: train(*parse_arguments(description=__doc__ or "")))


if __name__ == "__main__":
    main()
