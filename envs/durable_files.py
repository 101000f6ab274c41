"""Files that are complete or absent, even if the process is killed or the disk is full.

They are safe in a folder with files of strangers too: nothing is written through a symbolic link,
and no pipe or endless file is read.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

MOST_TEXT = 2**24  # largest text file, in bytes
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has neither flag
NO_WAIT = getattr(os, "O_NONBLOCK", 0)


# -- writing ---------------------------------------------------------------------------------------


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file completely or not at all, even if the power fails.

    Raises:
        OSError: it cannot be written; its old content stays.
    """
    write_together({path: data})


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write arrays as an .npz file, completely or not at all; equal arrays give equal bytes.

    Raises:
        OSError: it cannot be written; its old content stays.
    """
    import numpy as np

    data = io.BytesIO()
    np.savez_compressed(data, **arrays)
    write_atomic(path, data.getvalue())


def write_together(files: Mapping[Path, str | bytes], new: bool = False) -> None:
    """Write files, each completely or not at all; none is replaced before all are on the disk.

    Args:
        files: content by path.
        new: True to replace no file.

    Raises:
        FileExistsError: `new`, and there is a file.
        OSError: one cannot be written. If the disk is full, all keep their old content.
    """
    parts: dict[Path, Path] = {}
    path = Path()
    try:
        for path, data in files.items():
            # A random name, so that nobody can have put a link there; "x" refuses one as well.
            parts[path] = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
            with parts[path].open("xb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                sync(file)
        for path, part in parts.items():
            if not (new and _linked(part, path)):
                part.replace(path)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError):  # the disk may have become read-only
                part.unlink(missing_ok=True)


def _linked(part: Path, path: Path) -> bool:
    """Give a file a second name that nothing has; False on a disk that has no links.

    Raises:
        FileExistsError: something has the name.
    """
    try:
        os.link(part, path)
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        return False
    return True


def clear_parts(folder: Path) -> None:
    """Remove the unfinished files that killed processes left in a folder."""
    for part in folder.glob("*.part*"):
        if part.is_symlink() or part.is_file():
            part.unlink()


def append(path: Path, line: str) -> None:
    """Append a line to a file; if the process is killed, only this line can be incomplete.

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
    """Open a plain file and return its descriptor; refuse links, and pipes, which would block."""
    refuse_link(Path(path))
    descriptor = os.open(path, flags | NO_LINK | NO_WAIT, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no plain file; remove it")
    return descriptor


def refuse_link(path: Path) -> None:
    """Raise OSError if a path is a symbolic link, which could lead to any other file."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link to somewhere else; remove it")


def sync(file: IO[Any]) -> None:
    """Force the content of a file to the disk, so that its new name never points to less."""
    file.flush()
    os.fsync(file.fileno())


def not_written(path: Path, error: OSError) -> OSError:
    """Return the error with a message that names the file and says that its old content stays."""
    reason = error.strerror or str(error)
    message = f"{path} could not be written ({reason}); what it held before stays"
    return OSError(message) if error.errno is None else OSError(error.errno, message)


def user_cache() -> Path:
    """Return the folder for what can be made anew: under XDG_CACHE_HOME or else under ~/.cache."""
    folder = os.environ.get("XDG_CACHE_HOME", "")  # XDG says that a relative one is ignored
    home = Path(folder) if os.path.isabs(folder) else Path(os.path.expanduser("~"), ".cache")
    return home / "composition-gym"


# -- reading ---------------------------------------------------------------------------------------


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """Return the text of a file; bytes that are no UTF-8 become the replacement character.

    Args:
        path: the file.
        most: the most bytes that it may have.

    Raises:
        ValueError: it is missing, no plain file, or has more than `most` bytes.
        OSError: it cannot be read.
    """
    if not path.is_file():  # a pipe could block for ever
        raise ValueError(f"{path} is no file; expected text of at most {most:,} bytes")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path} has more than the {most:,} bytes allowed")
    return data.decode(errors="replace")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_facts(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        ValueError: the file is refused by `read_text`, or holds no JSON object.
        OSError: it cannot be read.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: expected a JSON object, got {text[:40]!r}")
    return content
