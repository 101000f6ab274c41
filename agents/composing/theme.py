"""A theme to be written in another style: how much of it may change, and what is kept.

An edit is a note of another pitch, a note more, a note fewer, or a silence that begins or ends
elsewhere without a note. A note that moves in time is one fewer and one more.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.composing.locked_bars import task_of_page
from envs.errors import did_you_mean, quoted
from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from pretrained.checkpoint import load_once
from rewards.rules.rhythm import sounding

if TYPE_CHECKING:
    from pretrained.prior import Scorer

BASE = "melody"  # the prior from whose style a theme is moved
STRONG = 1  # highest metrical level of a strong place, as in the rule chord_tones


@dataclass(frozen=True)
class Theme:
    """A melody that is written in the style of a prior, with a bound on what changes.

    Attributes:
        piece: the melody.
        keep: what stays, names of KEEPS: rhythm (where notes and silences begin and end), contour
            (the number of notes, and the direction from each to the next), chords (a chord's note
            on a strong place stays a note of that chord).
        edit: the most edits for each note of the theme, above 0 and at most 1.
        base: the prior of the style that it leaves, for the report; a checkpoint's name or path is
            loaded when needed.
        source: name of the melody in messages.

    Raises:
        ValueError: several voices, no notes, an unknown name, or a budget that is no share or
            leaves nothing to change.
        TypeError: a budget that is no number, or `keep` that is no list of names.
    """

    piece: Piece
    keep: Sequence[str] = ()
    edit: float = 0.3
    base: Scorer | str | os.PathLike[str] = BASE
    source: str = "the theme"

    def __post_init__(self) -> None:
        if self.piece.voices > 1:
            raise ValueError(
                f"{self.source} has {self.piece.voices} voices, and the edits of a theme are "
                "counted along one line; choose a voice (part=, voice=; --part, --voice), or have "
                "bars of all voices written anew (--rewrite)"
            )
        if isinstance(self.keep, str) or not isinstance(self.keep, Sequence):
            raise TypeError(f"keep={quoted(self.keep)}: expected a list, such as ['rhythm']")
        for name in self.keep:
            if name not in KEEPS:
                raise ValueError(
                    f"keep={quoted(name)}.{did_you_mean(str(name), KEEPS)} "
                    f"Expected some of {', '.join(KEEPS)}"
                )
        if isinstance(self.edit, bool) or not isinstance(self.edit, Real):
            raise TypeError(f"edit={quoted(self.edit)}: expected a share such as 0.3")
        if not 0 < self.edit <= 1:
            raise ValueError(
                f"edit={quoted(self.edit)}: expected a share of the notes above 0, at most 1"
            )
        if not self.piece.notes:
            raise ValueError(f"{self.source} has no notes; expected a melody")
        if not self.most:
            raise ValueError(
                f"edit={self.edit:g} leaves none of {len(self.piece.notes)} notes to edit; "
                f"expected at least {math.ceil(1000 / self.notes) / 1000:g}"
            )

    @classmethod
    def read(
        cls, text: str, keep: Sequence[str] = (), edit: float = 0.3, base: str = BASE, **known: Any
    ) -> Theme:
        """Read a file, or a part of it such as "book.abc#7:1-8".

        Args:
            text: the file.
            keep, edit, base: see the class.
            known: as `read_piece`, such as part=2, voice=1 or top=True.

        Raises:
            ValueError: a file that cannot be read, or as the class.
        """
        return cls(read_piece(text, **known), keep, edit, base, text)

    @property
    def notes(self) -> int:
        """Number of notes."""
        return len(self.piece.notes)

    @property
    def most(self) -> int:
        """The largest number of edits that the budget allows."""
        return math.floor(float(self.edit) * self.notes + 1e-9)

    def task_with(self, changes: Mapping[str, Any]) -> Task:
        """Return the theme's task with changed fields: key, range, chords and phrases.

        Raises:
            ValueError: another grid, metre, pickup, length or number of voices, notes outside the
                range, or chords that are to be kept and not there.
        """
        task, own = task_of_page(self.piece, changes, self.source), self.piece.task
        if task.bars != own.bars:
            raise ValueError(
                f"bars={task.bars}: {self.source} has {own.bars}, and is rewritten as a whole; "
                "leave bars out"
            )
        pitches = [note.pitch for note in self.piece.notes]
        low, high = min(pitches), max(pitches)
        if low < task.low or high > task.high:
            named = [task.key.pitch_name(pitch) for pitch in (low, high, task.low, task.high)]
            raise ValueError(
                f"{self.source} goes from {named[0]} to {named[1]}, outside the range {named[2]} "
                f"to {named[3]}; ask for a wider range"
            )
        if "chords" in self.keep:
            if not task.chords:
                raise ValueError(
                    f"keep=chords: {self.source} has no chords that are read; say which they are "
                    "(--chords 'C | F G7 | C')"
                )
            if not kept_chord_tones(self.score_for(task)).any():
                raise ValueError(
                    f"keep=chords: no note of {self.source} on a strong place belongs to its "
                    "chord; correct the chords, or leave chords out"
                )
        return task

    def score_for(self, task: Task) -> Score:
        """Return the theme as a score of a task that `task_with` gave."""
        return self.piece.score_for(task)


def name_of(prior: object) -> str:
    """Return the name of a prior's checkpoint or style, of its type if it is an object without."""
    path = prior if isinstance(prior, str | os.PathLike) else getattr(prior, "path", "")
    return Path(path).stem or type(prior).__name__


