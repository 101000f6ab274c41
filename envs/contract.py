"""The reward protocol, and how a reward is found by name.

A reward function takes a Score and returns one number per cell (B, V, T) or one per piece (B,),
paid at the piece's end. It must not look at cells written after the one it values.
`python -m envs.check` says whether it keeps to that.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from envs.codec import Note
from envs.score import Score
from envs.task import Task
from envs.theory import did_you_mean, quoted

# Found when an environment is made, as Gymnasium finds entry points: `envs` imports no rewards.
BUILDER = "rewards.total:build"
FILE_MODULE = "reward_file_"  # how the module of a reward's file is named, before a hash

RewardFunction = Callable[[Score], npt.NDArray[Any]]
RewardSpec = str | RewardFunction | Mapping[str, Any]
OfNotes = Callable[..., float]

_ROOT = Path(__file__).resolve().parents[1]
# How the file names of code begin that is no user's: ours, Python's and what is installed.
NOT_THEIRS = (
    *(str(_ROOT / name) + os.sep for name in ("envs", "pretrained", "rewards", "agents")),
    *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")),
    "<",
)


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


class LearningReward(Protocol):
    """A reward function that learns: an object that can be called, with an `update` beside.

    It may also have `state_dict()` and `load_state_dict(state)`, as torch's modules do: what they
    hold is kept with a run and put back when it is resumed.
    """

    def __call__(self, score: Score) -> npt.NDArray[Any]:
        """As a RewardFunction; between two updates it gives the same for the same pieces."""
        ...

    def update(self, real: Score, generated: Score) -> Mapping[str, float]:
        """Learn, once for each rollout of a training, after that rollout was paid.

        Args:
            real: melodies of the corpus on the same task, as many as were generated.
            generated: the pieces of the rollout.

        Returns:
            finite numbers for the log, by name.
        """
        ...


class RewardTerm(Protocol):
    """One summand of a reward; `rewards.total.Term` is one."""

    @property
    def name(self) -> str:
        """What messages and logs call it."""
        ...

    @property
    def fn(self) -> RewardFunction:
        """The function itself."""
        ...

    @property
    def cellwise(self) -> bool:
        """Whether the function is marked so, see `cellwise`."""
        ...

    def raw(self, score: Score) -> npt.NDArray[Any]:
        """The function's value, checked: (B, V, T) or (B,); RewardError where it is wrong."""
        ...


@overload
def cellwise(fn: RewardFunction) -> RewardFunction: ...
@overload
def cellwise(fn: None = None) -> Callable[[RewardFunction], RewardFunction]: ...
def cellwise(fn: RewardFunction | None = None) -> Any:
    """Promise that a reward function works through the Score's facts and scans alone.

    It may then be asked at the newest cell only, seeing facts (B, 1, 1), which makes a step cost
    the same however long the piece is. Without the promise it gets the whole piece so far.
    """
    if fn is None:  # @cellwise()
        return cellwise
    fn.cellwise = True  # type: ignore[attr-defined]
    return fn


def _number(paid: Any, what: str) -> float:
    """What a function of notes returned, if it is a number."""
    if paid is None:
        raise TypeError(f"returned None for {what}; expected a number: is a return missing?")
    return float(paid)


@overload
def per_piece(fn: OfNotes) -> RewardFunction: ...
@overload
def per_piece(fn: None = None) -> Callable[[OfNotes], RewardFunction]: ...
def per_piece(fn: OfNotes | None = None) -> Any:
    """Turn a function of one finished piece's notes into a reward function.

    Keyword arguments of the function are parameters of the reward.

    >>> @per_piece
    ... def density(notes):
    ...     return float(len(notes))
    """

    if fn is None:  # @per_piece()
        return per_piece

    @functools.wraps(fn)
    def reward(score: Score, **parameters: Any) -> npt.NDArray[np.float32]:
        decode = score.task.codec.decode
        values = []
        for row, piece in enumerate(score.tokens):
            notes = sorted(note for v, voice in enumerate(piece) for note in decode(voice, v))
            values.append(_number(fn(notes, **parameters), f"piece {row}"))
        return np.asarray(values, np.float32)

    return reward


