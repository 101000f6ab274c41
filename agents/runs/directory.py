"""The directory of a run with its files, complete whenever the run ends.

config.toml          all settings; --config with it repeats the run
provenance.json      versions, commit, hashes of the prior and of each reward's source
metrics.csv          one row per update: reward terms, KL, entropy, diversity, held-out judge
evaluations.csv      one row per evaluation on fresh pieces
policy.safetensors   the policy; loads as a prior
best.safetensors     the policy of the best evaluation
warnings.txt         signs of a hacked reward, if there are any
state.zip            to resume one's own run only, see `agents.runs.state`; has policy and reward
reward.safetensors   weights of the reward terms that learn, if there are any
samples/             melodies as MIDI, MusicXML, ABC and score picture
learning_curve.png   report.txt
report.json          written last, when the run is done
.lock                held by the process that trains
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save as to_bytes
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from agents.runs import csv_tables as tables
from agents.runs.provenance import as_json, changes, made_with
from agents.runs.run_lock import CONFIG, BusyError, new_folder
from agents.runs.state import Generators, Saved, pack
from agents.settings.begun import PROVENANCE, as_begun
from agents.settings.config import TrainConfig, read_toml, to_toml
from envs.durable_files import (
    clear_parts,
    not_written,
    read_facts,
    read_text,
    refuse_link,
    write_atomic,
    write_together,
)
from envs.errors import quoted
from pretrained.checkpoint import notes
from rewards import learned as learning
from rewards.sum import RewardSum


class HeldRollout(NamedTuple):
    """A rollout of a run with a KL budget: c, the KL in nats per token, and the steps done."""

    c: float
    kl: float
    steps: float


class Run:
    """A run directory.

    Args:
        path: a directory with a config.toml.

    Attributes:
        path: the directory.
        config_file: its settings.
        provenance_file: versions and hashes that it began with.
        metrics_file: table with a row for each update.
        evaluations_file: table with a row for each evaluation.
        policy_file: the policy, which loads as a prior; see `saved_policy`.
        best_file: policy of the best evaluation, which loads as a prior too.
        state_file: state from which it is resumed.
        reward_file: weights of reward terms that learn.
        warnings_file: signs of a hacked reward.
        samples: folder of melodies.

    Raises:
        ValueError: it is no run directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_file = self.path / CONFIG
        self.provenance_file = self.path / PROVENANCE
        self.metrics_file = self.path / "metrics.csv"
        self.evaluations_file = self.path / "evaluations.csv"
        self.policy_file = self.path / "policy.safetensors"
        self.best_file = self.path / "best.safetensors"
        self.state_file = self.path / "state.zip"
        self.reward_file = self.path / "reward.safetensors"
        self.warnings_file = self.path / "warnings.txt"
        self.samples = self.path / "samples"
        if self.path.suffix == ".safetensors":
            raise ValueError(
                f"{self.path} is a policy and no run directory; where a run is asked for, write "
                f"--prior {self.path}, and with python -m agents.compose --method prior too"
            )
        if not self.config_file.is_file():
            raise ValueError(
                f"{self.path} is no run directory: it has no config.toml; "
                "make one with: python -m agents.train --name NAME"
            )

    @classmethod
    def create(cls, config: TrainConfig, held: contextlib.ExitStack | None = None) -> Run:
        """Make a new directory for a run.

        One that a killed process left without settings counts as new.

        Args:
            config: its settings, written there.
            held: where the lock of the directory is kept; without it other processes may enter.

        Raises:
            ValueError: a name that is no folder's, or of a directory that exists.
            OSError: it cannot be made.
        """
        settings, named = to_toml(config), config.name
        if named and (Path(named).name != named or named == ".."):
            raise ValueError(
                f"name={quoted(named)}: expected the name of one folder, which is made within "
                "--runs"
            )
        stem = f"{config.env.rpartition('/')[2].lower()}-{config.algo}"
        with contextlib.ExitStack() as lock:
            for name in [named] if named else (f"{stem}-{n}" for n in count(1)):
                path = config.runs / name
                try:
                    lock.enter_context(new_folder(path))
                    break
                except BusyError:
                    if named:
                        raise
            write_atomic(path / CONFIG, settings)
            if held is not None:
                held.enter_context(lock.pop_all())
        return cls(path)

    @property
    def config(self) -> TrainConfig:
        """The settings of the run."""
        return self.read_config()

    def read_config(self, trust: bool = False) -> TrainConfig:
        """Return the settings of the run, with the checkpoints that it began with.

        Args:
            trust: see `agents.settings.config.from_mapping`.
        """
        return self.as_begun(read_toml(self.config_file, trust))

    def as_begun(self, config: TrainConfig) -> TrainConfig:
        """Return settings with the checkpoints of the run, see `agents.settings.begun`."""
        return as_begun(config, self.path)

    def restore_reward(self, reward: RewardSum) -> None:
        """Load the saved weights of a reward that learns.

        Raises:
            ValueError: the file is damaged or of another reward.
        """
        if self.reward_file.is_file():
            learning.load(reward, self.reward_file)

    @property
    def saved_policy(self) -> Path:
        """Path of the policy.

        Raises:
            ValueError: there is no such file.
        """
        if not self.policy_file.is_file():
            raise ValueError(
                f"{self.path} has no policy.safetensors: it was stopped before its first save; "
                f"go on with: python -m agents.train --resume {self.path}"
            )
        return self.policy_file

    @property
    def reported(self) -> int:
        """Steps of the training in the report, -1 if there is no report."""
        try:
            return int(read_facts(self.path / "report.json")["steps"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return -1

    @property
    def saved(self) -> int:
        """Steps of the policy that was saved last, -1 if there is none."""
        return int(notes(self.policy_file)["steps"]) if self.policy_file.is_file() else -1

    def check_samples(self) -> None:
        """Raise OSError if the folder of melodies is a symbolic link."""
        try:
            refuse_link(self.samples)
        except OSError as error:
            raise not_written(self.samples, error) from error

    # -- provenance ------------------------------------------------------------------------------

    def write_provenance(self, prior_file: Path, reward: RewardSum) -> None:
        """Write the versions and hashes that the run begins with."""
        write_atomic(self.provenance_file, as_json(self._made_with(prior_file, reward)))

    def _made_with(self, prior_file: Path, reward: RewardSum) -> dict[str, Any]:
        return made_with(prior_file, reward, getattr(self.config.settings, "pairs", ""))

    def changed(self, prior_file: Path, reward: RewardSum) -> list[str]:
        """Return the changes of prior and rewards since the run began, see `provenance.changes`."""
        if not self.provenance_file.is_file():
            return []
        now = self._made_with(prior_file, reward)
        return changes(read_facts(self.provenance_file), now, prior_file)

    def check_provenance(self, prior_file: Path, reward: RewardSum) -> str:
        """Return the present versions and hashes, as the text of their file.

        Raises:
            ValueError: the prior, a user's reward or comparisons changed since the run began.
        """
        if changed := self.changed(prior_file, reward):
            raise ValueError(
                f"{self.path}: {changed[0]} is not what the run began with; start a new run, "
                f"from its policy with --prior {self.path} if you like"
            )
        return as_json(self._made_with(prior_file, reward))

    # -- metrics ---------------------------------------------------------------------------------

    def append_metrics(self, row: Mapping[str, float], file: Path | None = None) -> None:
        """Append a row to metrics.csv or another table, see `csv_tables.add_row`."""
        tables.add_row(file or self.metrics_file, row)

    def read_metrics(
        self, file: Path | None = None, needed: Sequence[str] = ()
    ) -> dict[str, list[float]]:
        """Return the columns of metrics.csv or another table, see `csv_tables.read_columns`."""
        return tables.read_columns(file or self.metrics_file, needed)

    def turns(self) -> list[HeldRollout]:
        """Return the updates of a run with a KL budget.

        Raises:
            ValueError: metrics.csv has no such columns, or impossible numbers in them.
        """
        names = HeldRollout._fields
        columns = self.read_metrics(needed=names) or {name: [] for name in names}
        turns = [HeldRollout(*row) for row in zip(*(columns[name] for name in names), strict=True)]
        for turn in turns:
            if not (0 < turn.c < math.inf and math.isfinite(turn.kl)):
                raise ValueError(
                    f"{self.metrics_file}: c={turn.c:g}, kl={turn.kl:g}; expected c above 0 and a "
                    "KL, both finite. It is damaged; start a new run from the policy with "
                    f"--prior {self.path}"
                )
        return turns

    def cut_metrics(self, steps: int) -> None:
        """Remove the rows of both tables after `steps`, which a resumed run will write again."""
        for file in (self.metrics_file, self.evaluations_file):
            tables.cut(file, steps)

    @property
    def warnings(self) -> list[str]:
        """Signs of a hacked reward, one a line."""
        file = self.warnings_file
        return read_text(file).splitlines() if file.is_file() else []

    def write_warnings(self, lines: list[str]) -> None:
        """Write the signs of a hacked reward; remove the file if there are none."""
        if lines:
            write_atomic(self.warnings_file, "\n".join(lines) + "\n")
        else:
            self.warnings_file.unlink(missing_ok=True)

    # -- state -----------------------------------------------------------------------------------

    def save(
        self,
        model: BaseAlgorithm,
        generators: Generators | None = None,
        learned: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Save state, policy and learned reward; all are on the disk before any is replaced.

        If the process is killed between two of them, `restore` writes the others from the state.

        Args:
            model: at the beginning of a rollout.
            generators: states at that time; the present ones if None.
            learned: weights of the reward at that time, see `rewards.learned.tensors`.

        Raises:
            ValueError: weights that are not finite; the old files stay.
            OSError: the disk is full or cannot be written; the old files stay.
        """
        if not all(weight.isfinite().all() for weight in model.policy.state_dict().values()):
            raise ValueError(
                f"the weights are not finite after {model.num_timesteps:,} steps; what "
                f"{self.path} held before stays. Try a smaller --learning-rate"
            )
        state = {self.state_file: pack(model, generators, learned)}
        write_together(state | self._for_others(model, learned or {}))

    def _for_others(
        self, model: BaseAlgorithm, learned: Mapping[str, Tensor]
    ) -> dict[Path, str | bytes]:
        """Return the content of the files that other commands read: policy and reward."""
        policy: Any = model.policy
        files = {self.policy_file: policy.packed({"steps": model.num_timesteps})}
        return files | ({self.reward_file: to_bytes(dict(learned))} if learned else {})

    def restore(self, model: BaseAlgorithm, reward: RewardSum | None = None) -> Generators | None:
        """Put the saved state into a model and its reward, and remove what was written after it.

        The files of policy and reward are written from the state again if they differ.

        Returns:
            the states of the random generators, to be set when the first rollout begins; None for
            a run that was stopped before its first save, which begins with its settings.

        Raises:
            ValueError: the state is missing or damaged.
        """
        generators, files = None, dict[Path, str | bytes]()
        self.check_samples()
        if self.state_file.is_file():
            saved = Saved(self.state_file)
            saved.restore(model)
            generators = saved.generators
            if reward is not None and saved.learned is not None:
                learning.restore(reward, saved.learned, self.state_file)
            elif reward is not None and self.reward_file.is_file():  # saved by an earlier version
                learning.load(reward, self.reward_file)
            files = self._for_others(model, saved.learned or {})
        elif self.policy_file.is_file():
            raise ValueError(
                f"{self.path} has no state.zip to resume from; start a new run from its policy "
                f"with --prior {self.path}"
            )
        self.cut_metrics(model.num_timesteps)
        write_together({path: data for path, data in files.items() if not _holds(path, data)})
        for folder in (self.path, self.samples):
            clear_parts(folder)
        return generators


def _holds(path: Path, data: str | bytes) -> bool:
    """True if a file has these bytes already."""
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data
