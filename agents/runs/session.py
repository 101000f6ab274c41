"""The time in which a training writes a run's directory: it is locked, begun or brought back."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agents.runs.directory import Run
from agents.runs.run_lock import only_one
from agents.settings.config import TrainConfig, as_flags, to_toml
from envs.durable_files import write_together

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from agents.runs.state import Generators
    from rewards.sum import RewardSum

FIXED = ("algo", "env", "task", "vary", "mask", "reward", "prior", "start")  # along a run


@contextlib.contextmanager
def enter(config: TrainConfig, resume: str | os.PathLike[str] | None) -> Iterator[Run]:
    """Lock the directory of a new run, or of one to resume, as long as the context lasts.

    A new directory is removed again if an error comes before `begin` has written the provenance.

    Args:
        config: the settings.
        resume: the directory of a run, None for a new one.

    Raises:
        ValueError: as `Run` and `Run.create`, or settings with which the run cannot go on.
    """
    made = [each for each in (config.runs, *config.runs.parents) if not each.exists()]
    with contextlib.ExitStack() as held:
        if resume is not None:
            run = Run(resume)
            held.enter_context(only_one(run.path))
            _check_settings(run.config, run.as_begun(config), run.path)
            yield run
            return
        run = Run.create(config, held)
        try:
            yield run
        finally:
            if not run.provenance_file.is_file():
                shutil.rmtree(run.path)
                for folder in made:
                    folder.rmdir()


def _check_settings(then: TrainConfig, now: TrainConfig, path: Path) -> None:
    """Raise ValueError if a run in `path` cannot go on with other settings."""
    for name in FIXED:
        if getattr(now, name) != getattr(then, name):
            raise ValueError(
                f"{path} was begun with another {name}: {as_flags(then)[name]!r}; "
                f"start a new run from its policy with --prior {path}"
            )


def begin(
    run: Run, config: TrainConfig, prior_file: Path, reward: RewardSum, model: BaseAlgorithm
) -> Generators | None:
    """Bring a model and its reward to the last save; write settings and provenance.

    Returns:
        as `Run.restore`.

    Raises:
        ValueError: as `Run.check_provenance` and `Run.restore`, or the run is done.
    """
    facts = run.check_provenance(prior_file, reward)
    generators = run.restore(model, reward)
    if run.reported >= model.num_timesteps >= config.n_timesteps:
        raise ValueError(
            f"{run.path} has done its {model.num_timesteps:,} steps; give a larger -n to go on"
        )
    files: dict[Path, str | bytes] = {}
    if config != run.config:  # it may run longer now
        files[run.config_file] = to_toml(config)
    if not run.provenance_file.is_file():
        files[run.provenance_file] = facts
    write_together(files)
    return generators
