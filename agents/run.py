"""The run directory: everything a run leaves behind, readable whenever the run ends.

config.toml          resolved settings; --config with it repeats the run
provenance.json      versions, commit, hashes of the prior and of each reward's source
metrics.csv          one row per update: reward terms, KL, entropy, diversity, held-out judge
evaluations.csv      one row per evaluation on fresh pieces
policy.safetensors   the policy; loads as a prior
best.safetensors     the policy of the best evaluation
warnings.txt         where the reward seems to be hacked; not there if nowhere
state.zip            to resume one's own run only, see `agents.state`
reward.safetensors   what terms that learn have learned; not there if none does
samples/             melodies as MIDI, MusicXML, ABC and score picture
learning_curve.png   report.txt
report.json          written last, when the run is done
.lock                held by the process that trains
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from agents.config import TrainConfig, read_toml, to_toml
from agents.provenance import made_with
from pretrained.files import append, not_written, write_atomic

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from agents.state import Generators
    from rewards.total import RewardSum

LOCK, CONFIG = ".lock", "config.toml"


class BusyError(ValueError):
    """Another process is at work in a folder."""


@contextlib.contextmanager
def only_one(folder: Path, kind: str = "process") -> Iterator[None]:
    """Keep every other process that asks for this out of a folder.

    The lock goes with the process, however it ends.

    Raises:
        BusyError: there is another one already.
        OSError: the folder cannot be written.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"another {kind} is at work in {folder}; wait for its end, or stop it"
        ) from None
    except OSError as error:
        raise not_written(folder, error) from error
    try:
        yield
    finally:
        lock.release()


