"""Random pieces of every grid, metre, grouping, upbeat and rhythm, from a generator of numbers."""

from dataclasses import replace
from random import Random

from envs.music.codec import MAX_GRID, Note
from envs.music.key import SCALES, Key
from envs.music.meter import Meter
from envs.music.piece import Piece, score_of
from envs.music.task import Task

BARS = {
    1: (2, 4),
    2: (1, 2, 3, 4),
    4: (1, 2, 3, 4, 5, 6, 7, "2+3"),
    8: (2, 3, 4, 5, "2+3", 6, "2+2+2", 7, "2+2+3", 8, "2+3+3", 9, "2+2+2+3", 10, 11, 12, 15),
    16: (3, 4, 5, "2+3", 6, 7, "2+2+3", 9, 12),
}
METERS = [f"{beats}/{unit}" for unit, bars in BARS.items() for beats in bars]
TONICS = [letter + sign for letter in "CDEFGAB" for sign in ("", "#", "b")]
WORDS = ["", "Evening", 'Ein Lied: für 100% <Anna> & "Bo"', "X:2 | K:G", "Ďábel \\ 春", "a'b"]
CHORDS = ["", "", "", "C | F G", "Cm7 | F#dim Bb", "Am | E7/B | F", "V9 | C"]


def meters_of(grid: int) -> list[str]:
    """The metres whose bars are whole cells at `grid` cells per quarter note."""
    return [
        text
        for text in METERS
        if 4 * grid * Meter.parse(text).numerator % Meter.parse(text).denominator == 0
    ]


def random_piece(rng: Random, voices: int = 3, grids: tuple[int, ...] = ()) -> Piece:
    """A piece of at most four bars."""
    grid = rng.choice(grids or range(1, MAX_GRID + 1))
    meter = Meter.parse(rng.choice(meters_of(grid)))
    cells = meter.bar_cells(grid)
    low = rng.randint(24, 90)
    task = Task(
        key=Key(rng.choice(TONICS), rng.choice(sorted(SCALES))),
        meter=meter,
        bars=rng.randint(1, 4),
        low=low,
        high=rng.randint(low, 108),
        grid=grid,
        voices=rng.choice((1, 1, 1, *range(1, voices + 1))),
        pickup=rng.randrange(cells) if rng.random() < 0.6 else 0,
    )
    chords = rng.choice(CHORDS)
    if chords.count("|") < task.bars:
        task = replace(task, chords=chords)
    notes = [note for voice in range(task.voices) for note in _line(rng, task, voice)]
    tempo = rng.choice((None, rng.randint(20, 300), round(rng.uniform(20, 300), 2)))
    return Piece.of(score_of(notes, task), title=rng.choice(WORDS), tempo=tempo)


def _line(rng: Random, task: Task, voice: int) -> list[Note]:
    """The notes of a voice: short, even, long or any lengths, with rests and repeated pitches."""
    beat, bar = task.beat_cells, task.bar_cells
    styles = [
        [1, 1, 1, 2],
        [part for part in range(1, beat + 1) if beat % part == 0],
        [beat, 2 * beat, bar, max(1, bar // 2)],
        list(range(1, 3 * task.grid + 1)),
        [1, 2, 3, beat, bar, bar + 1],
    ]
    lengths, silence = rng.choice(styles), rng.choice((0.0, 0.15, 0.6))
    notes: list[Note] = []
    pitch, cell = rng.randint(task.low, task.high), 0
    while cell < task.cells:
        length = min(rng.choice(lengths), task.cells - cell)
        if rng.random() >= silence:
            if rng.random() < 0.8:
                pitch = min(max(pitch + rng.randint(-4, 4), task.low), task.high)
            notes.append(Note(cell, length, pitch, voice))
        cell += length
    return notes
