"""What a run was made with: versions, commit, hashes of the prior and of the rewards."""

from __future__ import annotations

import hashlib
import inspect
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs.plugins import FILE_MODULE

if TYPE_CHECKING:
    from rewards.sum import RewardSum

PACKAGES = (
    *("composition-gym", "numpy", "torch", "gymnasium", "stable-baselines3", "music21"),
    *("safetensors", "verovio", "symusic"),
)


def made_with(prior_file: Path, reward: RewardSum) -> dict[str, Any]:
    """Versions, the commit, and hashes of the prior and of the source of each reward term."""
    sources = {
        name: {"source": _where(term.rule), "sha256": _source_hash(term.rule)}
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
    """Module and name of a reward; of a file its name alone, as the folder may be moved."""
    fn = inspect.unwrap(fn)
    target = fn if hasattr(fn, "__qualname__") else type(fn)
    place = target.__module__
    if place.startswith(FILE_MODULE):
        place = Path(str(sys.modules[place].__file__)).name
    return f"{place}:{target.__qualname__}"


def _source_hash(fn: Any) -> str:
    """Hash of the file a reward comes from, '' if it has none."""
    fn = inspect.unwrap(fn)
    try:
        file = inspect.getsourcefile(fn if hasattr(fn, "__qualname__") else type(fn))
    except TypeError:
        return ""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
