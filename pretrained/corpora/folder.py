"""Tunes of a user's files: folders and their folders, collections, every format that is read.

A file that hangs, breaks or holds no tune is one line of what is left out, and the rest is read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from envs.errors import RefusedError, UnreadError, quoted
from envs.notation.address import parse_address
from envs.notation.reading.readers import READERS, read_piece
from envs.notation.suffixes import FOREIGN, entry
from pretrained.corpora.found import FileTune, Found, LeftOut
from pretrained.corpora.tune_cache import TuneCache, stamp_of
from pretrained.corpora.tunes import AS_TUNE, grid_tune

STRIKES = 3  # tunes of a collection that overrun a limit, until the rest of it is not read
SECONDS, SECONDS_A_TUNE = 60.0, 0.2  # of a collection, until the rest of it is not read


def read_folder(
    paths: str | Path | Sequence[str | Path],
    progress: Callable[[int, int], object] | None = None,
) -> Found:
    """Read the tunes of files, collections and folders with their folders.

    The upper line of the first part of a file is its tune, moved to the nearest 16ths and to a key
    without sharps and flats, see `corpora.tunes.grid_tune`. Hidden files are not looked at. What is
    read is stored in the user's cache folder, also if Ctrl-C ends the reading; files that did not
    change are not read again.

    Args:
        paths: folders, files, or parts of files such as "book.abc#7".
        progress: called after each file with how many are read and how many there are.

    Raises:
        ValueError: a path names nothing that exists.
    """
    found = Found()
    files = list(_listed([paths] if isinstance(paths, str | Path) else paths, found.left_out))
    for folder, group in groupby(files, key=lambda file: os.path.dirname(file.path)):
        cache = TuneCache(folder)
        try:
            for file in group:
                read = _remembered(file, cache, found)
                found.tunes += read.tunes
                found.left_out += read.left_out
                found.files += 1
                if progress is not None:
                    progress(found.files, len(files))
        finally:
            _store(cache.save, found)
    return found


# -- which files -----------------------------------------------------------------------------------


class _File(NamedTuple):
    """A file to read, and which part of it: its address, and keywords of `read_piece`."""

    address: str
    path: str
    known: dict[str, Any]


def _listed(paths: Sequence[str | Path], left_out: list[LeftOut]) -> Iterator[_File]:
    """Yield the files that some paths name, each once; `left_out` grows by what is no music."""
    seen: set[tuple[str, str]] = set()
    for path in map(str, map(Path, paths)):
        named, known = "", dict[str, Any]()
        names = _walk(path, left_out)
        if not os.path.isdir(path):
            address = parse_address(path)
            named, path, known = path, str(address.path), address.known
            if not os.path.lexists(path):
                raise ValueError(f"{quoted(path)}: there is no such file or folder; check the name")
            names = iter([path])
        for name in names:
            key = os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name))
            if (key, str(known)) in seen:
                continue
            seen.add((key, str(known)))
            if name.lower().endswith(tuple(READERS)):
                yield _File(named or name, name, known)
            else:
                suffix = os.path.splitext(name)[1].lower()
                advice = FOREIGN.get(suffix, "its format is none that is read")
                left_out.append(LeftOut(name, advice))


def _walk(root: str, left_out: list[LeftOut]) -> Iterator[str]:
    """Yield the files of a folder and its folders in order, hidden ones aside.

    Links to folders, which may lead anywhere, and folders that cannot be read are left out.
    """

    def unreadable(error: OSError) -> None:
        left_out.append(LeftOut(str(error.filename), f"cannot be read ({error.strerror})"))

    for folder, inside, names in os.walk(root, onerror=unreadable):
        for name in list(inside):
            path = os.path.join(folder, name)
            if name.startswith(".") or os.path.islink(path):
                inside.remove(name)
            if os.path.islink(path):
                left_out.append(LeftOut(path, "a link to a folder; name that folder as well"))
        inside.sort()
        yield from (os.path.join(folder, name) for name in sorted(names) if name[0] != ".")


# -- their tunes -----------------------------------------------------------------------------------


def _remembered(file: _File, cache: TuneCache, found: Found) -> Found:
    """Return what is read of a file, now or before; `found` learns if it cannot be stored."""
    stamp = stamp_of(file.path)
    ours = entry(READERS, file.path, "read").__module__.startswith("envs.")
    if stamp is None or file.known or not ours:
        return _read_file(file)[0]
    before = cache.get(file.path, stamp)
    if before is not None:
        return before
    read, complete = _read_file(file)
    if complete:
        _store(partial(cache.put, file.path, stamp, read), found)
    return read


def _store(action: Callable[[], None], found: Found) -> None:
    """Store tunes in the cache; if that fails, `found` has the reason, and reading goes on."""
    try:
        action()
    except OSError as error:
        found.not_kept = str(error)


def _read_file(file: _File) -> tuple[Found, bool]:
    """Return the tunes of a file and what of it is left out, and if another time is no better."""
    whole = _read(file.address, file.path, file.known)
    count = whole.tunes if isinstance(whole, RefusedError) else 0
    if not count or file.known:
        return _sorted_out([(file.address, whole)]), not isinstance(whole, UnreadError)
    read: list[tuple[str, FileTune | ValueError]] = []
    strikes, end = 0, time.monotonic() + SECONDS + SECONDS_A_TUNE * count
    for number in range(1, count + 1):
        address = f"{file.path}#{number}"
        if strikes == STRIKES or time.monotonic() > end:
            rest = f"{count - number + 1} tunes are not read, as those before take too long"
            read.append((address, UnreadError(rest)))
            break
        read.append((address, _read(address, file.path, {"tune": number})))
        strikes += isinstance(read[-1][1], UnreadError)
    return _sorted_out(read), not any(isinstance(tune, UnreadError) for _, tune in read)


def _sorted_out(read: Sequence[tuple[str, FileTune | ValueError]]) -> Found:
    """Return the tunes, and the reasons of errors, by their addresses."""
    found = Found(files=1)
    for address, tune in read:
        if isinstance(tune, FileTune):
            found.tunes.append(tune)
        else:
            reason = tune.reason if isinstance(tune, RefusedError) else str(tune)
            found.left_out.append(LeftOut(address, reason))
    return found


def _read(address: str, path: str, known: dict[str, Any]) -> FileTune | ValueError:
    """Return a tune of a file, or the error that it is refused with."""
    try:
        piece = read_piece(path, **{**AS_TUNE, **known})
        tune = grid_tune(piece)
    except ValueError as refusal:
        return refusal
    except (OSError, TypeError, MemoryError) as error:
        return UnreadError(str(error) or type(error).__name__)
    return FileTune(**vars(tune), source=address, unread=piece.unread, estimated=piece.estimated)
