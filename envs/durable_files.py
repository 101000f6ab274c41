"""Files that are there whole or not at all, whatever ends the process or fills the disk.

Also safe in a folder that somebody else has filled: nothing is written through a symbolic link, and
no pipe or endless file is read.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

MOST_TEXT = 2**24  # bytes of what is read whole
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has neither of the two
NO_WAIT = getattr(os, "O_NONBLOCK", 0)


# -- writing ---------------------------------------------------------------------------------------


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a loss of power.

    Raises:
        OSError: it cannot be written; what it held before stays.
    """
    write_together({path: data})


def write_together(files: Mapping[Path, str | bytes]) -> None:
    """Write files, each whole or not at all; none is replaced before all are on the disk.

    Raises:
        OSError: one cannot be written; if for want of room, all hold what they held before.
    """
    parts: dict[Path, Path] = {}
    path = Path()
    try:
        for path, data in files.items():
            # A name that nobody can have laid a link under; "x" makes it, and follows none.
            parts[path] = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
            with parts[path].open("xb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                sync(file)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError):  # a disk that is read-only refuses this as well
                part.unlink(missing_ok=True)


def clear_parts(folder: Path) -> None:
    """Remove what processes left in a folder that were killed as they wrote."""
    for part in folder.glob("*.part*"):
        if part.is_symlink() or part.is_file():
            part.unlink()


def append(path: Path, line: str) -> None:
    """Add a line to a file; if the process ends here, only this line can be cut off.

    Raises:
        OSError: it cannot be written, or is a link or a pipe.
    """
    try:
        with open(path, "a", newline="", encoding="utf-8", opener=_plain_only) as file:
            file.write(line)
            sync(file)
    except OSError as error:
        raise not_written(path, error) from error


def _plain_only(path: str, flags: int) -> int:
    """Open what is no link, and no pipe either: that would wait for a reader."""
    refuse_link(Path(path))
    found = os.open(path, flags | NO_LINK | NO_WAIT, 0o666)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise OSError(errno.EINVAL, "it is no plain file; remove it")
    return found


def refuse_link(path: Path) -> None:
    """Raise OSError if a path is a symbolic link, through which anything could be written."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link to somewhere else; remove it")


def sync(file: IO[Any]) -> None:
    """Have the disk hold what was written: a name must never stand for what is not there yet."""
    file.flush()
    os.fsync(file.fileno())


def not_written(path: Path, error: OSError) -> OSError:
    """The same error, in words that name the file and say what is left."""
    reason = error.strerror or str(error)
    told = f"{path} could not be written ({reason}); what it held before stays"
    return OSError(told) if error.errno is None else OSError(error.errno, told)


# -- reading ---------------------------------------------------------------------------------------


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """The text of a file; bytes that are none are shown as such.

    Args:
        path: of the file.
        most: bytes that it may have.

    Raises:
        ValueError: it is not there, no plain file such as a pipe, or larger.
        OSError: it cannot be read.
    """
    if not path.is_file():  # a pipe could block for ever
        raise ValueError(f"{path} is no file; expected text of at most {most:,} bytes")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path} has more than {most:,} bytes, expected that at most")
    return data.decode(errors="replace")


def read_facts(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        ValueError: as `read_text`, or it holds something else.
        OSError: it cannot be read.
    """
    text = read_text(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged: expected a JSON object, got {text[:40]!r}")
    return found
