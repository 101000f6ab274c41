"""Files of comparisons: pairs of pieces and which of the two is liked, a line of JSON each.

    {"task": {"meter": "4/4", "bars": 8, "key": "C major"}}
    {"left": {"notes": "C4 E4 G4:8"}, "right": "tunes/mine.abc", "liked": "right"}

The first line may name the task that `notes` and `tokens` are written for; without it the first
piece that is read from a file says it. A piece is the path of a file below the folder of this one,
or {"notes": a line of text}, {"abc": a tune} or {"tokens": a list of numbers for each voice}.
`liked` is left, right, tie or neither, and ? until that is known. Answers are appended, each safe
on the disk before the next is asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from agents.preferring.taste import ANSWERS
from agents.settings.tasks import changed_fields, differences, read_task
from envs.durable_files import append, read_text
from envs.errors import RefusedError, did_you_mean, quoted
from envs.music.piece import Piece, score_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import parse_notes, text

MOST_LINES = 10_000
MOST_BYTES = 2**24
MOST_CHARACTERS = 100_000  # of a line
OPEN = "?"  # not answered yet
INLINE = ("notes", "abc", "tokens")
KEYS = ("left", "right", "liked")
ALIKE = ("meter", "grid", "bars", "pickup", "voices", "key")  # in which pieces must agree


@dataclass(frozen=True)
class Comparisons:
    """Pairs of pieces of one task, and what was said of them.

    Attributes:
        left, right: the pieces, a row for each pair.
        liked: an answer for each pair, one of ANSWERS.
        open: number of pairs that are not answered yet, and left out.
        notices: remarks on how the file was read.
    """

    left: Score
    right: Score
    liked: tuple[str, ...]
    open: int = 0
    notices: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """The task of the pieces."""
        return self.left.task

    @property
    def pieces(self) -> Score:
        """The pieces of both sides, those on the left first."""
        return Score(np.concatenate([self.left.tokens, self.right.tokens]), self.task)


# -- reading ---------------------------------------------------------------------------------------


def read_comparisons(path: str | Path, task: Task | None = None) -> Comparisons:
    """Return the comparisons of a file.

    A last line without an end that is no JSON was never finished, and is left out with a notice.

    Args:
        path: the file.
        task: that of the pieces, where the file need not say it.

    Raises:
        RefusedError: it is no such file; a line that is none, or whose pieces cannot be read or are
            of another task than the others.
    """
    file = Path(path)
    lines, notices = _lines(file)
    reader = _LineReader(file, task)
    pairs: list[tuple[Piece, Piece]] = []
    liked: list[str] = []
    unanswered = 0
    for number, line in lines:
        try:
            entry = reader.entry(line, first=number == lines[0][0])
            if entry is None:
                continue
            if entry["liked"] == OPEN:
                unanswered += 1
                continue
            pairs.append((reader.piece(entry["left"]), reader.piece(entry["right"])))
            liked.append(entry["liked"])
        except (ValueError, TypeError, OverflowError) as error:
            raise RefusedError(f"line {number}: {error}", str(file)) from None
    if not pairs:
        still = f"; {unanswered} pairs wait for one" if unanswered else ""
        raise RefusedError(f"no pair has an answer yet{still}", str(file))
    left, right = (reader.score([pair[side] for pair in pairs]) for side in (0, 1))
    return Comparisons(left, right, tuple(liked), unanswered, tuple(notices))


def read_task_of(path: str | Path) -> Task | None:
    """Return the task that the first line of a file names; None if there is no file, or no task.

    Raises:
        RefusedError: the first line is none of such a file.
    """
    file = Path(path)
    if not file.exists():
        return None
    lines, _ = _lines(file)
    reader = _LineReader(file, None)
    try:
        for _, line in lines[:1]:
            reader.entry(line, first=True)
    except (ValueError, TypeError) as error:
        raise RefusedError(f"line {lines[0][0]}: {error}", str(file)) from None
    return reader.task


def _lines(file: Path) -> tuple[list[tuple[int, str]], list[str]]:
    """Return the lines of a file that say something, by number, and remarks.

    Raises:
        RefusedError: there is no such file, or it is too large.
    """
    try:
        content = read_text(file, MOST_BYTES)
    except ValueError as error:
        raise RefusedError(f"{error}; expected a file of comparisons") from None
    lines = [(n, line) for n, line in enumerate(content.split("\n"), 1) if line.strip()]
    if len(lines) > MOST_LINES:
        raise RefusedError(f"{len(lines):,} lines; expected at most {MOST_LINES:,}", str(file))
    notices = []
    if lines and not content.endswith("\n") and not _is_whole(lines[-1][1]):
        notices.append(f"line {lines[-1][0]} was never finished, and is left out")
        lines = lines[:-1]
    return lines, notices


def _is_whole(line: str) -> bool:
    """True if a line is JSON."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number that JSON has")


