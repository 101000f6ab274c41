"""Measures of a run that its reward does not use: held-out judge, diversity, evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from agents.evaluating.sampling import objective, sample_many
from agents.runs.directory import Run
from agents.settings.config import TrainConfig
from agents.settings.tasks import shares
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import text
from pretrained.checkpoint import notes
from pretrained.ngrams.judge import Judge, load_judge
from pretrained.prior import Prior
from rewards.learned import learners
from rewards.measures.diversity import diversity
from rewards.measures.habits import commonest, habits
from rewards.measures.hacking import PRIOR, SIGNS, HackingMonitor, held_out_rules, rule_means
from rewards.spec import short_names
from rewards.sum import RewardSum

Note = Callable[[str], object]
PIECES = 64  # pieces of a rollout that are measured
PAIRS = 500  # pairs of them whose edit distance is computed
WATCHED = tuple(SIGNS)
FREE = "unrewarded/"  # before the name of a rule
REFERENCE = 4  # times as many pieces of the prior are measured
LATEST = 4  # rollouts, compared with the prior's pieces
FEW = 4  # tasks; of more, each has no more pieces than a rollout
SEED = 20_261_128  # of the prior's pieces, apart from those of trainings


def find_judge(task: Task, note: Note = str) -> Judge | None:
    """Return the held-out judge of a task; None, and a note, if there is none."""
    try:
        return load_judge(task.codec)
    except (ValueError, FileNotFoundError) as error:
        note(f"no held-out judge: {error}")
        return None


class Diagnostics:
    """Columns of the training log that are not rewarded, and warnings when they fall.

    - judge: nats per note under a model of another corpus, see `pretrained.ngrams.judge`.
    - distinct, edit_distance, ...: see `rewards.measures.diversity.diversity`.
    - opening, close, ...: see `rewards.measures.habits.habits`.
    - prior/NAME: the same of pieces of the prior on the same task; prior/return and prior/spread,
      mean and standard deviation of what they are paid.
    - unrewarded/NAME: mean of a rule that is not in the reward.

    Args:
        task: task of the pieces.
        reward: the reward of the training.
        judge: the held-out judge, or None.
        note: called with each warning.
        prior: with whose pieces a rollout is compared; None to compare with the first rollouts.
        mask: rules that the agent cannot break; the prior's pieces keep them too.
        tasks: that rollouts may have; of those that differ in the tonic alone one stands for all.
    """

    def __init__(
        self,
        task: Task,
        reward: RewardSum,
        judge: Judge | None,
        note: Note = str,
        *,
        prior: Prior | None = None,
        mask: RewardSum | None = None,
        tasks: Sequence[Task] = (),
    ) -> None:
        self.reward, self.judge, self.note = reward, judge, note
        self.prior, self.mask = prior, mask
        self.rules = held_out_rules(reward)
        self.monitor = HackingMonitor() if prior is None else HackingMonitor(LATEST)
        self.warnings: list[str] = []
        self._tasks = tasks
        self._batches = REFERENCE if len(tasks) <= FEW else 1
        self._references: dict[tuple[Task, int], dict[str, float]] = {}
        self._example = ""
        if judge is not None:
            judge.require(task)

    def measure(self, score: Score) -> dict[str, float]:
        """Return the columns for finished pieces, measured on the first PIECES of them."""
        few = score[:PIECES]
        columns = self._numbers(few)
        if self.prior is not None:
            reference = self._reference(self.prior, self._stand_in(few.task), few.batch)
            columns |= {PRIOR + name: value for name, value in reference.items()}
        self._example = _example(few)
        means = rule_means(few, self.rules)
        return columns | {FREE + name: value for name, value in means.items()}

    def _numbers(self, score: Score) -> dict[str, float]:
        found = diversity(score, pairs=PAIRS) | habits(score)
        if self.judge is not None:
            found["judge"] = self.judge.per_note(score)
        return {name: found[name] for name in WATCHED if name in found}

    def _stand_in(self, task: Task) -> Task:
        """Return the first task with another tonic at most: a prior writes alike in all keys."""
        if task.given or task.chords:
            return task
        alike = (t for t in self._tasks if t.key.mode == task.key.mode)
        return next((t for t in alike if replace(t, key=task.key) == task), task)

    def _reference(self, prior: Prior, task: Task, size: int) -> dict[str, float]:
        """Return the mean numbers of batches of `size` pieces of the prior, drawn once."""
        if (task, size) not in self._references:
            drawn = sample_many(prior, task, size * self._batches, SEED, mask=self.mask)
            parts = [self._numbers(part) for part in drawn.chunks(size)]
            found = {name: fmean(part[name] for part in parts) for name in parts[0]}
            paid = self.reward(drawn).sum(axis=(1, 2), dtype=np.float64)
            found |= {"return": float(paid.mean()), "spread": float(paid.std())}
            self._references[task, size] = found
        return self._references[task, size]

    def remember(self, columns: Mapping[str, Sequence[float]], told: Sequence[str] = ()) -> None:
        """Read the log of a resumed run without printing its warnings again.

        Args:
            columns: columns of its metrics.csv.
            told: its warnings, of which those are kept that the log gives reason for; all if it
                has other columns.
        """
        watched = [name for name in WATCHED if name != "judge" or self.judge is not None]
        names = {*watched, *(FREE + name for name in self.rules)}
        if self.prior is not None:
            names |= {PRIOR + name for name in (*watched, "return", "spread")}
        seen = {name for name in columns if name in WATCHED or name.startswith((FREE, PRIOR))}
        if seen != names:
            self.warnings = list(told)  # the run began with columns that cannot be compared
            return
        rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        again = [said for row in rows if (said := self._update(int(row["steps"]), row))]
        # Those of the run name a figure of its pieces, which the log has not.
        self.warnings += [*told[: len(again)], *again[len(told) :]]

    def watch(self, steps: int, row: Mapping[str, float]) -> bool:
        """Check a row of the log; True if there is a warning, which is noted and remembered."""
        warning = self._update(steps, row)
        if warning:
            self.warnings.append(warning + self._shown(row))
            self.note(f"warning: {self.warnings[-1]}")
        return bool(warning)

    def _shown(self, row: Mapping[str, float]) -> str:
        """Return a sentence with notes of the pieces that were measured last; '' before any."""
        if not self._example:
            return ""
        if row["figures"] == 1:
            return f" One of the latest pieces: {self._example}."
        said = f" {1 - row['figures']:.0%} of the latest pieces have this figure: {self._example}"
        other = row.get(PRIOR + "figures")
        return said + ("." if other is None else f" (of the prior's {1 - other:.0%} have one).")

    def _update(self, steps: int, row: Mapping[str, float]) -> str:
        watched = {name: row[name] for name in WATCHED if name in row}
        rules = {k.removeprefix(FREE): v for k, v in row.items() if k.startswith(FREE)}
        prior = {k.removeprefix(PRIOR): v for k, v in row.items() if k.startswith(PRIOR)}
        return self.monitor.update(steps, row["return"], watched, rules, prior)


def _example(score: Score) -> str:
    """Return the notes of the commonest figure, or of a whole piece if there is none."""
    figure = commonest(score)
    if figure is None:
        return text(score)
    return text(score, figure.row, range(figure.start, figure.end))


class Evaluator(BaseCallback):
    """A callback that evaluates the policy at intervals and saves the best one.

    Each evaluation draws fresh pieces and is a row of evaluations.csv. The best policy has the
    highest `agents.evaluating.sampling.objective`. With a KL budget or a reward that learns, the
    objective changes, and no best policy is saved.

    Args:
        run: the run directory.
        tasks: that the pieces are divided among.
        reward: the reward of the training.
        config: interval, number of pieces, and final weights.
        mask: the mask that the agent plays with, if any.
    """

    def __init__(
        self,
        run: Run,
        tasks: Sequence[Task],
        reward: RewardSum,
        config: TrainConfig,
        mask: RewardSum | None,
    ) -> None:
        super().__init__()
        self.run, self.tasks, self.reward = run, tasks, reward
        self.config, self.mask = config, mask
        self.last, self.best = 0, -float("inf")

    def _on_training_start(self) -> None:  # of a run that is resumed
        done = self.run.read_metrics(self.run.evaluations_file, ("steps",))
        if done:
            self.last = int(done["steps"][-1])
        if self.run.best_file.is_file():
            self.best = float(notes(self.run.best_file)["objective"])

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:  # the gradient steps of the last rollout are done
        if self.num_timesteps - self.last >= self.config.eval_freq:
            self.last = self.num_timesteps
            self.evaluate()

    def evaluate(self) -> None:
        """Draw and score pieces, write a row, and save the policy if it is the best so far."""
        config = self.config
        agent = self.model.policy.as_prior()  # type: ignore[operator]
        paid: dict[str, float] = {}
        reached = 0.0
        for number, (task, count) in enumerate(shares(self.tasks, config.eval_episodes)):
            share, seed = count / config.eval_episodes, config.seed + 1 + number
            score = sample_many(agent, task, count, seed, mask=self.mask)
            for name, values in self.reward.breakdown(score).items():
                mean = float(values.sum(axis=(1, 2)).mean())
                paid[name] = paid.get(name, 0.0) + share * mean
            reached += share * objective(agent, score, self.reward, config, self.mask)
        row = {"steps": self.num_timesteps, "objective": reached, "return": sum(paid.values())}
        row |= {f"reward/{name}": value for name, value in paid.items()}
        self.run.append_metrics(row, self.run.evaluations_file)
        short = {f"reward/{name}": f"reward/{word}" for name, word in short_names(paid).items()}
        for name, value in row.items():
            self.logger.record(f"eval/{short.get(name, name)}", value)
        if reached > self.best and not config.kl_budget and not any(learners(self.reward)):
            self.best = reached
            facts = {"steps": self.num_timesteps, "objective": reached}
            self.model.policy.export(self.run.best_file, facts)  # type: ignore[operator]
