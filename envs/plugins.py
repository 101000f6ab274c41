"""Objects found by name: 'module:attribute' or 'path/to/file.py:attribute'."""

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

FILE_MODULE = "reward_file_"  # how the module of a reward's file is named, before a hash
_ROOT = Path(__file__).resolve().parents[1]
# How the file names of code begin that is no user's: ours, Python's and what is installed.
NOT_THEIRS = (
    *(str(_ROOT / name) + os.sep for name in ("envs", "pretrained", "rewards", "agents")),
    *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")),
    "<",
)


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
