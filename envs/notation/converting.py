"""Files of one format written in another: a file, the tunes of a collection, a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.durable_files import write_together
from envs.errors import RefusedError, quoted
from envs.music.piece import Piece
from envs.notation.reading.readers import READERS, read_piece, with_address
from envs.notation.reading.selection import Known
from envs.notation.suffixes import FOREIGN, entry
from envs.notation.writing.writers import WRITERS


@dataclass(frozen=True)
class Converted:
    """A file or a tune of one, and what became of it.

    Attributes:
        source: the file, with its tune if it holds several, as book.abc#7.
        target: the file to write; None if nothing in the file can be meant as music.
        piece: as it was read and written; None if nothing was.
        refusal: the reason why nothing was written; empty if it was.
    """

    source: str
    target: Path | None
    piece: Piece | None = None
    refusal: str = ""

    @property
    def notices(self) -> tuple[str, ...]:
        """Remarks on what was changed or left out as the file was read."""
        return self.piece.notices if self.piece else ()


def convert(source: str | Path, target: str | Path, to: str = "", **known: Any) -> list[Converted]:
    """Read files and write them in another format; see `conversions`, which does it one by one."""
    return list(conversions(source, target, to, **known))


def conversions(
    source: str | Path, target: str | Path, to: str = "", **known: Any
) -> Iterator[Converted]:
    """Read files and write them in another format, and yield each as it is done.

    A file that is refused stops no other one. No file is overwritten, and each is written
    completely or not at all.

    Args:
        source: a file, a part of one such as "book.abc#7:1-32", a collection of tunes, each of
            which becomes a file, or a folder with its folders.
        target: the file to write, in the format of its suffix; or with `to` a folder.
        to: suffix of the files in the folder, such as ".musicxml".
        known: as `read_piece`.

    Raises:
        ValueError: there is no such source, no such format, or `known` is no such value.
        OSError: a file cannot be written.
    """
    path, known = with_address(str(source), known)
    Known(**known)
    goal = Path(target)
    suffix = f".{to.removeprefix('.')}" if to else ""
    if suffix or goal.suffix:
        entry(WRITERS, suffix or goal.name, "write")
    if not path.is_file() and (not path.is_dir() or not str(source)):
        raise ValueError(f"{quoted(str(source))}: there is no such file or folder; check the name")
    if suffix and os.path.lexists(goal) and not goal.is_dir():
        raise ValueError(f"{goal} is a file; expected a folder for the {suffix} files")
    if not suffix and (path.is_dir() or goal.is_dir() or not goal.suffix):
        raise ValueError(
            f"{goal} names no format; expected a file such as tune.musicxml, or a folder and the "
            "format (to=, --to), such as --to .musicxml"
        )
    if not path.is_dir():
        yield from _of_file(path, goal / path.stem if suffix else goal, suffix, known)
        return
    if goal.resolve() == path.resolve():
        raise ValueError(f"{goal} is the folder that is read; name another")
    yield from _of_folder(path, goal, suffix, known)


def _of_folder(folder: Path, goal: Path, suffix: str, known: dict[str, Any]) -> Iterator[Converted]:
    """Convert the files of a folder that have a reader; those that programs hide are left out."""
    inside = Path(os.path.realpath(goal))  # which a link in a circle has too
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if (file.is_symlink() or not file.is_dir())
        and not Path(os.path.realpath(file)).is_relative_to(inside)
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not files:
        raise ValueError(f"{folder} holds no files; expected some to read")
    music = {file for file in files if file.name.lower().endswith((*READERS, *FOREIGN))}
    names = Counter(str(goal / file.relative_to(folder).with_suffix("")).lower() for file in music)
    for file in files:
        if file not in music:
            yield Converted(str(file), None, refusal="its format is none that is read")
            continue
        name = goal / file.relative_to(folder).with_suffix("")
        if names[str(name).lower()] > 1:  # tune.abc and tune.mid
            name = _distinct(name, file, [""], names)
        yield from _of_file(file, name, suffix, known, names)


def _distinct(name: Path, file: Path, ends: Sequence[str], taken: Container[str]) -> Path:
    """Return a name with the file's format added until none of those with the ends is taken."""
    while any(f"{name}{end}".lower() in taken for end in ends):
        name = name.with_name(f"{name.name}-{file.suffix[1:]}")
    return name


def _of_file(
    path: Path, goal: Path, suffix: str, known: dict[str, Any], taken: Container[str] = ()
) -> Iterator[Converted]:
    """Convert a file to one file, or to one for each of its tunes.

    Args:
        path: of the file.
        goal: the file to write, its suffix apart.
        suffix: of the file to write; empty if `goal` has it.
        known: as `read_piece`.
        taken: names of other files, in small letters, that tunes must not have.
    """
    tune = known.get("tune")
    number = f"-{tune}" if suffix and tune is not None else ""
    read = _read(path, known)
    count = read.tunes if isinstance(read, RefusedError) and suffix else 0
    if not count:
        yield _write(path, known, read, goal.with_name(f"{goal.name}{number}{suffix}"))
        return
    ends = [f"-{place:0{len(str(count))}}" for place in range(1, count + 1)]
    goal = _distinct(goal, path, ends, taken)
    for tune, end in enumerate(ends, 1):
        one = known | {"tune": tune}
        yield _write(path, one, _read(path, one), goal.with_name(f"{goal.name}{end}{suffix}"))


def _read(path: Path, known: dict[str, Any]) -> Piece | RefusedError:
    """Return what is read of a file, or why nothing is."""
    try:
        return read_piece(path, **known)
    except RefusedError as refusal:
        return refusal
    except (ValueError, MemoryError) as error:
        return RefusedError(str(error) or "there is not enough memory to read it")


def _write(
    path: Path, known: dict[str, Any], read: Piece | RefusedError, target: Path
) -> Converted:
    """Write a piece unless its file is refused or its target exists.

    Args:
        path: of the file.
        known: with which it was read.
        read: the piece, or why there is none.
        target: the file to write.
    """
    name = str(path) + (f"#{known['tune']}" if known.get("tune") is not None else "")
    if known.get("bars") is not None:
        name += ":" + "-".join(dict.fromkeys(map(str, known["bars"])))  # 5, or 1-32
    parent = next(each for each in target.parents if os.path.lexists(each))
    try:
        if isinstance(read, RefusedError):
            raise read
        if os.path.lexists(target):
            raise FileExistsError
        if not parent.is_dir():
            raise RefusedError(f"{parent} is a file; expected a folder, so name another")
        data = entry(WRITERS, target.name, "write")(read)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_together({target: data}, new=True)
    except FileExistsError:
        reason = f"{target} exists; nothing is overwritten, name another"
    except RefusedError as refusal:
        reason = refusal.reason
    except (ValueError, MemoryError) as error:
        reason = str(error) or "there is not enough memory to write it"
    else:
        return Converted(name, target, read)
    return Converted(name, target, refusal=str(RefusedError(reason, name)))