class Run:
    """A run directory.

    Args:
        path: of the directory, which must hold a config.toml.

    Attributes:
        path: of the directory.
        config_file: its settings.

    Raises:
        ValueError: it is no run directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_file = self.path / CONFIG
        if not self.config_file.is_file():
            raise ValueError(
                f"{self.path} is no run directory: it has no config.toml; "
                "make one with: python -m agents.train --name NAME"
            )

    @classmethod
    def check_free(cls, config: TrainConfig) -> None:
        """Raise ValueError if a new run cannot have the name it is given."""
        path = config.runs / config.name
        if config.name and path.exists() and not only_begun(path):
            raise ValueError(
                f"{path} exists and is never overwritten; go on with --resume {path}, "
                "or give another --name"
            )

    @classmethod
    def create(cls, config: TrainConfig) -> Run:
        """A new directory for a run; never an existing one.

        One that was made by a process that ended before it wrote the settings counts as new.

        Raises:
            ValueError: a directory of the given name exists.
            OSError: it cannot be made.
        """
        settings = to_toml(config)
        stem = f"{config.env.rpartition('/')[2].lower()}-{config.algo}"
        for name in [config.name] if config.name else (f"{stem}-{n}" for n in count(1)):
            path = config.runs / name
            if path.exists() and not only_begun(path):
                continue
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise not_written(path, error) from error
            with contextlib.suppress(BusyError), only_one(path):
                if only_begun(path):  # still, as another process may have been quicker
                    write_atomic(path / CONFIG, settings)
                    return cls(path)
        cls.check_free(config)
        raise BusyError(f"another process has just begun {path}; give another --name")

    @property
    def config(self) -> TrainConfig:
        """The run's settings."""
        return read_toml(self.config_file)

    @property
    def policy_file(self) -> Path:
        """The policy, which loads as a prior."""
        return self.path / "policy.safetensors"

    @property
    def reward_file(self) -> Path:
        """What the terms of the reward that learn have learned."""
        return self.path / "reward.safetensors"

    def restore_reward(self, reward: RewardSum) -> None:
        """Let a reward know what it had learned when the run was saved.

        Raises:
            ValueError: the file is damaged or of another reward.
        """
        from rewards import learning

        if self.reward_file.is_file():
            learning.load(reward, self.reward_file)

    @property
    def saved_policy(self) -> Path:
        """The policy's file, which is there.

        Raises:
            ValueError: it is not.
        """
        if not self.policy_file.is_file():
            raise ValueError(
                f"{self.path} has no policy.safetensors: it was stopped before its first save; "
                f"go on with: python -m agents.train --resume {self.path}"
            )
        return self.policy_file

    @property
    def reported(self) -> int:
        """Steps of the training that the report is about, -1 if there is none."""
        try:
            return int(json.loads((self.path / "report.json").read_text())["steps"])
        except (OSError, ValueError, KeyError, TypeError):
            return -1

    @property
    def samples(self) -> Path:
        """Folder of the melodies."""
        return self.path / "samples"

    # -- provenance ------------------------------------------------------------------------------

    @property
    def provenance_file(self) -> Path:
        """What the run began with."""
        return self.path / "provenance.json"

    def write_provenance(self, prior_file: Path, reward: RewardSum) -> None:
        """Record what the run was made with."""
        facts = made_with(prior_file, reward)
        write_atomic(self.provenance_file, json.dumps(facts, indent=2) + "\n")

    def check_provenance(self, prior_file: Path, reward: RewardSum) -> None:
        """Raise ValueError if the prior or a reward of one's own is no longer what it was."""
        if not self.provenance_file.is_file():
            return
        before, now = json.loads(self.provenance_file.read_text()), made_with(prior_file, reward)
        changed = [] if before.get("prior") == now["prior"] else [f"the prior {prior_file}"]
        for name, facts in now["rewards"].items():
            ships = facts["source"].startswith("rewards.")  # and may be mended meanwhile
            if not ships and before.get("rewards", {}).get(name) != facts:
                changed.append(f"reward {name!r}")
        if changed:
            raise ValueError(
                f"{self.path}: {changed[0]} is not what the run began with; start a new run, "
                f"from its policy with --prior {self.path} if you like"
            )

    # -- metrics ---------------------------------------------------------------------------------

    @property
    def metrics_file(self) -> Path:
        """One row per update."""
        return self.path / "metrics.csv"

    @property
    def evaluations_file(self) -> Path:
        """One row per evaluation."""
        return self.path / "evaluations.csv"

    @property
    def best_file(self) -> Path:
        """The policy of the best evaluation, which loads as a prior."""
        return self.path / "best.safetensors"

    def append_metrics(self, row: Mapping[str, float], file: Path | None = None) -> None:
        """Add a row to metrics.csv or another table; the first one writes the head."""
        file = file or self.metrics_file
        heads = _whole_lines(file)[:1]
        names = heads[0].split(",") if heads else list(row)  # of a run begun with other columns
        values = (row.get(name, math.nan) for name in names)
        line = ",".join(map(_digits, values))
        append(file, line + "\n" if heads else ",".join(names) + f"\n{line}\n")

    def read_metrics(self, file: Path | None = None) -> dict[str, list[float]]:
        """Columns of metrics.csv or another table; none if it is not there."""
        names, *rows = _whole_lines(file or self.metrics_file) or [""]
        columns = zip(*(row.split(",") for row in rows), strict=True)
        return {n: [float(v) for v in c] for n, c in zip(names.split(","), columns, strict=False)}

    def cut_metrics(self, steps: int) -> None:
        """Drop rows of both tables past `steps`, which a resumed run will write again."""
        for file in (self.metrics_file, self.evaluations_file):
            lines = _whole_lines(file)
            kept = [line for line in lines[1:] if float(line.partition(",")[0]) <= steps]
            text = "\n".join([lines[0], *kept]) + "\n" if kept else ""
            if not text:
                file.unlink(missing_ok=True)
            elif text != file.read_text(errors="replace"):
                write_atomic(file, text)

    @property
    def warnings(self) -> list[str]:
        """Where the reward seemed to be hacked."""
        file = self.path / "warnings.txt"
        return file.read_text().splitlines() if file.is_file() else []

    def write_warnings(self, lines: list[str]) -> None:
        """Say where the reward seems to be hacked; no file if nowhere."""
        if lines:
            write_atomic(self.path / "warnings.txt", "\n".join(lines) + "\n")
        else:
            (self.path / "warnings.txt").unlink(missing_ok=True)

    # -- state -----------------------------------------------------------------------------------

    def save(self, model: BaseAlgorithm, generators: Generators | None = None) -> None:
        """Policy, state and what the reward has learned, each in one atomic step.

        Args:
            model: at the beginning of a rollout.
            generators: as they were there; as they are now if None.

        Raises:
            ValueError: weights that are not finite; the last good files stay.
            OSError: no room, or no right to write; the last good files stay.
        """
        from agents.state import pack
        from rewards import learning

        if not all(weight.isfinite().all() for weight in model.policy.state_dict().values()):
            raise ValueError(
                f"the weights are no finite numbers after {model.num_timesteps:,} steps; what "
                f"{self.path} held before stays. Try a smaller --learning-rate"
            )
        names = "state.part.zip", "policy.part.safetensors", "reward.part.safetensors"
        parts = [self.path / name for name in names]
        reward = getattr(getattr(model, "rollout_buffer", None), "reward", None)
        try:
            write_atomic(parts[0], pack(model, generators))
            model.policy.export(parts[1], {"steps": model.num_timesteps})  # type: ignore[operator]
            learned = reward is not None and learning.save(reward, parts[2])
            parts[0].replace(self.state_file)  # only now: a full disk leaves all as they were
            parts[1].replace(self.policy_file)
            if learned:
                parts[2].replace(self.reward_file)
        finally:
            for part in parts:
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)

    @property
    def state_file(self) -> Path:
        """What a run goes on from."""
        return self.path / "state.zip"

    def restore(self, model: BaseAlgorithm) -> Generators | None:
        """Put what was saved into a model, and clear away what came after.

        Returns:
            The random generators' states, for when the first rollout begins; None for a run that
            was stopped before its first save, which begins with its settings.

        Raises:
            ValueError: there is no state although there was one, or it is damaged.
        """
        from agents.state import Saved

        generators = None
        if self.state_file.is_file():
            saved = Saved(self.state_file)
            saved.restore(model)
            generators = saved.generators
        elif self.policy_file.is_file():
            raise ValueError(
                f"{self.path} has no state.zip to resume from; start a new run from its policy "
                f"with --prior {self.path}"
            )
        for part in self.path.glob("*.part*"):
            part.unlink()
        self.cut_metrics(model.num_timesteps)
        return generators


def logged(value: float) -> float:
    """A number as the tables hold it, so that a run and a run resumed from them compute alike."""
    return float(_digits(value))


def _digits(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _whole_lines(file: Path) -> list[str]:
    """Lines of a table; one that was cut off in the writing is none."""
    if not file.exists():
        return []
    text = file.read_text(errors="replace")
    head, *rows = text[: text.rfind("\n") + 1].splitlines() or [""]
    whole = [row for row in rows if row.count(",") == head.count(",") and _numbers(row)]
    return [head, *whole] if head else []


def _numbers(row: str) -> bool:
    try:
        return bool([float(value) for value in row.split(",")])
    except ValueError:
        return False


def only_begun(path: Path) -> bool:
    """Whether a folder holds nothing but what a process leaves that ended before the settings."""
    return path.is_dir() and {p.name for p in path.iterdir()} <= {LOCK, f"{CONFIG}.part"}
