"""Files that are there whole or not at all, whatever ends the process or fills the disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO, Any


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a loss of power.

    Raises:
        OSError: it cannot be written; what it held before stays.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            sync(file)
        part.replace(path)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # a disk that is read-only refuses this as well
            part.unlink(missing_ok=True)


def append(path: Path, line: str) -> None:
    """Add a line to a file; if the process ends here, only this line can be cut off.

    Raises:
        OSError: it cannot be written.
    """
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            file.write(line)
            sync(file)
    except OSError as error:
        raise not_written(path, error) from error


def sync(file: IO[Any]) -> None:
    """Have the disk hold what was written: a name must never stand for what is not there yet."""
    file.flush()
    os.fsync(file.fileno())


def not_written(path: Path, error: OSError) -> OSError:
    """The same error, in words that name the file and say what is left."""
    reason = error.strerror or str(error)
    told = f"{path} could not be written ({reason}); what it held before stays"
    return OSError(told) if error.errno is None else OSError(error.errno, told)
