"""MIDI files of scores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from envs.music.key import written_key
from envs.music.meter import beat_quarters
from envs.music.piece import notes_of
from envs.music.score import Score

_VELOCITY = 80


def midi_bytes(score: Score, row: int = 0, tempo: float = 80.0) -> bytes:
    """Return one piece as a MIDI file, a track for each voice.

    Args:
        score: the pieces.
        row: which of them.
        tempo: beats per minute, dotted beats in compound metres.
    """
    import symusic

    task = score.task
    quarter = math.lcm(480, task.grid)  # so that every cell is a whole number of ticks
    cell = quarter // task.grid
    file: Any = symusic.Score(quarter)
    file.tempos.append(symusic.Tempo(0, qpm=tempo * float(beat_quarters(task.meter))))
    file.time_signatures.append(
        symusic.TimeSignature(0, task.meter.numerator, task.meter.denominator)
    )
    minor = int(task.key.written_mode == "minor")  # MIDI knows two modes
    file.key_signatures.append(symusic.KeySignature(0, written_key(task.key).fifths, minor))
    tracks: list[Any] = [symusic.Track(name=f"Voice {voice + 1}") for voice in range(task.voices)]
    for note in notes_of(score, row):
        tracks[note.voice].notes.append(
            symusic.Note(note.start * cell, note.duration * cell, note.pitch, _VELOCITY)
        )
    for track in tracks:
        file.tracks.append(track)
    return bytes(file.dumps_midi())


def write_midi(score: Score, row: int, path: str | Path, tempo: float = 80.0) -> None:
    """Write one piece as a MIDI file; see `midi_bytes`."""
    Path(path).write_bytes(midi_bytes(score, row, tempo))
