"""Drawings along time as SVG: a piano roll, and strips of values under it.

A drawing comes in two pictures of one height, names and time, so that a page can keep the names in
view while time scrolls. Roll and strips have one scale: what stands above each other sounds
together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from envs.music.piece import notes_of

if TYPE_CHECKING:
    from envs.music.codec import Note
    from envs.music.score import Score
    from envs.music.task import Task

PITCH, STRIP = 7, 26  # heights in pixels
WIDTH, NARROW, WIDE = 800, 28, 90  # of a short piece, and of a quarter note
NAMES, LONGEST_NAME = 180, 21  # width of the names in pixels, and their letters
TOP = 16  # above the roll, for the numbers of the bars
VOICES = ("#3b6ea5", "#c8842a", "#4b8f5a", "#7d5fa6", "#557", "#a65f5f", "#5fa6a0", "#8a8a3a")


@dataclass(frozen=True)
class Drawing:
    """Names and time, two SVG documents of one height."""

    names: str
    time: str


def x_of(task: Task, cell: float) -> float:
    """Return the place of a cell in pixels: a short piece fills the page, a long one scrolls."""
    quarter = min(WIDE, max(NARROW, WIDTH * task.grid / task.cells))
    return round(cell * quarter / task.grid, 2)


def note_id(voice: int, start: int) -> str:
    """Return the id of a note in the drawings and the score of a page."""
    return f"{voice}-{start}"


def piano_roll(
    score: Score,
    row: int = 0,
    marked: Iterable[tuple[int, int]] = (),
    numbers: Sequence[int] = (),
    colour: str = "#c2185b",
    together: Iterable[tuple[int, Sequence[tuple[int, int]]]] = (),
) -> Drawing:
    """Draw pitch upwards and time to the right; each note has its `note_id` as data-note.

    Args:
        score: the pieces.
        row: which of them.
        marked: voice and first cell of the notes to draw in `colour`.
        numbers: of the bars, the pickup's included; counted from 1, the pickup 0, if empty.
        colour: of marked notes.
        together: a cell and the notes (voice, first cell) that a line joins there.
    """
    task, notes, marked = score.task, notes_of(score, row), set(marked)
    pitches = [note.pitch for note in notes] or [task.low, task.high]
    low, high = min(pitches) - 2, max(pitches) + 2
    height = TOP + (high - low + 1) * PITCH
    inside = [_lanes(task, low, high), _bar_lines(task, height, numbers)]
    for note in notes:
        fill = colour if (note.voice, note.start) in marked else VOICES[note.voice % len(VOICES)]
        inside.append(_bar(task, note, TOP + (high - note.pitch) * PITCH, fill))
    places = {(n.voice, n.start): TOP + (high - n.pitch + 0.5) * PITCH for n in notes}
    for cell, joined in together:
        ends_at = [places[note] for note in joined if note in places]
        if len(ends_at) > 1:
            x = x_of(task, cell) + 1
            inside.append(_line(x, min(ends_at), x, max(ends_at), colour))
    ends = min(pitches), max(pitches)
    tonics = [p for p in range(low, high + 1) if p % 12 == task.key.pitch_class]
    named = {*ends, *(p for p in tonics if all(abs(p - end) > 1 for end in ends))}
    labels = [
        _label(task.key.pitch_name(pitch), TOP + (high - pitch + 0.5) * PITCH)
        for pitch in sorted(named)
    ]
    return Drawing(_svg(NAMES, height, labels), _svg(x_of(task, task.cells), height, inside))


def roll_svg(score: Score, row: int = 0) -> str:
    """Return a piano roll as one SVG document, with the names of some of its pitches beside it.

    Args:
        score: the pieces.
        row: which of them.
    """
    drawing = piano_roll(score, row)
    width = NAMES + x_of(score.task, score.task.cells)
    height = float(re.findall(r'height="([\d.]+)"', drawing.time)[0])
    time = drawing.time.replace("<svg ", f'<svg x="{NAMES}" ', 1)
    return _svg(width, height, [drawing.names, time])


def _lanes(task: Task, low: int, high: int) -> str:
    """Draw a shade where a pitch is not in the key, a line under each tonic."""
    width, parts = x_of(task, task.cells), []
    for pitch in range(low, high + 1):
        y = TOP + (high - pitch) * PITCH
        if pitch % 12 not in task.key.pitch_classes:
            parts.append(f'<rect x="0" y="{y}" width="{width}" height="{PITCH}" fill="#f1f1ee"/>')
        if pitch % 12 == task.key.pitch_class:
            parts.append(_line(0, y + PITCH, width, y + PITCH, "#c9c9c4"))
    return "".join(parts)


def _bar_lines(task: Task, height: float, numbers: Sequence[int] = ()) -> str:
    """Draw bar lines with their numbers, and fainter lines at the beats."""
    parts = []
    for cell in range(task.cells):
        if task.place_in_bar(cell) % task.beat_cells == 0:
            parts.append(_line(x_of(task, cell), TOP, x_of(task, cell), height, "#e3e3de"))
    for index, cell in enumerate(task.bar_lines):
        x = x_of(task, cell)
        number = numbers[index] if numbers else index + (task.pickup == 0)
        parts.append(_line(x, 0, x, height, "#8d8d88"))
        parts.append(f'<text x="{x + 3}" y="11" font-size="10" fill="#666">{number}</text>')
    return "".join(parts)


def _bar(task: Task, note: Note, y: float, fill: str) -> str:
    x, end = x_of(task, note.start), x_of(task, note.start + note.duration)
    name = escape(task.key.pitch_name(note.pitch))
    return (
        f'<rect data-note="{note_id(note.voice, note.start)}" x="{x + 0.5}" y="{y}" rx="2" '
        f'width="{max(2.0, end - x - 1):g}" height="{PITCH}" fill="{fill}">'
        f"<title>{name}</title></rect>"
    )


def strips(
    score: Score,
    curves: Mapping[str, npt.NDArray[Any]],
    colours: Mapping[str, str] | None = None,
    unit: str = "",
) -> Drawing:
    """Draw a strip for each curve, with a bar at each cell that is not 0, relative to the largest.

    Args:
        score: whose time it is.
        curves: values (cells,) of 0 or more, by name.
        colours: of the curves, by name.
        unit: behind the largest value, which stands beside the name.
    """
    task = score.task
    inside, labels = [], []
    for index, (name, curve) in enumerate(curves.items()):
        top, most = index * STRIP, float(np.max(curve, initial=0.0))
        base = top + STRIP - 2
        inside.append(_line(0, base, x_of(task, task.cells), base, "#d5d5d0"))
        shown = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
        labels.append(_label(f"{shown}, up to {most:.2g}{unit}", top + STRIP / 2 + 1))
        fill = (colours or {}).get(name, "#c2185b")
        for cell in np.flatnonzero(curve).tolist():
            tall = max(2.0, (STRIP - 6) * float(curve[cell]) / most)
            width = max(3.0, x_of(task, 1) - 1)
            inside.append(
                f'<rect x="{x_of(task, cell)}" y="{base - tall:.1f}" width="{width:g}" '
                f'height="{tall:.1f}" fill="{fill}"/>'
            )
    height = max(1, len(curves)) * STRIP
    for cell in task.bar_lines:
        inside.insert(0, _line(x_of(task, cell), 0, x_of(task, cell), height, "#e3e3de"))
    return Drawing(_svg(NAMES, height, labels), _svg(x_of(task, task.cells), height, inside))


def _label(words: str, y: float) -> str:
    return (
        f'<text x="{NAMES - 6}" y="{y + 3.5:g}" text-anchor="end" font-size="10.5" fill="#444">'
        f"{escape(words)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}"/>'


def _svg(width: float, height: float, inside: Iterable[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="sans-serif">{"".join(inside)}</svg>'
    )
