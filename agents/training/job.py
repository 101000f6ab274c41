"""A training run: prepare, learn, report."""

from __future__ import annotations

import math
import random
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.algorithms import registry as algorithms
from agents.composing.masks import read_masks
from agents.composing.melody_files import write_pieces
from agents.evaluating.comparison import KL, as_json
from agents.evaluating.sampling import sample_many
from agents.evaluating.task_report import as_text, report_on
from agents.learning.rollout import Steering, buffer_of
from agents.runs import curve, session
from agents.runs.directory import Run
from agents.runs.state import Generators
from agents.settings.config import TrainConfig, for_budget
from agents.settings.tasks import shares, spread
from agents.training.callbacks import Anneal, Cooling, DivergedError, PieceMetrics, Saver
from agents.training.kl import KLController, limiting_c, verdict
from agents.training.listener import Listener
from agents.training.monitor import Diagnostics, Evaluator, find_judge
from agents.training.reward_lessons import Lessons
from agents.training.varied_tasks import learn_on, make_envs
from envs.durable_files import write_atomic
from envs.errors import quoted
from envs.music.task import Task
from pretrained.checkpoint import load, locate
from pretrained.device import whole_float32
from pretrained.networks.architectures import SightedPrior
from pretrained.prior import Trainable, hears_one_line
from rewards.build import build
from rewards.sight import RuleSight
from rewards.sum import RewardSum

NO_MEMORY = "out of memory|allocate memory|not enough memory"  # in torch's errors
TRIED = 8  # tasks, at most, by whose pieces the numbers of a sight are scaled
one_at_a_time = threading.RLock()


class Job(NamedTuple):
    """Everything that takes part in a training, which is reported on for `tasks`."""

    config: TrainConfig
    task: Task
    tasks: tuple[Task, ...]
    prior: Trainable
    prior_file: Path
    reward: RewardSum
    mask: RewardSum | None
    model: OnPolicyAlgorithm


def prepare(config: TrainConfig, listener: Listener) -> Job:
    """Load, check and build what the settings name.

    Raises:
        ValueError, TypeError, OSError, RewardError: something cannot be had, or does not fit.
    """
    reward = build(config.reward_spec)
    mask = read_masks(config.mask, reward) if config.mask else None
    prior, prior_file = load(config.prior, config.task), locate(config.prior)
    start = load(config.start, config.task) if config.start else prior
    if config.sight and start.sight is None:
        start = sighted(start, reward, config.tasks, listener)
    env, varied = make_envs(config, mask, start.sight)
    task = env.env.task  # an environment of one's own may change it
    config, tasks = replace(config, task=task), tuple(each.env.task for each in varied) or (task,)
    for each in (task, *tasks):
        prior.require(each)
        start.require(each)
        reward.prepare(each)
    if max(each.voices for each in (task, *tasks)) > 1 and hears_one_line(start):
        listener.noted(
            "note: the policy writes each voice by itself, and none hears another, as the network "
            "it starts from does; python -m pretrained.train --corpus chorales makes one that hears"
        )
    model = algorithms.make(config, env, start, reward)
    for told in algorithms.notes(config, max(each.steps for each in tasks)):
        listener.noted(f"note: {told}")
    if varied:
        learn_on(model, varied)
    return Job(config, task, tasks, prior, prior_file, reward, mask, model)


def sighted(
    prior: Trainable, reward: RewardSum, tasks: Sequence[Task], listener: Listener
) -> Trainable:
    """Return a prior of the same probabilities that is told what the rules of a reward see.

    Where none can be seen the listener is told so, and the prior itself is returned.

    Raises:
        ValueError: the prior cannot read the tasks.
    """
    for task in tasks:
        prior.require(task)
    sight = RuleSight.of(reward.terms.values())
    if sight is None:
        listener.noted("note: no sight, as no term of this reward can be asked of a single cell")
        return prior
    return SightedPrior.over(prior, sight, spread(tasks, min(TRIED, len(tasks))))


def watchers(
    run: Run, job: Job, generators: Generators | None, listener: Listener
) -> tuple[list[BaseCallback], Saver]:
    """Return the callbacks that measure, steer and show a training, in their order, and its saver.

    Args:
        run: where to.
        job: what takes part.
        generators: of a run that is resumed.
        listener: is told.
    """
    config, task, reward = job.config, job.task, job.reward
    steering = buffer_of(job.model).steering
    lessons = Lessons(reward, config.seed, listener.noted)
    for each in job.tasks:
        lessons.prepare(each)
    watch = None
    if config.judge:
        judge = find_judge(task, listener.noted)
        watch = Diagnostics(
            task,
            reward,
            judge,
            listener.noted,
            prior=job.prior,
            mask=job.mask,
            tasks=job.tasks,
        )
    evaluator = Evaluator(run, job.tasks, reward, config, job.mask)
    metrics = PieceMetrics(run, job.prior, config.prior, listener, lessons, watch)
    beside: list[BaseCallback] = [metrics]
    if steering is not None and config.last_entropy != config.entropy:
        beside.append(Anneal(steering, config))
    if steering is not None and hasattr(config.settings, "heat") and not config.kl_budget:
        beside.append(Cooling(steering, config))
    if config.eval_freq > 0:
        beside.append(evaluator)
    saver = Saver(run, config.save_freq, generators, reward)
    if steering is not None and config.kl_budget:
        beside.append(_controller(job, metrics, steering, listener))
    return beside, saver


