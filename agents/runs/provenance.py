"""Provenance of a run: versions, commit, hashes of the prior and of the rewards."""

from __future__ import annotations

import inspect
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from envs.durable_files import sha256
from envs.plugins import FILE_MODULE
from pretrained.checkpoint import shipped
from rewards.build import pack_files
from rewards.sum import RewardSum

PACKAGES = (
    "composition-gym",
    "numpy",
    "torch",
    "gymnasium",
    "stable-baselines3",
    "music21",
    "safetensors",
    "verovio",
    "symusic",
)


def made_with(prior_file: Path, reward: RewardSum, pairs: str = "") -> dict[str, Any]:
    """Return versions, commit, and hashes of checkpoints, packs and each reward term's source.

    The checkpoints are the prior, and all that ship, by name; the packs are those that ship. The
    hash of a file of comparisons is there if `pairs` names one.
    """
    file = Path(pairs)
    compared = {"pairs": sha256(file) if file.is_file() else ""} if pairs else {}
    return {
        **compared,
        **versions(),
        "prior": {"file": prior_file.name, "sha256": sha256(prior_file)},
        "shipped": {name: sha256(file) for name, file in shipped().items()},
        "packs": {name: sha256(file) for name, file in pack_files().items()},
        "rewards": {name: _source(term.rule) for name, term in reward.terms.items()},
    }


def versions() -> dict[str, Any]:
    """Return the versions of Python and of packages, and the commit."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any], prior_file: Path) -> list[str]:
    """Return names of the prior, comparisons and user's reward terms that differ from a provenance.

    Args:
        before: `made_with` of an earlier time.
        now: that of the present.
        prior_file: the present prior.
    """
    rewards = before.get("rewards")
    rewards = rewards if isinstance(rewards, dict) else {}
    prior = before.get("prior")  # its name may be another now, see `agents.settings.begun`
    same = isinstance(prior, dict) and prior.get("sha256") == now["prior"]["sha256"]
    names = [] if same else [f"the prior {prior_file}"]
    if "pairs" in before and before["pairs"] != now.get("pairs"):
        names.append("the file of comparisons (--pairs)")
    for name, facts in now["rewards"].items():
        ships = facts["source"].startswith("rewards.")  # our own may have been corrected
        if not ships and rewards.get(name) != facts:
            names.append(f"reward {name!r} ({facts['source'].partition(':')[0]})")
    return names


def as_json(facts: Mapping[str, Any]) -> str:
    """Return a provenance as the text of its file."""
    return json.dumps(facts, indent=2) + "\n"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Return the commit of the checkout that the code runs from, '' if it is no checkout."""
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


def _source(fn: Any) -> dict[str, str]:
    """Return place and hash of a reward's source; a file is named without its folder.

    The hash is '' if there is no source file.
    """
    fn = inspect.unwrap(fn)
    target = fn if hasattr(fn, "__qualname__") else type(fn)
    module = target.__module__
    if module.startswith(FILE_MODULE):
        module = Path(str(sys.modules[module].__file__)).name
    try:
        file = inspect.getsourcefile(target)
    except TypeError:
        file = None
    digest = sha256(Path(file)) if file else ""
    return {"source": f"{module}:{target.__qualname__}", "sha256": digest}
