"""The command line of a training: flags over a preset, a file or a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

from agents.settings.algorithm import ALGORITHMS, algorithm_settings
from agents.settings.begun import as_begun
from agents.settings.commands import note
from agents.settings.config import (
    TrainConfig,
    as_flags,
    from_mapping,
    from_preset,
    read_values,
)
from agents.settings.presets import ASKED, DEFAULT, OF_ENVIRONMENT, read_preset
from agents.settings.spellings import read_words
from agents.settings.tasks import arguments_of, default_task, unique
from agents.settings.trust import require_trust
from envs.checked import check_field
from rewards.spec import as_text, parse_term

START = ("config", "resume", "preset")
NOTE = (
    "  --preset NAME starts from settings that ship, --algo NAME from those of its name; "
    "--config FILE from a TOML file; --resume RUN goes on with a run. Code that such a file or "
    "run names is run only with --trust.\n\n"
    "  Without these it is the preset of an --env of several voices, or else eight_bars, which "
    "--reward and --task join: a term such as my_rewards.py:smooth=0.3 or in_key=4 stands beside "
    "its rules and its prior, and what --task names is no longer varied. A --reward that names "
    "prior or a pack, such as prior=1 my_rewards.py:smooth=0.3, is the whole reward."
)


def _starting_point(chosen: argparse.Namespace) -> tuple[TrainConfig, Path | None, Collection[str]]:
    """Return the settings that the remaining flags change; their file and what it names, if any."""
    given = [name for name in START if getattr(chosen, name)]
    if len(given) > 1:
        raise ValueError(f"--{given[0]} and --{given[1]} both say where to start; leave one out")
    if chosen.resume is not None and not (chosen.resume / "config.toml").is_file():
        raise ValueError(
            f"{chosen.resume} is no run directory: it has no config.toml; give the folder that "
            "python -m agents.train named"
        )
    file = chosen.resume / "config.toml" if chosen.resume is not None else chosen.config
    if file is not None:
        values = read_values(file)
        if chosen.config is not None and chosen.algo:
            values = {**values, "algo": chosen.algo}
        base = from_mapping(values, str(file), chosen.trust)
        return as_begun(base, file.parent), file, values
    own = OF_ENVIRONMENT.get(chosen.env, "")
    if chosen.algo and not chosen.preset:
        asked = read_preset(own) if own else {}
        values = {name: asked[name] for name in ASKED if name in asked} | {"algo": chosen.algo}
        return from_mapping(values, f"preset {chosen.algo}"), None, ()
    return from_preset(chosen.preset or own or DEFAULT), None, ()


def _first_pass(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the flags that say where to start, and the other words."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("config", "resume"):
        first.add_argument(f"--{name}", type=Path, default=None)
    for name in ("preset", "algo", "env"):
        first.add_argument(f"--{name}", default="")
    first.add_argument("--trust", action="store_true")
    return first.parse_known_args(words)


def flags_of(base: TrainConfig) -> type:
    """Return a dataclass of all flags, their defaults as in `base`; see `_read_flags`.

    The settings that algorithms have of their own are in groups, each a dataclass of the settings
    that the same algorithms have.
    """
    hints = get_type_hints(TrainConfig, include_extras=True) | {"task": tuple[str, ...]}
    algorithms = "; ".join(f"{each.name}: {each.says}" for each in ALGORITHMS.values())
    hints["algo"] = Annotated[str, tyro.conf.arg(help=f"how to learn. {algorithms}")]
    values = as_flags(base)
    groups: dict[tuple[str, ...], list[Any]] = {}
    for name, shared in algorithm_settings().items():
        default = field(default=values.get(name, shared.field.default))
        kind: Any = Annotated[shared.kind, tyro.conf.arg(help=shared.says)]
        groups.setdefault(shared.algorithms, []).append((name, kind, default))
    entries: list[Any] = []
    for name in (each.name for each in fields(TrainConfig) if each.name != "settings"):
        entries.append((name, hints[name], field(default=values[name])))
    for names, members in groups.items():
        group = make_dataclass("Group", members)
        group.__doc__ = f"Only with --algo {', '.join(names)}."
        kind = Annotated[group, tyro.conf.OmitArgPrefixes]
        entries.append(("_".join(names), kind, field(default_factory=group)))
    flags = make_dataclass("Flags", entries)
    flags.__doc__ = TrainConfig.__doc__
    return flags


def _read_flags(words: Sequence[str], base: TrainConfig, description: str) -> dict[str, Any]:
    """Return all settings by name, as the command line has them or else as in `base`.

    Those of other algorithms are among them.
    """
    told = description + "\n\n" + NOTE
    flags: Any = flags_of(base)
    read = vars(tyro.cli(flags, args=words, description=told, prog="python -m agents.train"))
    groups = [read, *(vars(each) for each in read.values() if is_dataclass(each))]
    return {name: value for group in groups for name, value in group.items()}


def _note_foreign(
    algo: str, read: Mapping[str, Any], typed: Collection[str], named: Collection[str]
) -> None:
    """Say which settings are given that only other algorithms have.

    A file that names some which no single algorithm has, as files of 0.4 do, is passed over.

    Args:
        algo: the algorithm.
        read: the settings by name.
        typed: the flags on the command line.
        named: the settings in the file.

    Raises:
        ValueError: a flag has a value that its setting cannot have.
    """
    shared = algorithm_settings()
    foreign = [name for name, each in shared.items() if algo not in each.algorithms]
    owners_of = [set(shared[name].algorithms) for name in foreign if name in named]
    listed = named if owners_of and set.intersection(*owners_of) else ()
    for name in foreign:
        flag = "--" + name.replace("_", "-")
        owners = ", ".join(shared[name].algorithms)
        if {flag, flag.replace("--", "--no-", 1)} & set(typed):
            check_field(shared[name].field, read[name])
            note(f"{flag} belongs to {owners}; {algo} does not use it")
        elif name in listed:
            note(f"{name} belongs to {owners}; {algo} does not use it")


def _joined(
    base: TrainConfig, read: Mapping[str, Any], given: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Return the settings in which what the command line names joins the default run.

    Terms of a reward stand beside the default's, unless the prior or a pack is among them. Fields
    of the task are put into the default's, and are no longer varied.

    Args:
        base: the default run.
        read: the settings by name, as the command line has them or else as in `base`.
        given: the flags on the command line.
    """
    from rewards.build import pack_names
    from rewards.objective import PRIOR

    found: dict[str, tuple[str, ...]] = {}
    if "--reward" in given:
        own = unique(map(parse_term, read["reward"]), "reward")
        if not {PRIOR, *pack_names()} & set(own):
            terms = base.terms | own
            found["reward"] = tuple(map(as_text, terms, terms.values()))
    if "--task" in given:
        named = arguments_of(read["task"])
        words = arguments_of(as_flags(base)["task"]) | named
        for name in {"low", "high"} - named.keys() if "ranges" in named else ():
            words.pop(name, None)
        found["task"] = tuple(map(as_text, words, words.values()))
        if "--vary" not in given:
            found["vary"] = tuple(v for v in base.vary if v.partition("=")[0] not in named)
    return found


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
    flags = (*as_flags(TrainConfig()), *algorithm_settings(), *START, "trust")
    words = read_words(sys.argv[1:] if arguments is None else arguments, flags)
    chosen, rest = _first_pass(words)
    base, source, named = _starting_point(chosen)
    given = {word.partition("=")[0].replace("_", "-") for word in rest}
    if source is None and "--reward" in given:
        base = replace(base, entropy=TrainConfig.entropy, entropy_end=TrainConfig.entropy_end)
    if "--entropy" in given:  # all along, unless an end is named too
        base = replace(base, entropy_end=TrainConfig.entropy_end)
    own = OF_ENVIRONMENT.get(chosen.env, "")
    joins = source is None and (chosen.preset or chosen.algo or own or DEFAULT) == DEFAULT
    if chosen.env and chosen.env != base.env:
        base = replace(base, vary=(), task=default_task(base.env)) if joins else base
        base = base.changed(env=chosen.env)
    if chosen.algo:
        base = replace(base, algo=chosen.algo)
    read = _read_flags(rest, base, description)
    if joins:
        read |= _joined(base, read, given)
    _note_foreign(base.algo, read, given, named)
    task, before = read["task"], as_flags(base)["task"]
    config = base.changed(**{name: read[name] for name in as_flags(base) if name != "task"})
    if source is not None:
        # What the same words make of settings without code was typed. The words themselves do not
        # tell: a value may be spelled like a flag's name.
        plain = _read_flags(rest, replace(base, reward=(), mask=()), description)
        typed = [name for name in ("reward", "mask") if plain[name] == read[name]]
        require_trust(config, source, chosen.trust, [*typed, *["env"] * bool(chosen.env)])
    if task != before:
        config = replace(config, task=task)  # now that the environment's code may be run
    return config, chosen.resume
