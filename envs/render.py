"""Pictures of a piece for an environment's `render`: text with bar lines, and a piano roll."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from envs.music.codec import HOLD, REST, UNWRITTEN
from envs.music.score import Score

INK, PAPER, SHADE = (32, 32, 48), (252, 252, 250), (240, 240, 236)
LINES, BAR_LINES = (222, 222, 218), (130, 130, 130)
COLOURS = ((36, 94, 178), (200, 80, 40), (60, 140, 70), (130, 70, 160))
CELL_WIDTH, PITCH_HEIGHT = 12, 8  # pixels


def ansi(score: Score, row: int = 0) -> str:
    """Return a line of text for each voice of the piece `row`.

    It has note names, '.' for a hold, '-' for a rest, '_' for an empty cell, '|' at bar lines and
    a wider space between beats.
    """
    task = score.task
    marks = {REST: "-", HOLD: ".", UNWRITTEN: "_"}
    lines = []
    for voice in score.tokens[row].tolist():
        names = [marks.get(t) or task.key.pitch_name(task.codec.pitch(t)) for t in voice]
        text = "|"
        for cell, name in enumerate(names):
            if cell in task.bar_lines[1:]:
                text += " |"
            elif cell and task.place_in_bar(cell) % task.beat_cells == 0:
                text += " "
            text += f" {name}"
        lines.append(text + " |")
    return "\n".join(lines)


def roll_image(score: Score, row: int = 0) -> npt.NDArray[np.uint8]:
    """Return an RGB image (height, width, 3) of the piece `row`.

    Pitch goes up, time to the right; there are lines at beats, bars and octaves.
    """
    task = score.task
    low, high = task.low, task.high
    image = np.full(((high - low + 1) * PITCH_HEIGHT, task.cells * CELL_WIDTH, 3), PAPER, np.uint8)

    def rows_of(pitch: int) -> slice:
        top = (high - pitch) * PITCH_HEIGHT
        return slice(top, top + PITCH_HEIGHT)

    for pitch in range(low, high + 1):
        if pitch % 12 not in task.key.pitch_classes:
            image[rows_of(pitch)] = SHADE
        if pitch % 12 == task.key.pitch_class:
            image[rows_of(pitch).stop - 1] = LINES
    for cell in range(task.pickup % task.beat_cells, task.cells, task.beat_cells):
        image[:, cell * CELL_WIDTH] = BAR_LINES if cell in task.bar_lines else LINES
    for number, voice in enumerate(score.tokens[row]):
        for note in task.codec.decode(voice, number):
            unwritten = np.flatnonzero(voice[note.start :] == UNWRITTEN)
            length = min(note.duration, int(unwritten[0])) if len(unwritten) else note.duration
            left = note.start * CELL_WIDTH + 1
            across = slice(left, left + length * CELL_WIDTH - 2)
            image[rows_of(note.pitch), across] = COLOURS[number % len(COLOURS)]
            image[rows_of(note.pitch), left] = INK
    return image
