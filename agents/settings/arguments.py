"""The command line of a training: flags over a preset, a file or a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import tyro

from agents.settings.config import TrainConfig, from_mapping, read_preset, read_toml
from agents.settings.spellings import read_words
from agents.settings.trust import FIELDS, require_trust


def _starting_point(chosen: argparse.Namespace) -> TrainConfig:
    """The settings that the remaining flags change."""
    given = [name for name in ("config", "resume", "preset") if getattr(chosen, name)]
    if len(given) > 1:
        raise ValueError(f"--{given[0]} and --{given[1]} both say where to start; leave one out")
    if chosen.config is not None and not chosen.config.is_file():
        raise ValueError(f"--config: there is no file {str(chosen.config)!r}")
    if chosen.resume is not None:
        if not (chosen.resume / "config.toml").is_file():
            raise ValueError(
                f"{chosen.resume} is no run directory: it has no config.toml; give the folder that "
                "python -m agents.train named"
            )
        return read_toml(chosen.resume / "config.toml")
    if chosen.config is not None:
        return read_toml(chosen.config)
    if chosen.preset:
        return from_mapping(read_preset(chosen.preset), f"preset {chosen.preset}")
    if chosen.algo:
        return from_mapping({"algo": chosen.algo}, f"preset {chosen.algo}")
    return from_mapping({}, "the default run")


def parse_arguments(
    arguments: Sequence[str] | None = None, description: str = ""
) -> tuple[TrainConfig, Path | None]:
    """Settings from the command line, and the run to resume if there is one.

    `--config FILE` gives the defaults that the other flags change; `--resume RUN` takes them
    from a run directory. Code that those files name is run only with `--trust`; what the command
    line names itself is run.

    Raises:
        ValueError: a file that is none, unknown or impossible settings, or code without trust.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("config", "resume"):
        first.add_argument(f"--{name}", type=Path, default=None)
    for name in ("preset", "algo"):
        first.add_argument(f"--{name}", default="")
    first.add_argument("--trust", action="store_true")
    flags = (*TrainConfig.__annotations__, "config", "resume", "preset", "trust")
    words = read_words(sys.argv[1:] if arguments is None else arguments, flags)
    chosen, rest = first.parse_known_args(words)
    base = _starting_point(chosen)
    given = {word.partition("=")[0].replace("_", "-") for word in rest}
    if chosen.resume is None and chosen.config is None and "--reward" in given:
        base = replace(base, entropy=TrainConfig.entropy, entropy_end=TrainConfig.entropy_end)
    if "--entropy" in given:  # all along, unless an end is named too
        base = replace(base, entropy_end=TrainConfig.entropy_end)
    if chosen.algo:
        rest = [*rest, "--algo", chosen.algo]
    note = (
        "  --preset NAME starts from settings that ship, --algo NAME from those of its name; "
        "--config FILE from a TOML file; --resume RUN goes on with a run. Code that such a file or "
        "run names is run only with --trust."
    )

    def parsed(default: TrainConfig) -> TrainConfig:
        told = description + "\n\n" + note
        prog = "python -m agents.train"
        return tyro.cli(TrainConfig, args=rest, default=default, description=told, prog=prog)

    config = parsed(base)
    source = chosen.config or (chosen.resume and chosen.resume / "config.toml")
    if source:
        # What the same words make of settings without code was typed. The words themselves do not
        # tell: a value may be spelled like a flag's name.
        plain = parsed(replace(base, reward=(), mask=(), env=""))
        typed = [name for name in FIELDS if getattr(plain, name) == getattr(config, name)]
        require_trust(config, source, chosen.trust, typed)
    return config, chosen.resume
