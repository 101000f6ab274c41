"""Tunes of a user's files: folders and their folders, collections, every format that is read.

A file that hangs, breaks or holds no tune is one line of what is left out, and the rest is read.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from envs.errors import OverLimitError, RefusedError, quoted
from envs.notation.address import parse_address
from envs.notation.reading.readers import READERS, read_piece
from envs.notation.suffixes import FOREIGN
from pretrained.corpora.tunes import AS_TUNE, GridTune, grid_tune

STRIKES = 3  # tunes of a collection that overrun a limit, until the rest of it is not read
SECONDS, SECONDS_A_TUNE = 60.0, 0.2  # of a collection, until the rest of it is not read


class LeftOut(NamedTuple):
    """A file or a tune that is not read, and the reason."""

    source: str
    reason: str

    @property
    def kind(self) -> str:
        """The reason without its place, numbers, quotes and advice, to be counted."""
        words = re.sub(r"^(?:bar|line|tune) \d[^:;]*: ", "", self.reason)
        return re.sub(r"'[^']*'|\b\d+(?:[./]\d+)*\b", "…", re.split("[:;]", words)[0])


@dataclass(frozen=True, eq=False)
class FileTune(GridTune):
    """A tune of a file.

    Attributes:
        source: address of the tune, such as tunes/book.abc#7.
    """

    source: str


@dataclass
class Found:
    """Tunes of a user's files, and what is left out.

    Attributes:
        tunes: in the order of the files, which are sorted in each folder.
        left_out: files, folders and tunes that are not read.
        files: number of files that were looked at.
    """

    tunes: list[FileTune] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    files: int = 0


def read_folder(
    paths: str | Path | Sequence[str | Path],
    progress: Callable[[int, int], object] | None = None,
) -> Found:
    """Read the tunes of files, collections and folders with their folders.

    The upper line of the first part of a file is its tune, moved to the nearest 16ths and to a key
    without sharps and flats, see `corpora.tunes.grid_tune`. Hidden files are not looked at.

    Args:
        paths: folders, files, or parts of files such as "book.abc#7".
        progress: called after each file with how many are read and how many there are.

    Raises:
        ValueError: a path names nothing that exists.
    """
    found = Found()
    files = list(_listed([paths] if isinstance(paths, str | Path) else paths, found.left_out))
    for _, group in groupby(files, key=lambda file: os.path.dirname(file.path)):
        for file in group:
            found.tunes += (read := _read_file(file)).tunes
            found.left_out += read.left_out
            found.files += 1
            if progress is not None:
                progress(found.files, len(files))
    return found


# -- which files -----------------------------------------------------------------------------------


class _File(NamedTuple):
    """A file to read, and which part of it, as keywords of `read_piece`."""

    path: str
    known: dict[str, Any]


def _listed(paths: Sequence[str | Path], left_out: list[LeftOut]) -> Iterator[_File]:
    """Yield the files that some paths name, each once; `left_out` grows by those of no format."""
    seen: set[tuple[str, str]] = set()
    folders: set[tuple[int, int]] = set()
    for path in paths:
        if os.path.isdir(path):
            walked = _walk(os.fspath(path), folders, left_out)
            files = iter([_File(name, {}) for name in walked])
        else:
            address = parse_address(os.fspath(path))
            if not os.path.lexists(address.path):
                raise ValueError(f"{quoted(str(path))}: there is no such file or folder")
            files = iter([_File(str(address.path), address.known)])
        for file in files:
            key = os.path.abspath(file.path), str(file.known)
            if key not in seen:
                seen.add(key)
                yield file


def _walk(root: str, folders: set[tuple[int, int]], left_out: list[LeftOut]) -> Iterator[str]:
    """Yield the files of a folder and its folders that have a reader, in order.

    Args:
        root: the folder.
        folders: device and inode of those that were walked before, which are not walked again.
        left_out: grows by other files, by folders that cannot be read, and by links to others.
    """

    def unreadable(error: OSError) -> None:
        left_out.append(LeftOut(str(error.filename), f"cannot be read ({error.strerror})"))

    for folder, inside, names in os.walk(root, onerror=unreadable, followlinks=True):
        facts = os.stat(folder)
        if (facts.st_dev, facts.st_ino) in folders:
            inside.clear()
            if os.path.islink(folder):
                left_out.append(LeftOut(folder, "a link to a folder that is read already"))
            continue
        folders.add((facts.st_dev, facts.st_ino))
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = os.path.join(folder, name)
            if name.lower().endswith(tuple(READERS)):
                yield path
                continue
            suffix = os.path.splitext(name)[1].lower()
            advice = FOREIGN.get(suffix, "its format is none that is read")
            left_out.append(LeftOut(path, advice))


# -- their tunes -----------------------------------------------------------------------------------


def _read_file(file: _File) -> Found:
    """Return the tunes of a file, and what of it is left out."""
    found = Found()
    whole = _read(file.path, file.path, file.known)
    count = whole.tunes if isinstance(whole, RefusedError) else 0
    if not count:
        _put(found, file.path, whole)
        return found
    strikes, end = 0, time.monotonic() + SECONDS + SECONDS_A_TUNE * count
    for number in range(1, count + 1):
        address = f"{file.path}#{number}"
        tune = _read(address, file.path, {**file.known, "tune": number})
        _put(found, address, tune)
        strikes += isinstance(tune, OverLimitError)
        if number < count and (strikes == STRIKES or time.monotonic() > end):
            rest = f"{count - number} tunes are not read, as those before take too long"
            found.left_out.append(LeftOut(f"{file.path}#{number + 1}", rest))
            break
    return found


def _put(found: Found, address: str, tune: FileTune | ValueError) -> None:
    """Add a tune to those found, or the reason why it is none to what is left out."""
    if isinstance(tune, FileTune):
        found.tunes.append(tune)
    else:
        reason = tune.reason if isinstance(tune, RefusedError) else str(tune)
        found.left_out.append(LeftOut(address, reason))


def _read(address: str, path: str, known: dict[str, Any]) -> FileTune | ValueError:
    """Return a tune of a file, or the error that it is refused with."""
    try:
        tune = grid_tune(read_piece(path, **{**AS_TUNE, **known}))
    except ValueError as refusal:
        return refusal
    except (OSError, TypeError, MemoryError) as error:
        return ValueError(str(error) or type(error).__name__)
    return FileTune(**vars(tune), source=address)