def loaded(prior: Scorer | str | os.PathLike[str]) -> Scorer:
    """Return a prior; its checkpoint is loaded once."""
    return load_once(prior) if isinstance(prior, str | os.PathLike) else prior


def edits(theme: Score, score: Score) -> Array:
    """Return True (B, V, T) where pieces differ from a theme by an edit.

    Args:
        theme: a finished score of one piece.
        score: finished pieces of the same task.
    """
    starts = [np.where(each.onset, each.pitch, -1) for each in (theme, score)]
    before, now = ([sounding(each)[which] >= 0 for each in (theme, score)] for which in (1, 0))
    no_note = np.maximum(*starts) < 0
    gap = no_note & (before[0] == before[1]) & (now[0] != now[1])
    found: Array = (starts[0] != starts[1]) | gap
    return found


# -- what is kept ----------------------------------------------------------------------------------


def keeps_rhythm(theme: Score, score: Score) -> Array:
    """Return True (B,) where notes and silences begin and end as in the theme."""
    sounds, played = (sounding(each)[0] >= 0 for each in (theme, score))
    same: Array = ((theme.onset == score.onset) & (sounds == played)).all(axis=(1, 2))
    return same


def keeps_contour(theme: Score, score: Score) -> Array:
    """Return True (B,) where as many notes go up, down or stay from one to the next as there."""
    wanted = directions(theme)[0]
    return np.array([np.array_equal(found, wanted) for found in directions(score)])


def directions(score: Score) -> list[Array]:
    """Return the sign of the interval to each note of each piece; 0 for its first note."""
    pieces = zip(np.sign(score.interval[:, 0]), score.onset[:, 0], strict=True)
    return [interval[onset] for interval, onset in pieces]


def kept_chord_tones(theme: Score) -> Array:
    """Return True (1, V, T) where the theme begins a chord's note on a strong place."""
    task = theme.task
    harmonised = theme.cell >= (task.chord_starts[0][0] if task.chord_starts else task.cells)
    tones: Array = theme.onset & theme.in_chord & (theme.level <= STRONG) & harmonised
    return tones


def keeps_chords(theme: Score, score: Score) -> Array:
    """Return True (B,) where notes of `kept_chord_tones` are still notes of their chords."""
    lost: Array = kept_chord_tones(theme) & ~(score.onset & score.in_chord)
    return np.asarray(~lost.any(axis=(1, 2)))


KEEPS: Mapping[str, Callable[[Score, Score], Array]] = {
    "rhythm": keeps_rhythm,
    "contour": keeps_contour,
    "chords": keeps_chords,
}


@dataclass(frozen=True)
class Movement:
    """How far a melody is from its theme, and from one style to the other.

    Attributes:
        edits: number of edits.
        most: the budget, in edits.
        notes: number of notes of the theme.
        kept: what was kept, and found so on the finished melody.
        names: of the priors of the new style and of the base, the style that it leaves.
        before: nats per token of the theme under the two.
        after: nats per token of the melody under the two.
    """

    edits: int
    most: int
    notes: int
    kept: tuple[str, ...]
    names: tuple[str, str]
    before: tuple[float, float]
    after: tuple[float, float]

    @property
    def share(self) -> float:
        """Edits for each note of the theme."""
        return self.edits / self.notes

    @property
    def moved(self) -> float:
        """Nats per token by which the style finds the melody likelier, more than the base does."""
        style, base = (a - b for a, b in zip(self.before, self.after, strict=True))
        return style - base

    def __str__(self) -> str:
        kept = f"; kept: {', '.join(self.kept)}" if self.kept else ""
        rows = zip(self.names, self.before, self.after, strict=True)
        nats = ", ".join(f"{name} {before:.3f} -> {after:.3f}" for name, before, after in rows)
        style, base = self.names
        moved = f"moved {self.moved:+.3f} from {base} to {style}"
        if style == base:
            nats, moved = nats.partition(", ")[0], "name --base to compare it with another style"
        return (
            f"{self.edits} edits in {self.notes} notes ({self.share:.0%}, at most {self.most})"
            f"{kept}; nats per token: {nats}; {moved}"
        )