@dataclass(frozen=True)
class Onset:
    """A note at the moment it begins. It has no duration: how long it lasts is yet to be written.

    Attributes:
        start: time index of its first cell.
        pitch: MIDI number.
        voice: from 0.
        bar: from 0; -1 in a pickup.
        beat: of the bar, from 0; 0.5 is half-way to the second beat.
        degree: semitones above the tonic, 0..11.
    """

    start: int
    pitch: int
    voice: int
    bar: int
    beat: float
    degree: int

    @property
    def duration(self) -> int:
        """Not known yet.

        Raises:
            AttributeError: always, and says what to ask instead.
        """
        raise AttributeError(
            "a note's duration is not known when it begins; ask previous.duration, or use "
            "envs.contract.per_piece"
        )


@overload
def per_note(fn: OfNotes) -> RewardFunction: ...
@overload
def per_note(fn: None = None) -> Callable[[OfNotes], RewardFunction]: ...
def per_note(fn: OfNotes | None = None) -> Any:
    """Turn a function of a note and the one before it into a reward function.

    `fn(note, previous)` is asked once for each note of a voice, and what it gives is paid in the
    cell where the note begins. `note` is an Onset, of which all is known then but its duration;
    `previous` is the Note before it in its voice, None at the first. The reward is cellwise, so
    it serves step by step, in a search and as a mask alike. Keyword arguments of the function are
    parameters of the reward.

    >>> @per_note
    ... def steps(note, previous):
    ...     return float(previous is not None and 1 <= abs(note.pitch - previous.pitch) <= 2)
    """
    if fn is None:  # @per_note()
        return per_note

    @functools.wraps(fn)
    def reward(score: Score, **parameters: Any) -> npt.NDArray[np.float32]:
        onset = score.onset
        value = np.zeros(onset.shape, np.float32)
        if not onset.any():
            return value
        (stop,) = score.scan(_follow_stops, (np.int16(-1),))
        new = (score.cell, score.pitch, score.voice, score.bar, score.beat, score.degree)
        old = (score.previous_onset, stop, score.previous_pitch)
        columns = [np.broadcast_to(fact, onset.shape)[onset].tolist() for fact in (*new, *old)]
        paid = []
        for *facts, begun, ended, pitch in zip(*columns, strict=True):
            note = Onset(*facts)
            length = (note.start if ended < 0 else ended) - begun
            previous = Note(begun, length, pitch, note.voice) if begun >= 0 else None
            given = fn(note, previous, **parameters)
            paid.append(_number(given, f"the note at cell {note.start}"))
        value[onset] = paid
        return value

    return cellwise(reward)


def _follow_stops(state: tuple[Any, ...], here: Score) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Time at which the last note ended before each cell, -1 if it sounds or there is none."""
    (stop,) = state
    ended = here.rest & (here.previous_onset >= 0) & (stop < 0)
    after = np.where(here.onset, np.int16(-1), np.where(ended, here.cell.astype(np.int16), stop))
    return (after,), (stop,)


def place_of(error: BaseException, fn: Any = None) -> str:
    """'(file.py:line)' of what raised: the last line that is neither ours nor a library's.

    Args:
        error: what was raised.
        fn: the function that was called, whose first line it is if none of its own was reached.
    """
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [each for each in frames if not each.filename.startswith(NOT_THEIRS)]
    code = getattr(inspect.unwrap(fn), "__code__", None) if callable(fn) else None
    if not theirs and code is not None:
        return f"({Path(code.co_filename).name}:{code.co_firstlineno})"
    last = (theirs or frames)[-1]
    return f"({Path(last.filename).name}:{last.lineno})"


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
    name = FILE_MODULE + digest
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ValueError(f"{quoted(spec)}: {str(path)!r} cannot be loaded as Python")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the file raises is that file's message
        del sys.modules[name]
        raise ValueError(
            f"{quoted(spec)}: {path} failed: {type(error).__name__}: {error} {place_of(error)}"
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
