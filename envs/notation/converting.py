"""Files of one format written in another: a file, the tunes of a collection, a folder."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.durable_files import write_atomic
from envs.errors import RefusedError, quoted
from envs.music.piece import Piece
from envs.notation.reading.readers import READERS, read_piece, tunes_of, with_address
from envs.notation.reading.selection import Known
from envs.notation.suffixes import FOREIGN, entry
from envs.notation.writing.writers import WRITERS


class _Tune(io.BytesIO):
    """A tune of a collection as an open file with a name."""

    name = ""


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
        ValueError: there is no such source, no such format, several files would become one, or
            `known` is no such value.
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
    inside = goal.resolve()
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not file.resolve().is_relative_to(inside)
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not files:
        raise ValueError(f"{folder} holds no files; expected some to read")
    music = {file for file in files if file.name.lower().endswith((*READERS, *FOREIGN))}
    names = [str(file.relative_to(folder).with_suffix("")).lower() for file in music]
    count = Counter(names)
    for file in files:
        if file not in music:
            yield Converted(str(file), None, refusal="its format is none that is read")
            continue
        name = file.relative_to(folder).with_suffix("")
        if count[str(name).lower()] > 1:  # tune.abc and tune.mid
            name = name.with_name(f"{name.name}-{file.suffix[1:]}")
        yield from _of_file(file, goal / name, suffix, known)


def _of_file(path: Path, goal: Path, suffix: str, known: dict[str, Any]) -> Iterator[Converted]:
    """Convert a file to one file, or to one for each of its tunes.

    Args:
        path: of the file.
        goal: the file to write, its suffix apart.
        suffix: of the file to write; empty if `goal` has it.
        known: as `read_piece`.
    """
    whole = goal.with_name(goal.name + suffix)
    if known.get("tune") is not None or not suffix:
        number = f"-{known['tune']}" if suffix else ""
        yield _convert(path, "", goal.with_name(f"{goal.name}{number}{suffix}"), known)
        return
    try:
        tunes = tunes_of(path)
    except ValueError as refusal:
        yield Converted(str(path), whole, refusal=str(refusal))
        return
    if len(tunes) < 2:
        yield _convert(path, "", whole, known)
        return
    digits = len(str(len(tunes)))
    for place, tune in enumerate(tunes, 1):
        file = _Tune(tune)
        file.name = f"{path}#{place}"
        each = goal.with_name(f"{goal.name}-{place:0{digits}}{suffix}")
        yield _convert(file, path.suffix, each, known)


def _convert(source: Any, form: str, target: Path, known: dict[str, Any]) -> Converted:
    """Read one piece and write it.

    Args:
        source: path, or open file with a name.
        form: suffix of an open file.
        target: the file to write.
        known: as `read_piece`.
    """
    name = getattr(source, "name", "") if form else str(source)
    name += f"#{known['tune']}" if known.get("tune") is not None else ""
    if known.get("bars") is not None:
        name += ":" + "-".join(dict.fromkeys(map(str, known["bars"])))  # 5, or 1-32
    if os.path.lexists(target):
        reason = f"{quoted(name)}: {target} exists; nothing is overwritten, name another"
        return Converted(name, target, refusal=reason)
    try:
        piece = read_piece(source, form or None, **known)
        data = entry(WRITERS, target.name, "write")(piece)
    except ValueError as error:
        reason = str(error) if isinstance(error, RefusedError) else f"{quoted(name)}: {error}"
        return Converted(name, target, refusal=reason)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, data)
    return Converted(name, target, piece)
