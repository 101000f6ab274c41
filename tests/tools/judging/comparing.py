"""Comparison of what the project reads with what is true, and its tables."""

from __future__ import annotations

import csv
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from envs.errors import RefusedError
from envs.music.piece import Piece
from envs.notation import read_piece
from tests.tools.judging.oracles import Notes


class Tried:
    """One file read, with the time that it took.

    Attributes:
        piece: as read, None if refused.
        refusal: why.
        seconds: of the read, with the way to the child process and back.
    """

    def __init__(self, data: bytes, suffix: str, **known: Any) -> None:
        start = time.perf_counter()
        self.piece: Piece | None = None
        self.refusal = ""
        try:
            self.piece = read_piece(data, suffix, **known)
        except RefusedError as refusal:
            self.refusal = str(refusal)
        except Exception as error:
            self.refusal = f"NOT REFUSED BUT {type(error).__name__}: {error}"
        self.seconds = time.perf_counter() - start


def notes_of(piece: Piece) -> Notes:
    """The notes of a piece in quarter notes, in order of onset and pitch."""
    grid = piece.task.grid
    return sorted(
        (Fraction(note.start, grid), Fraction(note.duration, grid), note.pitch)
        for note in piece.notes
    )


def top(notes: Notes) -> Notes:
    """The highest of the notes of each onset."""
    highest = {start: (start, length, pitch) for start, length, pitch in sorted(notes, key=_pitch)}
    return [highest[start] for start in sorted(highest)]


def _pitch(note: tuple[Fraction, Fraction, int]) -> int:
    return note[2]


def has_chords(notes: Notes) -> bool:
    """Return True if two notes of a line begin at once."""
    return len({start for start, _, _ in notes}) < len(notes)


def difference(ours: Notes, theirs: Notes, exact: Fraction = Fraction(0)) -> str:
    """The first difference of two lines in words, empty if there is none.

    Times are counted from the first note. Lengths and onsets may differ by `exact`.
    """
    if not ours or not theirs:
        return "" if ours == theirs else f"{len(ours)} notes, not {len(theirs)}"
    first = ours[0][0], theirs[0][0]
    for number, (own, other) in enumerate(zip(ours, theirs, strict=False)):
        starts = own[0] - first[0], other[0] - first[1]
        if own[2] != other[2]:
            return f"pitch of note {number} at {other[0]}: {own[2]}, not {other[2]}"
        if abs(starts[0] - starts[1]) > exact:
            return f"onset of note {number}: {starts[0]}, not {starts[1]}"
        if abs(own[1] - other[1]) > exact:
            return f"length of note {number} at {other[0]}: {own[1]}, not {other[1]}"
    return "" if len(ours) == len(theirs) else f"{len(ours)} notes, not {len(theirs)}"


def kind_of(words: str) -> str:
    """Refusals and differences without their numbers, so that they can be counted."""
    import re

    words = re.sub(r"'[^']*'", "'…'", words)
    words = re.sub(r"[A-G][#b♯♭]?\d at quarter [\d.]+", "NOTE", words)
    return re.sub(r"-?\d+(?:[./]\d+)*", "N", words)[:150]


def table(rows: Iterable[Sequence[Any]], head: Sequence[str]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def times(seconds: Sequence[float]) -> str:
    """Median and maximum of seconds."""
    if not seconds:
        return "-"
    return f"{statistics.median(seconds):.3f} / {max(seconds):.2f}"


def counted(words: Iterable[str], most: int = 40) -> list[tuple[int, str]]:
    """How often each kind of words comes, the most frequent first."""
    return [(count, kind) for kind, count in Counter(map(kind_of, words)).most_common(most)]


def save(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows of one set of fields as CSV."""
    rows = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["none"])
        writer.writeheader()
        writer.writerows(rows)
