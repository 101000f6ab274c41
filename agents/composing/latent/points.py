"""Requests to a latent model: variations of a theme, and melodies between two themes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.composing.locked_bars import task_of_page
from envs.errors import quoted
from envs.music.codec import Codec, Note
from envs.music.piece import Piece, score_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from pretrained.checkpoint import load_model, shipped
from pretrained.latent import Latent

if TYPE_CHECKING:
    Model = Latent | str | os.PathLike[str]

SHIPPED = "vae-"  # names of the models that ship begin so; the number of bars follows


@dataclass(frozen=True)
class Points:
    """A theme that is known to a latent model as a point.

    Attributes:
        piece: the theme.
        latent: the model, or the name or path of its checkpoint; if empty the one that ships for
            as many bars as the theme has.
        source: name of the theme in messages.

    Raises:
        ValueError: a theme of several voices, or without a note.
    """

    piece: Piece
    latent: Model = ""
    source: str = "the theme"

    def __post_init__(self) -> None:
        for piece, name in self.themes:
            if piece.voices > 1:
                raise ValueError(
                    f"{name} has {piece.voices} voices, expected a melody; choose a voice (part=, "
                    "voice=; --part, --voice)"
                )
            if not piece.notes:
                raise ValueError(f"{name} has no notes; expected a melody")

    @property
    def themes(self) -> tuple[tuple[Piece, str], ...]:
        """Each theme and its name in messages."""
        return ((self.piece, self.source),)

    @property
    def name(self) -> str:
        """The name of the model."""
        if isinstance(self.latent, str | os.PathLike):
            return Path(self.latent or f"{SHIPPED}{self.piece.bars}").stem
        return type(self.latent).__name__

    def model(self, task: Task) -> Latent:
        """Return the model, loaded if it is named.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: it is no latent model, or knows no pieces of the task.
        """
        found: Any = self.latent
        if isinstance(found, str | os.PathLike):
            found = load_model(found or shipped_for(task.bars, self.source))
        if not isinstance(found, Latent):
            raise ValueError(
                f"{self.name} knows no points; expected a latent model, such as {SHIPPED}2"
            )
        try:
            found.require(task)
        except ValueError as error:
            raise ValueError(f"{self.source}, {self.name}: {error}") from None
        return found

    def task_with(self, changes: Mapping[str, Any]) -> Task:
        """Return the first theme's task with changed fields: key, range, chords and phrases.

        If no range is asked for, it is wide enough for all themes in that key.

        Raises:
            ValueError: another grid, metre, pickup, length or number of voices.
        """
        task = task_of_page(self.piece, changes, self.source)
        if task.bars != self.piece.bars:
            raise ValueError(
                f"bars={task.bars}: {self.source} has {self.piece.bars}; leave bars out, or name "
                "bars of the file"
            )
        if {"low", "high", "ranges"} & set(changes):
            return task
        pitches = [note.pitch for piece, _ in self.themes for note in _moved(piece, task)]
        return task.changed(low=min(task.low, *pitches), high=max(task.high, *pitches))


@dataclass(frozen=True)
class Variation(Points):
    """Melodies as far from a theme as asked, found by moving its point.

    Attributes:
        distance: edit distance of the tokens over their number, above 0 and at most 1; tunes that
            have nothing to do with each other are about .5 apart.
        piece, latent, source: see `Points`.

    Raises:
        ValueError: a distance outside its bounds, or as `Points`.
        TypeError: a distance that is no number.
    """

    distance: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.distance, bool) or not isinstance(self.distance, Real):
            raise TypeError(f"distance={quoted(self.distance)}: expected a share such as 0.3")
        if not 0 < self.distance <= 1:
            raise ValueError(
                f"distance={quoted(self.distance)}: expected a share of the tokens above 0, at "
                "most 1"
            )

    @classmethod
    def read(cls, text: str, distance: float = 0.3, latent: Model = "", **known: Any) -> Variation:
        """Read a theme from a file, or a part of it such as "book.abc#7:1-8".

        Args:
            text: the file.
            distance, latent: see the class.
            known: as `read_piece`, such as part=2, voice=1 or top=True.

        Raises:
            ValueError: a file that cannot be read, or as the class.
        """
        return cls(_read(text, known), latent, text, distance)


@dataclass(frozen=True)
class Between(Points):
    """Melodies on the way from one theme to another.

    Attributes:
        piece: the first theme, whose key the melodies have.
        second: the other one.
        other: its name in messages.
        latent, source: see `Points`.

    Raises:
        ValueError: themes of different metres, lengths, pickups or grids, or as `Points`.
    """

    second: Piece | None = None
    other: str = "the second theme"

    def __post_init__(self) -> None:
        if self.second is None:
            raise ValueError("second: expected a theme to go to")
        super().__post_init__()
        one, two = self.piece.task, self.second.task
        for what, before, now in (
            ("metre", one.meter, two.meter),
            ("number of bars", one.bars, two.bars),
            ("pickup, in cells,", one.pickup, two.pickup),
            ("grid", one.grid, two.grid),
        ):
            if before != now:
                raise ValueError(
                    f"the {what} of {self.source} is {before} and of {self.other} {now}; expected "
                    "equal ones: name as many bars of each, as a.abc:1-2 b.abc:3-4"
                )

    @property
    def themes(self) -> tuple[tuple[Piece, str], ...]:
        """Each theme and its name in messages."""
        return (*super().themes, (self.second or self.piece, self.other))

    @classmethod
    def read(cls, first: str, second: str, latent: Model = "", **known: Any) -> Between:
        """Read two themes from files, or from parts of them such as "book.abc#7:1-8".

        Args:
            first, second: the files.
            latent: see the class.
            known: as `read_piece`, such as part=2, voice=1 or top=True.

        Raises:
            ValueError: a file that cannot be read, or as the class.
        """
        return cls(_read(first, known), latent, first, _read(second, known), second)


@dataclass(frozen=True)
class Apart:
    """Distances of a melody from the themes that it was made of.

    Attributes:
        names: of the themes.
        distances: edit distances over the number of tokens.
        asked: the distance that was asked for; None if none was.
    """

    names: tuple[str, ...]
    distances: tuple[float, ...]
    asked: float | None = None

    def __str__(self) -> str:
        pairs = zip(self.names, self.distances, strict=True)
        words = ", ".join(f"{distance:.2f} from {name}" for name, distance in pairs)
        return f"distance {words}" + ("" if self.asked is None else f" ({self.asked:g} asked for)")


def shipped_for(bars: int, source: str = "the theme") -> str:
    """Return the name of the latent model that ships for a number of bars.

    Raises:
        ValueError: none does.
    """
    names = [name for name in shipped() if name.startswith(SHIPPED)]
    if f"{SHIPPED}{bars}" not in names:
        lengths = " or ".join(name.removeprefix(SHIPPED) for name in names) or "no"
        raise ValueError(
            f"{source} has {bars} bars, and the models that ship hold {lengths} bars; name bars of "
            "the file, as theme.abc:1-2, or a model of your own (--latent)"
        )
    return f"{SHIPPED}{bars}"


def theme_score(piece: Piece, task: Task) -> Score:
    """Return a theme as a score of a task, moved to its key signature by a tritone at most.

    Raises:
        ValueError: the theme does not fit in that task.
    """
    notes, (low, high) = _moved(piece, task), task.spans[0]
    pitches = [note.pitch for note in notes]
    if min(pitches) < low or max(pitches) > high:
        ends = [task.key.pitch_name(pitch) for pitch in (min(pitches), max(pitches), low, high)]
        raise ValueError(
            f"in {task.key} the theme goes from {ends[0]} to {ends[1]}, outside the range "
            f"{ends[2]} to {ends[3]}; ask for a wider range (range=, --range)"
        )
    return score_of(notes, task)


def _moved(piece: Piece, task: Task) -> list[Note]:
    shift = (task.key.home - piece.key.home + 6) % 12 - 6
    return [replace(note, pitch=note.pitch + shift) for note in piece.notes]


def _read(text: str, known: Mapping[str, Any]) -> Piece:
    return read_piece(text, **{"grid": Codec.grid, **known})
