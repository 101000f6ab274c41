"""Tunes that were read before, one file in the user's cache folder for each folder of theirs.

A file is read again if its size, its time of change or the source of the readers is another one.
"""

from __future__ import annotations

import hashlib
import os
import time
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from envs.durable_files import user_cache
from pretrained.corpora.found import FileTune, Found, LeftOut
from pretrained.corpora.packed import read_tunes, write_tunes

SAVE_EVERY = 60.0  # seconds
_ROOT = Path(__file__).parents[2]
_SOURCES = ("envs/music", "envs/notation", "pretrained/corpora")


class Stamp(NamedTuple):
    """Size in bytes and times of change in ns, of content and of rights."""

    size: int
    changed: int
    rights: int


def stamp_of(path: str) -> Stamp | None:
    """Return the stamp of a file, None if there is none to be had."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return Stamp(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


class TuneCache:
    """Tunes of the files of one folder as they were read; a damaged store counts as none.

    Args:
        folder: as the addresses of its tunes name it.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        real = os.fsencode(os.path.realpath(folder))
        self.path = user_cache() / "tunes" / f"{hashlib.sha256(real).hexdigest()[:32]}.npz"
        self.files: dict[str, tuple[Stamp, Found]] = {}
        self.saved = time.monotonic()
        self.changed = False
        try:
            self._load()
        except Exception:  # a damaged file raises errors of many types
            self.files = {}

    def _load(self) -> None:
        tunes, text, numbers = read_tunes(self.path)
        if text["version"] != version():
            return
        rows = zip(tunes, text["marks"], numbers["unread"], numbers["estimated"], strict=True)
        for name, stamp, count, left_out in text["files"]:
            path = os.path.join(self.folder, name)
            found = Found(files=1, left_out=[LeftOut(path + mark, why) for mark, why in left_out])
            for _ in range(count):
                tune, mark, unread, estimated = next(rows)
                found.tunes.append(
                    FileTune(
                        **vars(tune), source=path + mark, unread=unread, estimated=bool(estimated)
                    )
                )
            self.files[name] = Stamp(*stamp), found

    def get(self, path: str, stamp: Stamp) -> Found | None:
        """Return what was read of a file when it had this stamp, None if nothing was."""
        before, found = self.files.get(os.path.basename(path), (None, None))
        return found if before == stamp else None

    def put(self, path: str, stamp: Stamp, found: Found) -> None:
        """Remember what was read of a file; stored at once if the last time was a minute ago.

        Raises:
            OSError: it cannot be stored.
        """
        self.files[os.path.basename(path)] = stamp, found
        self.changed = True
        if time.monotonic() > self.saved + SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Store what is remembered of files that still exist, if anything is new.

        Raises:
            OSError: it cannot be stored.
        """
        if not self.changed:
            return
        there = set(os.listdir(self.folder or os.curdir))
        kept = {name: entry for name, entry in self.files.items() if name in there}
        files, marks, tunes = [], [], []
        for name, (stamp, found) in kept.items():
            start = len(os.path.join(self.folder, name))
            left_out = [(source[start:], reason) for source, reason in found.left_out]
            files.append((name, stamp, len(found.tunes), left_out))
            marks += [tune.source[start:] for tune in found.tunes]
            tunes += found.tunes
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = {"version": version(), "folder": self.folder, "files": files, "marks": marks}
        estimated, unread = [tune.estimated for tune in tunes], [tune.unread for tune in tunes]
        write_tunes(self.path, tunes, text, estimated=estimated, unread=unread)
        self.saved, self.changed = time.monotonic(), False


@lru_cache(maxsize=1)
def version() -> str:
    """Return a hash of the source of everything that takes part in reading a tune."""
    return sources(metadata.version("music21"), *_SOURCES)  # which estimates keys


def sources(start: str, *places: str) -> str:
    """Return a hash of a text and of the source in some of the project's folders and files."""
    digest = hashlib.sha256(start.encode())
    for path in (_ROOT / place for place in places):
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
