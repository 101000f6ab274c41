"""A training run: prepare, learn, report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agents.settings.config import TrainConfig, as_flags, for_budget, to_toml
from agents.training.listener import Listener
from envs.errors import quoted

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    from agents.runs.directory import Run
    from agents.runs.state import Generators
    from envs.music.task import Task
    from pretrained.prior import Trainable
    from rewards.sum import RewardSum


NO_MEMORY = "out of memory|allocate memory|not enough memory"  # in torch's errors


class Job(NamedTuple):
    """Everything that takes part in a training."""

    config: TrainConfig
    task: Task
    prior: Trainable
    reward: RewardSum
    mask: RewardSum | None
    model: OnPolicyAlgorithm


def prepare(config: TrainConfig, listener: Listener) -> Job:
    """Load, check and build what the settings name.

    Raises:
        ValueError, TypeError, OSError, RewardError: something cannot be had, or does not fit.
    """
    import torch

    from agents.algorithms import registry as algorithms
    from agents.composing.masks import read_masks
    from agents.learning.vec_env import CompositionVecEnv, make_env
    from agents.training.varied_tasks import learn_on, varied
    from pretrained.checkpoint import load
    from rewards.build import build

    algorithms.check_settings(config)
    number, found = config.device.partition("cuda:")[2] or 0, torch.cuda.device_count()
    if config.device.startswith("cuda") and int(number) >= found:
        raise ValueError(
            f"--device {config.device}: torch finds {found or 'no'} GPU here, numbered from 0; "
            "use cpu or auto"
        )
    if config.device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("--device mps: torch finds no such GPU here; use cpu or auto")
    reward = build(config.reward_spec)
    mask = read_masks(config.mask, reward) if config.mask else None
    env = CompositionVecEnv(make_env(config.env, config.task, config.n_envs), mask)
    task = env.env.task
    config = replace(config, task=task)  # an environment of one's own may change it
    prior = load(config.prior, task)
    reward.prepare(task)
    start = load(config.start, task) if config.start else prior
    model = algorithms.make(config, env, start, reward)
    tasks = varied(config) if config.vary else []
    for each in tasks:
        prior.require(each.env.task)
        reward.prepare(each.env.task)
    if tasks:
        learn_on(model, tasks)
    longest = max(each.env.task.steps for each in tasks or [env])
    if told := algorithms.small_batch(config, longest):
        listener.noted(f"note: {told}")
    return Job(config, task, prior, reward, mask, model)


def learn(run: Run, job: Job, generators: Generators | None, listener: Listener) -> None:
    """Train to the end, or until the listener stops it; save either way.

    Args:
        run: where to.
        job: what takes part.
        generators: of a run that is resumed.
        listener: is told.

    Raises:
        OSError: the run cannot be written any more; its last save stays.
        ValueError: learning has diverged; the last save stays.
    """
    from stable_baselines3.common.logger import configure

    from agents.learning.rollout import buffer_of
    from agents.runs.curve import PARTS
    from agents.training.callbacks import Anneal, DivergedError, PieceMetrics, Relay, Saver
    from agents.training.kl import KLController
    from agents.training.monitor import Diagnostics, Evaluator, find_judge
    from agents.training.reward_lessons import Lessons

    config, model, task, reward = job.config, job.model, job.task, job.reward
    model.set_logger(configure(str(run.path), ["tensorboard"] if config.tensorboard else []))
    watch = None
    if config.judge:
        watch = Diagnostics(task, reward, find_judge(task, listener.noted), listener.noted)
        watch.remember(run.read_metrics(needed=PARTS), run.warnings)  # of a run that is resumed
        run.write_warnings(watch.warnings)
    lessons = Lessons(reward, config.seed)
    lessons.prepare(task)
    metrics = PieceMetrics(run, job.prior, config.prior, watch, lessons)
    steering = buffer_of(model).steering
    saver = Saver(run, config.save_freq, generators, reward)
    beside: list[BaseCallback] = [metrics, Relay(metrics, listener)]
    if steering is not None and config.last_entropy != config.entropy:
        beside.append(Anneal(steering, config.entropy, config.last_entropy, config.n_timesteps))
    if config.eval_freq > 0:
        beside.append(Evaluator(run, task, reward, config, job.mask))
    if steering is not None and config.kl_budget:
        beside.append(KLController(metrics, config.kl_budget, steering))
    left = max(0, config.n_timesteps - model.num_timesteps)
    try:
        model.learn(left, callback=[*beside, saver], reset_num_timesteps=False)
        saver.save()
    except DivergedError:
        raise
    except OSError as error:
        raise OSError(f"{error}. {saver.told}") from error
    except BaseException:
        saver.save()
        raise
    finally:
        listener.learned()


def report(run: Run, job: Job) -> None:
    """The table, the melodies and the learning curve."""
    from agents.composing.melody_files import write_pieces
    from agents.evaluating.comparison import KL, as_json, compare, table
    from agents.evaluating.sampling import sample_many
    from agents.runs import curve
    from agents.training.kl import verdict
    from envs.durable_files import write_atomic

    config, task, prior, reward, mask, model = job
    agent = model.policy.as_prior()  # type: ignore[operator]
    drawn = config.eval_pieces, config.seed + 1
    columns = compare(agent, prior, task, *drawn, mask=mask, reward=reward)
    text = table(columns, config.eval_pieces, task, reward)
    facts: dict[str, Any] = {"pieces": config.eval_pieces, "steps": model.num_timesteps}
    missed = verdict(columns["agent"][KL], config.kl_budget) if config.kl_budget else ""
    if missed:
        facts["kl_budget"] = missed
    write_atomic(run.path / "report.txt", text + "\n")
    curve.draw(run.read_metrics(needed=curve.PARTS), run.path / "learning_curve.png")
    if config.samples:
        run.check_samples()
        run.samples.mkdir(exist_ok=True)
        score = sample_many(agent, task, config.samples, config.seed, mask=mask)
        write_pieces(score, run.samples, reward)
    write_atomic(run.path / "report.json", as_json(facts, columns))  # says that the run is done


def check_resumable(run: Run, config: TrainConfig) -> None:
    """Raise ValueError if the settings are not those of a run that goes on."""
    now, then = as_flags(config), as_flags(run.config)
    for name in ("algo", "env", "task", "vary", "mask", "reward", "prior", "start"):
        if now[name] != then[name]:
            raise ValueError(
                f"{run.path} was begun with another {name}: {then[name]!r}; "
                f"start a new run from its policy with --prior {run.path}"
            )


@contextmanager
def _globals_kept(threads: int) -> Iterator[None]:
    """Use some threads of torch; put back the threads and random generators that others use."""
    import random

    import numpy as np
    import torch

    before, python, arrays = torch.get_num_threads(), random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            random.setstate(python)
            np.random.set_state(arrays)


def train(
    config: TrainConfig, resume: str | Path | None = None, listener: Listener | None = None
) -> Run:
    """Train an agent; return its run, whose directory holds policy, metrics and report.

    Prints nothing, and may run in any thread.

    Args:
        config: settings.
        resume: directory of a run to go on with, whose settings `config` may prolong.
        listener: hears of the training, and may stop it.

    Raises:
        ValueError, TypeError, OSError, RewardError: settings that cannot be followed, a run that
            cannot be written, too little memory, or learning that has diverged.
    """
    from agents.runs.directory import Run
    from agents.runs.run_lock import only_one

    if not isinstance(config, TrainConfig):
        raise TypeError(f"config={quoted(config)}: expected a TrainConfig, such as TrainConfig()")
    config, listener = for_budget(config), listener or Listener()
    with _globals_kept(config.threads), ExitStack() as held:
        try:
            if resume is None:
                Run.check_free(config)  # before the work
                job = prepare(config, listener)
                run = Run.create(job.config, held)
                listener.begun(run, job.config)
            else:
                run = Run(resume)
                held.enter_context(only_one(run.path))
                check_resumable(run, config)
                job = prepare(config, listener)
            _carry_out(run, job, listener, resume is not None)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and not re.search(NO_MEMORY, str(error)):
                raise
            fewer = max(2, config.n_envs // 4)
            raise ValueError(
                f"n_envs={config.n_envs}: there is not enough memory for so many pieces at once "
                f"({' '.join(str(error).split()):.200}); give fewer, such as --n-envs {fewer}"
            ) from error
    return run


def _carry_out(run: Run, job: Job, listener: Listener, resumed: bool) -> None:
    """Begin or go on, learn, report."""
    from envs.durable_files import write_atomic
    from pretrained.checkpoint import locate

    config, model = job.config, job.model
    run.check_provenance(locate(config.prior), job.reward)
    generators = run.restore(model, job.reward)
    if run.reported >= model.num_timesteps >= config.n_timesteps:
        raise ValueError(
            f"{run.path} has done its {model.num_timesteps:,} steps; give a larger -n to go on"
        )
    if config != run.config:
        write_atomic(run.config_file, to_toml(config))  # it may run longer now
    if not run.provenance_file.is_file():
        run.write_provenance(locate(config.prior), job.reward)
    if resumed:
        listener.begun(run, config)
    if model.num_timesteps < config.n_timesteps:
        learn(run, job, generators, listener)
    if model.num_timesteps >= config.n_timesteps:
        report(run, job)
