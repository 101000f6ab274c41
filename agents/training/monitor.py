"""Measures of a run that its reward does not use: held-out judge, diversity, evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stable_baselines3.common.callbacks import BaseCallback

from agents.runs.directory import Run
from agents.settings.config import TrainConfig
from agents.settings.tasks import shares
from envs.music.score import Score
from envs.music.task import Task
from pretrained.checkpoint import notes
from pretrained.ngrams.judge import Judge, load_judge
from rewards.learned import learners
from rewards.measures.diversity import diversity
from rewards.measures.hacking import HackingMonitor, held_out_rules, rule_means
from rewards.spec import short_names
from rewards.sum import RewardSum

Note = Callable[[str], object]
PIECES = 64  # pieces of a rollout that are measured
PAIRS = 500  # pairs of them whose edit distance is computed
WATCHED = ("judge", "distinct", "vendi", "edit_distance", "interval_entropy", "rhythm_entropy")
FREE = "unrewarded/"  # before the name of a rule


def find_judge(task: Task, note: Note = str) -> Judge | None:
    """Return the held-out judge of a task; None, and a note, if there is none."""
    try:
        return load_judge(task.codec)
    except (ValueError, FileNotFoundError) as error:
        note(f"no held-out judge: {error}")
        return None


class Diagnostics:
    """Columns of the training log that are not rewarded, and warnings when they fall.

    judge: nats per note under a model of another corpus, see `pretrained.ngrams.judge`.
    distinct, edit_distance, ...: see `rewards.measures.diversity.diversity`.
    unrewarded/NAME: mean of a rule that is not in the reward.

    Args:
        task: task of the pieces.
        reward: the reward of the training.
        judge: the held-out judge, or None.
        note: called with each warning.
    """

    def __init__(
        self, task: Task, reward: RewardSum, judge: Judge | None, note: Note = str
    ) -> None:
        self.judge, self.note = judge, note
        self.rules = held_out_rules(reward)
        self.monitor = HackingMonitor()
        self.warnings: list[str] = []
        if judge is not None:
            judge.require(task)

    def measure(self, score: Score) -> dict[str, float]:
        """Return the columns for finished pieces, measured on the first PIECES of them."""
        few = score[:PIECES]
        columns = {} if self.judge is None else {"judge": self.judge.per_note(few)}
        varied = diversity(few, pairs=PAIRS)
        columns |= {name: varied[name] for name in WATCHED if name in varied}
        means = rule_means(few, self.rules)
        return columns | {FREE + name: value for name, value in means.items()}

    def remember(self, columns: Mapping[str, Sequence[float]], told: Sequence[str] = ()) -> None:
        """Read the log of a resumed run without printing its warnings again.

        Args:
            columns: columns of its metrics.csv.
            told: its warnings, used if the log has other columns.
        """
        watched = [name for name in WATCHED if name != "judge" or self.judge is not None]
        seen = {name for name in columns if name in WATCHED or name.startswith(FREE)}
        if seen != {*watched, *(FREE + name for name in self.rules)}:
            self.warnings = list(told)  # the run began with columns that cannot be compared
            return
        rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        self.warnings += filter(None, (self._update(int(row["steps"]), row) for row in rows))

    def watch(self, steps: int, row: Mapping[str, float]) -> bool:
        """Check a row of the log; True if there is a warning, which is noted and remembered."""
        warning = self._update(steps, row)
        if warning:
            self.warnings.append(warning)
            self.note(f"warning: {warning}")
        return bool(warning)

    def _update(self, steps: int, row: Mapping[str, float]) -> str:
        watched = {name: row[name] for name in WATCHED if name in row}
        rules = {k.removeprefix(FREE): v for k, v in row.items() if k.startswith(FREE)}
        return self.monitor.update(steps, row["return"], watched, rules)


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
        from agents.evaluating.sampling import objective, sample_many

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
