"""One process at a time in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from envs.durable_files import not_written, refuse_link

LOCK = ".lock"


class BusyError(ValueError):
    """Another process is at work in a folder."""


@contextlib.contextmanager
def only_one(folder: Path, kind: str = "process") -> Iterator[None]:
    """Keep every other process that asks for this out of a folder.

    The lock goes with the process, however it ends.

    Raises:
        BusyError: there is another one already.
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
