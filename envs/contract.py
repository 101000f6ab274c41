"""The reward protocol, and how a reward is found by name.

A reward function takes a Score and returns one number per cell (B, V, T) or one per piece (B,),
paid at the piece's end. It must not look at cells written after the one it values.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from envs.codec import Note
from envs.score import Score
from envs.task import Task
from envs.theory import did_you_mean, quoted

# Found when an environment is made, as Gymnasium finds entry points: `envs` imports no rewards.
BUILDER = "rewards.total:build"

RewardFunction = Callable[[Score], npt.NDArray[Any]]
RewardSpec = str | RewardFunction | Mapping[str, Any]


class RewardError(Exception):
    """A reward function failed or broke the protocol. The message names the term."""


class StepReward(Protocol):
    """What an environment asks of its reward; `rewards.total.RewardSum` is one."""

    def prepare(self, task: Task) -> None:
        """Raise early what could not be paid on this task."""
        ...

    def newest(self, score: Score) -> dict[str, npt.NDArray[np.float32]]:
        """Weighted value (B,) of each term at the last written cell."""
        ...


def cellwise(fn: RewardFunction) -> RewardFunction:
    """Promise that a reward function works through the Score's facts and scans alone.

    It may then be asked at the newest cell only, seeing facts (B, 1, 1), which makes a step cost
    the same however long the piece is. Without the promise it gets the whole piece so far.
    """
    fn.cellwise = True  # type: ignore[attr-defined]
    return fn


def per_piece(fn: Callable[[list[Note]], float]) -> RewardFunction:
    """Turn a function of one finished piece's notes into a reward function.

    >>> @per_piece
    ... def density(notes):
    ...     return float(len(notes))
    """

    @functools.wraps(fn)
    def reward(score: Score) -> npt.NDArray[np.float32]:
        decode = score.task.codec.decode
        values = [
            fn(sorted(note for v, voice in enumerate(piece) for note in decode(voice, v)))
            for piece in score.tokens
        ]
        return np.asarray(values, np.float32)

    return reward


def resolve(spec: str) -> Any:
    """The object that 'module:attribute' or 'path/to/file.py:attribute' names.

    A file is run to get at its attribute, so name only files you trust.

    Raises:
        ValueError: no such module, file or attribute; or the file fails to load.
    """
    place, colon, attribute = spec.rpartition(":")
    if not colon or not place or not attribute:
        raise ValueError(
            f"{quoted(spec)}: expected 'module:function' or 'path/to/file.py:function'"
        )
    module = _load_file(Path(place), spec) if place.endswith(".py") else _load_module(place, spec)
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise ValueError(
            f"{quoted(spec)}: {place} has no attribute {quoted(attribute)}."
            f"{did_you_mean(attribute, names)}"
        )
    return getattr(module, attribute)


def _load_module(name: str, spec: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"{quoted(spec)}: module {name!r} cannot be imported ({error}); a file is written "
            f"'{name.replace('.', '/')}.py:function'"
        ) from error


def _load_file(path: Path, spec: str) -> ModuleType:
    """Import a file under a name of its own; edited, it is another module."""
    if not path.is_file():
        raise ValueError(f"{quoted(spec)}: no file {str(path)!r} in {Path.cwd()}")
    source = path.read_bytes()
    digest = hashlib.sha256(str(path.resolve()).encode() + source).hexdigest()[:12]
    name = f"reward_file_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ValueError(f"{quoted(spec)}: {str(path)!r} cannot be loaded as Python")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except Exception as error:  # whatever the user's file raises, it is that file's message
        del sys.modules[name]
        raise ValueError(
            f"{quoted(spec)}: {path} failed: {type(error).__name__}: {error}"
        ) from error
    return module


def build_reward(spec: RewardSpec | StepReward, task: Task) -> StepReward:
    """The reward an environment pays for a task, from whatever its `reward` argument holds.

    Raises:
        ValueError: an unknown name; the message lists near ones.
        RewardError: a term breaks the protocol on a piece of noise.
    """
    reward: StepReward | Any = spec if hasattr(spec, "newest") else resolve(BUILDER)(spec)
    reward.prepare(task)
    return reward