class _LineReader:
    """Reads lines of one file; a piece that is named again is read once."""

    def __init__(self, file: Path, task: Task | None) -> None:
        self.folder, self.task = file.parent, task
        self._named = task is not None
        self._known: dict[str, Piece] = {}

    def entry(self, line: str, first: bool) -> dict[str, Any] | None:
        """Return the comparison of a line; None for the line that names the task.

        Raises:
            ValueError, TypeError: it is none.
        """
        if len(line) > MOST_CHARACTERS:
            raise ValueError(f"{len(line):,} characters; expected at most {MOST_CHARACTERS:,}")
        try:
            entry = json.loads(line, parse_constant=_no_number)
        except RecursionError:
            raise ValueError("lists too deep in each other") from None
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{quoted(line)} is no JSON ({error.msg}); expected such as "
                '{"left": "a.abc", "right": "b.abc", "liked": "left"}'
            ) from None
        if first and isinstance(entry, dict) and entry.keys() == {"task"}:
            found = read_task(entry["task"], Task())
            if self.task is not None and found != self.task:
                raise ValueError(
                    "it names another task than the one asked for, which differ in "
                    f"{differences((found, self.task))}; give --task the file's"
                )
            self.task, self._named = found, True
            return None
        if not isinstance(entry, dict) or entry.keys() != set(KEYS):
            got = ", ".join(map(quoted, entry)) if isinstance(entry, dict) else quoted(entry)
            raise ValueError(f"expected left, right and liked, got {got}")
        if entry["liked"] not in (*ANSWERS, OPEN):
            near = did_you_mean(str(entry["liked"]), ANSWERS)
            raise ValueError(
                f"liked: {quoted(entry['liked'])}.{near} Expected {', '.join(ANSWERS)}, or {OPEN} "
                "if that is not known yet"
            )
        return entry

    def piece(self, given: Any) -> Piece:
        """Return a piece that a line names or holds, checked to be of the file's task.

        Raises:
            ValueError, TypeError: it cannot be read, or is of another task.
        """
        name = json.dumps(given)
        if name not in self._known:
            self._known[name] = self._checked(self._read(given), given)
        return self._known[name]

    def _read(self, given: Any) -> Piece:
        grid: dict[str, Any] = {"grid": self.task.grid} if self.task is not None else {}
        if isinstance(given, str):
            place = PurePosixPath(given)
            if place.is_absolute() or ".." in place.parts or not given:
                raise ValueError(f"{quoted(given)}: expected a path below {self.folder}")
            return read_piece(str(self.folder / place), **grid)
        if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in INLINE:
            kinds = ", ".join(f'{{"{kind}": ...}}' for kind in INLINE)
            raise ValueError(f"{quoted(given)}: expected the path of a piece, or one of {kinds}")
        ((kind, content),) = given.items()
        if kind != "tokens" and not isinstance(content, str):
            raise TypeError(f"{kind}: {quoted(content)}, expected text")
        if kind == "abc":
            return read_piece(content.encode(), ".abc", **grid)
        if self.task is None:
            raise ValueError(
                f"{kind} say nothing of metre and key; expected a first line such as "
                '{"task": {"meter": "4/4", "bars": 8, "key": "C major"}}'
            )
        if kind == "notes":
            return Piece.of(score_of(parse_notes(content, self.task.beat_cells), self.task))
        return Piece.of(Score(np.array([content]), self.task))

    def _checked(self, piece: Piece, given: Any) -> Piece:
        if self.task is None:
            self.task = piece.task
        if self._named:
            names = [name for name in ALIKE if name != "key" or not piece.estimated]
        else:
            names = list(ALIKE)
        for name in names:
            ours, theirs = getattr(self.task, name), getattr(piece.task, name)
            if ours != theirs:
                raise ValueError(
                    f"pieces of different tasks: {quoted(given)} has {name} {theirs}, the others "
                    f"{ours}; expected pieces of one metre, length and key in a file"
                )
        if not self._named:  # as wide as all of them need
            low, high = min(self.task.low, piece.task.low), max(self.task.high, piece.task.high)
            self.task = replace(self.task, low=low, high=high)
        return piece

    def score(self, pieces: Sequence[Piece]) -> Score:
        """Return the pieces as a batch of the file's task.

        Raises:
            RefusedError: the notes of one do not fit in.
        """
        task = self.task
        if task is None:
            raise ValueError("no piece was read")
        try:
            rows = [each.score_for(task).tokens for each in pieces]
        except ValueError as error:
            raise RefusedError(f"a piece does not fit in the task of the file: {error}") from None
        return Score(np.concatenate(rows), task)


# -- writing ---------------------------------------------------------------------------------------


def heading(task: Task) -> str:
    """Return the first line of a file, which names the task of its pieces."""
    return json.dumps({"task": changed_fields(task, None)}) + "\n"


def written_comparison(left: Any, right: Any, liked: str = OPEN) -> str:
    """Return the line of a comparison; a Score of one piece is written as its notes."""
    sides = [{"notes": text(side)} if isinstance(side, Score) else side for side in (left, right)]
    return json.dumps(dict(zip(KEYS, (*sides, liked), strict=True)), ensure_ascii=False) + "\n"


def append_comparison(path: str | Path, left: Score, right: Score, liked: str) -> None:
    """Append an answer to a file, which is begun if it is not there; on the disk when it returns.

    Args:
        path: the file.
        left, right: finished scores of one piece each, of the file's task.
        liked: one of ANSWERS.

    Raises:
        ValueError: no such answer, or pieces of another task than the file's.
        RefusedError: the file is none of comparisons.
        OSError: it cannot be written.
    """
    file = Path(path)
    if liked not in ANSWERS:
        raise ValueError(f"liked={quoted(liked)}: expected one of {', '.join(ANSWERS)}")
    begun = _mend(file)
    if left.task != right.task or (begun and read_task_of(file) != left.task):
        raise ValueError(
            f"{file}: expected pieces of the task that its first line names; name a new file for "
            "pieces of another"
        )
    line = written_comparison(left, right, liked)
    append(file, line if begun else heading(left.task) + line)


def _mend(file: Path) -> bool:
    """End the last line of a file, or take it away if it was never finished; False if empty."""
    if not file.exists() or not file.stat().st_size:
        return False
    data = file.read_bytes()
    if not data.endswith(b"\n"):
        start = data.rfind(b"\n") + 1
        if _is_whole(data[start:].decode(errors="replace")):
            append(file, "\n")
        else:
            os.truncate(file, start)
            return start > 0
    return True
