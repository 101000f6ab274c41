"""A lock that lets one process at a time write in a run's folder."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from envs.durable_files import clear_parts, not_written, refuse_link

LOCK, CONFIG = ".lock", "config.toml"


class BusyError(ValueError):
    """A folder in which another process is writing."""


@contextlib.contextmanager
def only_one(folder: Path, kind: str = "process") -> Iterator[None]:
    """Hold the lock of a folder; it is released however the process ends.

    Args:
        folder: must exist.
        kind: name of the other process in the message.

    Raises:
        BusyError: another process holds it.
        OSError: the folder cannot be written.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        refuse_link(folder / LOCK)
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"another {kind} is at work in {folder}; wait for its end, or stop it"
        ) from None
    except OSError as error:
        raise not_written(folder / LOCK, error) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Make a folder, and hold its lock.

    One that a killed process left without settings counts as new.

    Raises:
        BusyError: it exists; the message says how to go on.
        OSError: it cannot be made.
    """
    taken = BusyError(
        f"{path} exists and is never overwritten; go on with --resume {path}, or give another "
        "--name"
    )
    if not path.exists() or only_begun(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(error.errno, f"{path} cannot be made ({error.strerror})") from error
    elif not (path / LOCK).is_file():
        raise taken  # it is no run, and nothing is made in it
    with only_one(path, "training"):
        if not only_begun(path):  # also if another process has been faster
            raise taken
        clear_parts(path)
        yield


def only_begun(folder: Path) -> bool:
    """True if a folder has only what a process leaves that was killed before it wrote CONFIG."""
    if not folder.is_dir():
        return False
    begun = re.compile(rf"{re.escape(LOCK)}|{re.escape(CONFIG)}(\.\w+)?\.part")
    return all(begun.fullmatch(file.name) for file in folder.iterdir())
