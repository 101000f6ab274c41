"""MIDI files through symusic: their notes, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from envs.errors import RefusedError
from envs.music.key import Key
from envs.music.piece import Piece
from envs.music.pitch import line_of_fifths_name
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.bars import Measure
from envs.notation.reading.draft import Draft, KeyMark, MeterMark, Part, Sound
from envs.notation.reading.selection import Known
from envs.notation.reading.time_signatures import Signature
from envs.notation.reading.times import refusing

MOST_MEASURES = 20_000


def read_midi(data: bytes, known: Known) -> Piece:
    """Read a MIDI file; each track that has notes and is no percussion is a voice.

    Raises:
        RefusedError: it is broken, counts frames, changes its metre, or fits no task.
    """
    import symusic

    with refusing("MIDI"):
        file: Any = symusic.Score.from_midi(data)
    quarter = file.ticks_per_quarter
    if quarter < 1:
        raise RefusedError("it counts frames, not quarter notes; export it with musical time")
    parts = [
        Part([_sounds(track, quarter)], str(track.name))
        for track in file.tracks
        if len(track.notes) and not track.is_drum
    ]
    marks, keys = _meters(file, quarter), _keys(file, quarter)
    end = max((sound.end for part in parts for sound in part.voices[0]), default=Fraction(0))
    for part in parts:
        part.meters, part.keys = marks, keys
        part.measures = [] if known.meter else _measures(marks, end)
    draft = Draft(parts, _title(file), tick=Fraction(1, quarter))
    if len(file.tempos):
        draft.tempo = float(file.tempos[0].qpm)
    return make_piece(draft, known)


def _sounds(track: Any, quarter: int) -> list[Sound]:
    return sorted(
        Sound(
            Fraction(note.time, quarter), Fraction(note.time + note.duration, quarter), note.pitch
        )
        for note in track.notes
    )


def _keys(file: Any, quarter: int) -> list[KeyMark]:
    named = sorted({(each.time, each.key, each.tonality) for each in file.key_signatures})
    marks = []
    for time, fifths, minor in named:
        if abs(fifths) <= 7:
            mode, place = ("minor", fifths + 3) if minor else ("major", fifths)
            marks.append(KeyMark(Fraction(time, quarter), Key(line_of_fifths_name(place), mode)))
    return marks


def _title(file: Any) -> str:
    """Return the name of the first track if it holds no notes: that is where titles stand."""
    tracks = list(file.tracks)
    return str(tracks[0].name) if len(tracks) > 1 and not len(tracks[0].notes) else ""


def _meters(file: Any, quarter: int) -> list[MeterMark]:
    named = sorted({(each.time, each.numerator, each.denominator) for each in file.time_signatures})
    return [
        MeterMark(Fraction(time, quarter), Signature.parse(f"{beats}/{unit}"))
        for time, beats, unit in named
    ]


def _measures(marks: Sequence[MeterMark], end: Fraction) -> list[Measure]:
    """Return the bars that time signatures ask for, up to an end."""
    measures: list[Measure] = []
    ends = [*(mark.start for mark in marks[1:]), end]
    for mark, after in zip(marks, ends, strict=False):
        time, bar = mark.start, mark.signature.bar if mark.signature else end
        while time < min(after, end):
            measures.append(Measure(time, min(bar, after - time) if after < end else bar))
            if len(measures) > MOST_MEASURES:
                raise RefusedError(f"it has more than {MOST_MEASURES} bars; write the file anew")
            time += measures[-1].length
    return measures
