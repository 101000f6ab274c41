"""Objects loaded by name: 'module:attribute' or 'path/to/file.py:attribute'."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from envs.errors import did_you_mean, quoted

FILE_MODULE = "reward_file_"  # a reward's file is imported under this name and a hash
_ROOT = Path(__file__).resolve().parents[1]
# Beginnings of the paths of code that is no user's: ours, Python's, and installed packages.
NOT_THEIRS = (
    *(str(_ROOT / name) + os.sep for name in ("envs", "pretrained", "rewards", "agents")),
    *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")),
    "<",
)


def place_of(error: BaseException, fn: Any = None) -> str:
    """Return '(file.py:line)' of the last line of the user's code that an error went through.

    Args:
        error: an error that was raised.
        fn: the user's function; its first line is returned if none of its lines was reached.
    """
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not frame.filename.startswith(NOT_THEIRS)]
    code = getattr(inspect.unwrap(fn), "__code__", None) if callable(fn) else None
    if not users and code is not None:
        return f"({Path(code.co_filename).name}:{code.co_firstlineno})"
    last = (users or frames)[-1]
    return f"({Path(last.filename).name}:{last.lineno})"


def resolve(spec: str) -> Any:
    """Return the object that 'module:attribute' or 'path/to/file.py:attribute' names.

    The file is executed, so name only files that you trust.

    Raises:
        ValueError: no such module, file or attribute, or the file fails to load.
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
    """Import a file under a name made from its content; an edited file is a new module."""
    if not path.is_file():
        raise ValueError(f"{quoted(spec)}: no file {str(path)!r} in {Path.cwd()}")
    source = path.read_bytes()
    digest = hashlib.sha256(str(path.resolve()).encode() + source).hexdigest()[:12]
    name = FILE_MODULE + digest
    if name in sys.modules:
        return sys.modules[name]
    file_spec = importlib.util.spec_from_file_location(name, path)
    if file_spec is None or file_spec.loader is None:
        raise ValueError(f"{quoted(spec)}: {str(path)!r} cannot be loaded as Python")
    module = importlib.util.module_from_spec(file_spec)
    sys.modules[name] = module
    try:
        file_spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the file may raise anything
        del sys.modules[name]
        raise ValueError(
            f"{quoted(spec)}: {path} failed: {type(error).__name__}: {error} {place_of(error)}"
        ) from error
    return module