def _controller(
    job: Job, metrics: PieceMetrics, steering: Steering, listener: Listener
) -> KLController:
    """Return the controller of a KL budget, which starts from the limit's c.

    That is read off the reward as it is before it learns, so that a resumed run has the same.
    """
    config = job.config
    reward = build(config.reward_spec)
    c, note = limiting_c(job.prior, reward, job.tasks, config.kl_budget)
    listener.noted(f"note: {note}")
    start = config.c if math.isnan(c) else c
    return KLController(metrics, config.kl_budget, steering, start, config.n_timesteps)


def learn(run: Run, job: Job, generators: Generators | None, listener: Listener) -> None:
    """Train to the end, or until the listener stops it; save either way.

    Raises:
        OSError: the run cannot be written any more; its last save stays.
        ValueError: learning has diverged; the last save stays.
    """
    config, model = job.config, job.model
    model.set_logger(configure(str(run.path), ["tensorboard"] if config.tensorboard else []))
    beside, saver = watchers(run, job, generators, listener)
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
    """Write the table, the melodies and the learning curve."""
    config, tasks, reward, mask = job.config, job.tasks, job.reward, job.mask
    agent = job.model.policy.as_prior()  # type: ignore[operator]
    n, seed = config.eval_pieces, config.seed
    judge = find_judge(job.task) if config.judge else None
    found = report_on(agent, job.prior, tasks, n, seed + 1, reward, mask=mask, judge=judge)
    facts: dict[str, Any] = {"pieces": n, "steps": job.model.num_timesteps}
    missed = verdict(found.columns["agent"][KL], config.kl_budget) if config.kl_budget else ""
    if missed:
        facts["kl_budget"] = missed
    text, summary = as_text(found) + "\n", as_json(facts, found.columns)
    curve.draw(run.read_metrics(needed=curve.PARTS), run.path / "learning_curve.png")
    if config.samples:
        run.check_samples()
        run.samples.mkdir(exist_ok=True)
        scores = [
            sample_many(agent, task, count, seed + number, mask=mask)
            for number, (task, count) in enumerate(shares(tasks, config.samples))
        ]
        write_pieces(scores, run.samples, reward)
    write_atomic(run.path / "report.txt", text)
    write_atomic(run.path / "report.json", summary)  # says that the run is done


@contextmanager
def globals_kept(threads: int) -> Iterator[None]:
    """Use some threads of torch; put back threads, random generators and filters of warnings."""
    before, python, arrays = torch.get_num_threads(), random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices), warnings.catch_warnings():
        torch.set_num_threads(threads)
        try:
            with whole_float32():
                yield
        finally:
            torch.set_num_threads(before)
            random.setstate(python)
            np.random.set_state(arrays)


@contextmanager
def _memory_named(n_envs: int) -> Iterator[None]:
    """Name the setting that takes too much memory.

    Raises:
        ValueError: there was too little.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not re.search(NO_MEMORY, str(error)):
            raise
        fewer = max(2, n_envs // 4)
        raise ValueError(
            f"n_envs={n_envs}: there is not enough memory for so many pieces at once "
            f"({' '.join(str(error).split()):.200}); give fewer, such as --n-envs {fewer}"
        ) from error


def train(
    config: TrainConfig, resume: str | Path | None = None, listener: Listener | None = None
) -> Run:
    """Train an agent; return its run, whose directory holds policy, metrics and report.

    Prints nothing, may run in any thread, and leaves torch's threads, the random generators of
    Python, numpy and torch, and the filters of warnings as they were. A process has one of each,
    so it has one training at a time: one that begins in another thread waits for it.

    Args:
        config: settings.
        resume: directory of a run to go on with, whose settings `config` may prolong.
        listener: hears of the training, and may stop it.

    Raises:
        ValueError, TypeError, OSError, RewardError: settings that cannot be followed, a run that
            cannot be written, too little memory, or learning that has diverged.
    """
    if not isinstance(config, TrainConfig):
        raise TypeError(f"config={quoted(config)}: expected a TrainConfig, such as TrainConfig()")
    listener = listener or Listener()
    with one_at_a_time, globals_kept(config.threads), _memory_named(config.n_envs):
        config = for_budget(config)
        with session.enter(config, resume) as run:
            config = run.as_begun(config)
            job = prepare(config, listener)
            generators = session.begin(run, job.config, job.prior_file, job.reward, job.model)
            listener.begun(run, job.config)
            if job.model.num_timesteps < config.n_timesteps:
                learn(run, job, generators, listener)
            if job.model.num_timesteps >= config.n_timesteps:
                report(run, job)
    return run
