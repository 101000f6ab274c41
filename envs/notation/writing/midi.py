"""MIDI files of scores.

MIDI knows no upbeats, and of keys and metres only the signature. An upbeat is a first bar with a
time signature of its own. Markers at the beginning name the key, `Key: D dorian`, and groups of a
metre, `Meter: 3+2+2/8`; a marker `End` stands at the end, which may be silent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs.music.key import written_key
from envs.music.meter import beat_quarters
from envs.music.piece import notes_of
from envs.music.voices.pairs import voice_name

if TYPE_CHECKING:
    from envs.music.score import Score
    from envs.music.task import Task

_VELOCITY = 80
_UNITS = (1, 2, 4, 8, 16, 32, 64)  # of time signatures
_MOST_BEATS = 99


def midi_bytes(score: Score, row: int = 0, tempo: float = 80.0, title: str = "") -> bytes:
    """Return one piece as a MIDI file: a track with its title, then a track for each voice.

    Args:
        score: the pieces.
        row: which of them.
        tempo: beats per minute, see `beat_quarters`.
        title: name of the first track; none if empty.
    """
    import symusic

    task = score.task
    quarter = math.lcm(480, task.grid)  # so that every cell is a whole number of ticks
    cell = quarter // task.grid
    file: Any = symusic.Score(quarter)
    file.tempos.append(symusic.Tempo(0, qpm=tempo * float(beat_quarters(task.meter))))
    signature = (task.meter.numerator, task.meter.denominator)
    upbeat = _upbeat(task)
    if upbeat:
        file.time_signatures.append(symusic.TimeSignature(0, *upbeat))
    start = task.pickup * cell if upbeat else 0
    file.time_signatures.append(symusic.TimeSignature(start, *signature))
    shown = written_key(task.key)
    minor = shown.written_mode == "minor"  # MIDI knows two modes
    file.key_signatures.append(symusic.KeySignature(0, shown.fifths, int(minor)))
    for words in _markers(task):
        file.markers.append(symusic.TextMeta(0, words))
    names = [voice_name(task.voices, voice).capitalize() for voice in range(task.voices)]
    tracks: list[Any] = [symusic.Track(name=name) for name in names]
    file.markers.append(symusic.TextMeta(task.cells * cell, "End"))
    for note in notes_of(score, row):
        tracks[note.voice].notes.append(
            symusic.Note(note.start * cell, note.duration * cell, note.pitch, _VELOCITY)
        )
    for track in (symusic.Track(name=title), *tracks):
        file.tracks.append(track)
    return bytes(file.dumps_midi())


def _upbeat(task: Task) -> tuple[int, int] | None:
    """Return the time signature of the upbeat, None if there is none.

    One that no signature fits, such as a triplet eighth, has the next longer one; the signature
    behind it stands where the upbeat ends.
    """
    own = (task.meter.numerator, task.meter.denominator)
    whole = Fraction(task.pickup, 4 * task.grid)
    counts = ((math.ceil(whole * unit), unit) for unit in _UNITS if unit >= own[1])
    fits = [each for each in counts if each != own and each[0] <= _MOST_BEATS]
    exact = (each for each in fits if Fraction(*each) == whole)
    # At twice the unit it fits in a bar, be it as 4/4 before 2/2.
    longer = (each for each in fits if Fraction(*each) <= Fraction(*own))
    return next(exact, next(longer, None)) if task.pickup else None


def _markers(task: Task) -> Iterator[str]:
    yield f"Key: {task.key}"
    if str(task.meter) != task.meter.signature:
        yield f"Meter: {task.meter}"


def write_midi(score: Score, row: int, path: str | Path, tempo: float = 80.0) -> None:
    """Write one piece as a MIDI file; see `midi_bytes`."""
    Path(path).write_bytes(midi_bytes(score, row, tempo))
