"""Which settings of a file would run code, so that nothing runs that nobody vouched for.

A setting that names `module:attribute` or `file.py:attribute` imports it. What is typed on the
command line is meant; what stands in a run directory or a settings file may come from anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rewards.spec import parse_term

if TYPE_CHECKING:
    from agents.settings.config import TrainConfig

FIELDS = ("reward", "mask", "env")  # settings that may name code


def code_of(config: TrainConfig, fields: Iterable[str] = FIELDS) -> list[str]:
    """The names in these settings by which Python would be imported and run."""
    named = {
        "reward": list(config.terms),
        "mask": [parse_term(word)[0] for word in config.mask],
        "env": [config.env],
    }
    return [name for field in fields for name in named[field] if ":" in name]


def require_trust(
    config: TrainConfig, source: Path, trust: bool, besides: Iterable[str] = ()
) -> TrainConfig:
    """The settings of a file, if they run no code or are trusted.

    Args:
        config: the settings, with what the command line says in their place.
        source: the file they come from.
        trust: run the code.
        besides: settings that the command line says, or that nobody asks for.

    Raises:
        ValueError: they would run code; the message names it.
    """
    found = code_of(config, [name for name in FIELDS if name not in besides])
    if found and not trust:
        raise ValueError(
            f"{source} would run code: {', '.join(dict.fromkeys(found))}. Nothing was run; look at "
            "it, and if it is yours or you trust who wrote it, add `trust`"
        )
    return config
