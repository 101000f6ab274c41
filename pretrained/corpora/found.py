"""Tunes that are read of a user's files, what is left out, and tables of both."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from pretrained.corpora.tunes import GridTune

MOST_ROWS = 16  # folders, and reasons, that a table shows


class LeftOut(NamedTuple):
    """A file, a folder or a tune that is not read, and the reason."""

    source: str
    reason: str

    @property
    def kind(self) -> str:
        """The reason without its place, details and advice, to be counted: N for numbers."""
        words = re.sub(r"^(?:bar|line|tune) \d[^:;]*: ", "", self.reason)
        words = re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", re.split("[:;]", words)[0])
        words = re.sub(r"\b[A-G][#b-]*\d\b", "a note", words)
        return re.sub(r"\b\d+(?:[./]\d+)*\b", "N", words)


@dataclass(frozen=True, eq=False)
class FileTune(GridTune):
    """A tune of a file.

    Attributes:
        source: address of the tune, such as tunes/book.abc#7.
        unread: number of other voices of the file or tune, which are not read.
        estimated: True if its key was estimated from its notes.
    """

    source: str
    unread: int
    estimated: bool


@dataclass
class Found:
    """Tunes of a user's files, and what is left out.

    Attributes:
        tunes: in the order of the files, which are sorted in each folder.
        left_out: files, folders and tunes that are not read.
        files: number of files that have a reader.
        not_kept: reason why what was read could not be stored for the next time; '' if it was.
    """

    tunes: list[FileTune] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    files: int = 0
    not_kept: str = ""

    @property
    def reasons(self) -> dict[str, int]:
        """How many files and tunes are left out for each kind of reason, the most first."""
        return dict(Counter(left.kind for left in self.left_out).most_common())

    @property
    def one_of_several(self) -> int:
        """Number of tunes that are the first of several voices."""
        return sum(tune.unread > 0 for tune in self.tunes)

    @property
    def keys_estimated(self) -> int:
        """Number of tunes whose key was estimated from their notes."""
        return sum(tune.estimated for tune in self.tunes)

    def table(self) -> str:
        """Return what is read and left out of each folder and format, and the reasons."""
        lines = [f"{'files':>9}{'tunes':>9}{'left out':>10}  folder"]
        lines += _cut(
            [
                f"{files:>9,}{tunes:>9,}{left:>10,}  {shown(name)}"
                for name, files, tunes, left in self._folders()
            ],
            "folders",
        )
        several, estimated = self.one_of_several, self.keys_estimated
        if several:
            lines.append(f"{several:,} tunes are the first of several voices; others are not read")
        if estimated:
            lines.append(f"{estimated:,} tunes name no key: it is estimated")
        if self.left_out:
            lines += ["", "left out"]
            first = {left.kind: left for left in reversed(self.left_out)}
            lines += _cut(
                [
                    f"{count:>9,}  {kind}; such as {shown(first[kind].source)}"
                    for kind, count in self.reasons.items()
                ],
                "reasons",
            )
        if self.not_kept:
            lines.append(f"not stored for the next time: {self.not_kept}")
        return "\n".join(lines)

    def _folders(self) -> list[tuple[str, int, int, int]]:
        """Return folder and format, files, tunes and what is left out, in order of appearance."""
        read, left = Counter[str](), Counter[str]()
        files: dict[str, set[str]] = defaultdict(set)
        for count, sources in ((read, self.tunes), (left, self.left_out)):
            for source in (each.source for each in sources):
                path = re.sub(r"#\d+$", "", source)
                name = os.path.join(os.path.dirname(path), "*" + os.path.splitext(path)[1])
                files[name].add(path)
                count[name] += 1
        return [(name, len(paths), read[name], left[name]) for name, paths in files.items()]

    def list_left_out(self) -> str:
        """Return a line for each file and tune that is left out, with the reason."""
        lines = [f"{shown(source)}: {shown(reason)}" for source, reason in self.left_out]
        return "\n".join([f"{len(lines):,} left out, {len(self.tunes):,} tunes read", *lines, ""])


def shown(words: str) -> str:
    """Return words with '?' for what cannot be printed, such as a name that is no UTF-8."""
    return "".join(c if c.isprintable() else "?" for c in words)


def _cut(lines: list[str], kind: str) -> list[str]:
    """Return the first lines, and one that counts the others."""
    more = len(lines) - MOST_ROWS
    return lines if more <= 1 else [*lines[:MOST_ROWS], f"{'...':>9}  and {more:,} more {kind}"]
