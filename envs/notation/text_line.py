"""Pieces as one line of text.

The text names notes and rests: `C4 A4:2 r:4 G4`. A name alone lasts a beat, `:2` two cells, `r` is
a rest, and `;` begins the next voice.
"""

from __future__ import annotations

import re

from envs.errors import quoted
from envs.music.codec import Codec, Note
from envs.music.key import Key, written_key
from envs.music.meter import Meter
from envs.music.piece import score_of, spans_of
from envs.music.pitch import parse_pitch
from envs.music.score import Score
from envs.music.task import MAX_CELLS, MAX_VOICES, Task

_WORD = re.compile(r"([^\s:;]+?)(?::(\d{1,6}))?")


def text(score: Score, row: int = 0, cells: range | None = None) -> str:
    """Return one piece in a line, such as 'C4 A4:2 r:4 G4'; `score_from_text` reads it back.

    Args:
        score: finished pieces.
        row: number of the piece.
        cells: the notes and rests that begin in these cells only.
    """
    task = score.task
    key = written_key(task.key)

    def word(start: int, end: int, pitch: int | None) -> str:
        name = "r" if pitch is None else key.pitch_name(pitch)
        return name if end - start == task.beat_cells else f"{name}:{end - start}"

    voices = (spans_of(score, row, voice) for voice in range(task.voices))
    return " ; ".join(
        " ".join(word(*span) for span in spans if cells is None or span[0] in cells)
        for spans in voices
    )


def parse_notes(line: str, beat_cells: int = 4) -> list[Note]:
    """Return the notes of a line such as 'C4 A4:2 r:4 G4'; a name alone lasts `beat_cells` cells.

    Raises:
        ValueError: a word that is no note or rest.
    """
    return [note for voice in parse_voices(line, beat_cells)[0] for note in voice]


def parse_voices(line: str, beat_cells: int) -> tuple[list[list[Note]], int]:
    """Return the notes of each voice, parted by ';', and the cell at which the longest voice ends.

    Raises:
        ValueError: a word that is no note or rest, or more words or voices than any piece has.
    """
    voices: list[list[Note]] = []
    longest = 0
    parts = line.split(";")
    if len(parts) > MAX_VOICES:
        raise ValueError(f"the line has {len(parts)} voices; expected at most {MAX_VOICES}")
    for voice, part in enumerate(parts):
        end = 0
        voices.append([])
        words = part.split()
        if len(words) > MAX_CELLS:
            raise ValueError(
                f"voice {voice + 1} has {len(words)} words; expected {MAX_CELLS} at most"
            )
        for number, word in enumerate(words):
            match = _WORD.fullmatch(word)
            cells = (int(match[2]) if match[2] else beat_cells) if match else 0
            if match is None or cells < 1:
                raise ValueError(
                    f"word {number + 1}, {quoted(word)}: expected a note or rest and perhaps "
                    "its length in cells, such as 'C4', 'F#4:2' or 'r:4'"
                )
            if match[1] not in ("r", "R"):
                try:
                    pitch = parse_pitch(match[1])
                except ValueError as error:
                    raise ValueError(f"word {number + 1}: {error}, or 'r' for a rest") from None
                voices[voice].append(Note(end, cells, pitch, voice))
            end += cells
        longest = max(longest, end)
    return voices, longest


def score_from_text(
    line: str,
    key: str | Key = "C major",
    meter: str | Meter = "4/4",
    grid: int = 4,
    low: int | str | None = None,
    high: int | str | None = None,
) -> Score:
    """Return a score of one piece from a line such as 'C4 A4 G4 E4', as many bars long as it needs.

    What is left of the last bar is silent.

    Args:
        line: notes and rests; voices are parted by ';'.
        key: such as 'G major'.
        meter: such as '6/8'.
        grid: cells per quarter note.
        low, high: range; if None the reference's C3-B5, wider if the notes need it.

    Raises:
        ValueError: the line is empty, too long, or has a word that is no note or rest.
    """
    meter = Meter.parse(meter)
    Codec(grid=grid)  # checks the grid
    voices, cells = parse_voices(line, meter.beat_cells(grid))
    if cells == 0:
        raise ValueError("the line is empty; expected notes such as 'C4 A4:2 r G4'")
    pitches = [note.pitch for voice in voices for note in voice]
    task = Task(
        key=Key.parse(key),
        meter=meter,
        bars=-(-cells // meter.bar_cells(grid)),
        low=min([Codec.low, *pitches]) if low is None else parse_pitch(low),
        high=max([Codec.high, *pitches]) if high is None else parse_pitch(high),
        grid=grid,
        voices=len(voices),
    )
    return score_of([note for voice in voices for note in voice], task)
