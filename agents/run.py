"""The run directory: everything a run leaves behind, written so that nothing half-written stays.

config.toml          resolved settings; --config with it repeats the run
provenance.json      versions, commit, hashes of the prior and of each reward's source
metrics.csv          one row per update: reward terms, KL, entropy, diversity, held-out judge
evaluations.csv      one row per evaluation on fresh pieces
policy.safetensors   the policy; loads as a prior
best.safetensors     the policy of the best evaluation
warnings.txt         where the reward seems to be hacked; not there if nowhere
state.zip            to resume one's own run only: network and optimiser
reward.safetensors   what terms that learn have learned; not there if none does
samples/             melodies as MIDI, MusicXML, ABC and score picture
learning_curve.png   report.json   report.txt
"""

from __future__ import annotations

import csv
import hashlib
import inspect
import json
import os
import platform
import subprocess
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.config import TrainConfig, read_toml, to_toml

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from rewards.total import RewardSum

PACKAGES = (
    *("composition-gym", "numpy", "torch", "gymnasium", "stable-baselines3", "music21"),
    *("safetensors", "verovio", "symusic"),
)


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data.encode() if isinstance(data, str) else data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class Run:
    """A run directory.

    Args:
        path: of the directory, which must hold a config.toml.

    Raises:
        ValueError: it is no run directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not (self.path / "config.toml").is_file():
            raise ValueError(
                f"{self.path} is no run directory: it has no config.toml; "
                "make one with: python -m agents.train --name NAME"
            )

    @classmethod
    def create(cls, config: TrainConfig) -> Run:
        """A new directory for a run; never an existing one.

        Raises:
            ValueError: a directory of the given name exists.
        """
        if config.name:
            path = config.runs / config.name
        else:
            stem = f"{config.env.rpartition('/')[2].lower()}-{config.algo}"
            taken = (n for n in range(1, 10**6) if not (config.runs / f"{stem}-{n}").exists())
            path = config.runs / f"{stem}-{next(taken)}"
        settings = to_toml(config)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise ValueError(
                f"{path} exists and is never overwritten; go on with --resume {path}, "
                "or give another --name"
            ) from None
        write_atomic(path / "config.toml", settings)
        return cls(path)

    @property
    def config(self) -> TrainConfig:
        """The run's settings."""
        return read_toml(self.path / "config.toml")

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
    def samples(self) -> Path:
        """Folder of the melodies."""
        return self.path / "samples"

    # -- provenance ------------------------------------------------------------------------------

    def write_provenance(self, prior_file: Path, reward: RewardSum) -> None:
        """Record what the run was made with."""
        facts = self._facts(prior_file, reward)
        write_atomic(self.path / "provenance.json", json.dumps(facts, indent=2) + "\n")

    def check_provenance(self, prior_file: Path, reward: RewardSum) -> None:
        """Raise ValueError if the prior or a reward of one's own is no longer what it was."""
        file = self.path / "provenance.json"
        if not file.is_file():
            return
        before, now = json.loads(file.read_text()), self._facts(prior_file, reward)
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

    def _facts(self, prior_file: Path, reward: RewardSum) -> dict[str, Any]:
        sources = {
            name: {"source": _where(term.fn), "sha256": _source_hash(term.fn)}
            for name, term in reward.terms.items()
        }
        return {
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in PACKAGES},
            "commit": _commit(),
            "prior": {
                "file": prior_file.name,
                "sha256": hashlib.sha256(prior_file.read_bytes()).hexdigest(),
            },
            "rewards": sources,
        }

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
        with file.open("a", newline="") as stream:
            writer = csv.writer(stream)
            if not heads:
                writer.writerow(names)
            values = (row.get(name, float("nan")) for name in names)
            writer.writerow(v if isinstance(v, int) else f"{v:.6g}" for v in values)

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
            if lines:
                write_atomic(file, "\n".join([lines[0], *kept]) + "\n")

    # -- state -----------------------------------------------------------------------------------

    def save(self, model: BaseAlgorithm) -> None:
        """Policy, state and what the reward has learned, each in one atomic step.

        Raises:
            ValueError: weights that are not finite; the last good files stay.
        """
        if not all(weight.isfinite().all() for weight in model.policy.state_dict().values()):
            raise ValueError(
                f"the weights are no finite numbers after {model.num_timesteps:,} steps; what "
                f"{self.path} held before stays. Try a smaller --learning-rate"
            )
        from rewards import learning

        names = "policy.part.safetensors", "state.part.zip", "reward.part.safetensors"
        parts = [self.path / name for name in names]
        reward = getattr(getattr(model, "rollout_buffer", None), "reward", None)
        kept = {"num_timesteps"}  # plain numbers only: the archive holds nothing pickled
        try:
            model.policy.export(parts[0], {"steps": model.num_timesteps})  # type: ignore[operator]
            model.save(parts[1], exclude=set(vars(model)) - kept)
            learned = reward is not None and learning.save(reward, parts[2])
            parts[0].replace(self.policy_file)  # only now: a full disk leaves both as they were
            parts[1].replace(self.path / "state.zip")
            if learned:
                parts[2].replace(self.reward_file)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)

    def restore(self, model: BaseAlgorithm) -> int:
        """Put the saved network and optimiser into a model; returns the steps done.

        Raises:
            ValueError: there is no state, or it is damaged.
        """
        file = self.path / "state.zip"
        if not file.is_file():
            raise ValueError(f"{self.path} has no state.zip to resume from; start a new run")
        try:
            with zipfile.ZipFile(file) as archive:
                steps = int(json.loads(archive.read("data"))["num_timesteps"])
            model.set_parameters(str(file), device=model.device)
        except (zipfile.BadZipFile, KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"{file} cannot be resumed from ({error}); start a new run from the policy with "
                f"--prior {self.path}"
            ) from error
        model.num_timesteps = steps
        return steps


def _whole_lines(file: Path) -> list[str]:
    """Lines of a table; one that was cut off in the writing is none."""
    if not file.exists():
        return []
    text = file.read_text()
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [line for line in lines if line.count(",") == lines[0].count(",")]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Commit of the checkout the code runs from, '' if it is none."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _where(fn: Any) -> str:
    fn = inspect.unwrap(fn)
    target = fn if hasattr(fn, "__qualname__") else type(fn)
    return f"{target.__module__}:{target.__qualname__}"


def _source_hash(fn: Any) -> str:
    """Hash of the file a reward comes from, '' if it has none."""
    fn = inspect.unwrap(fn)
    try:
        file = inspect.getsourcefile(fn if hasattr(fn, "__qualname__") else type(fn))
    except TypeError:
        return ""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
